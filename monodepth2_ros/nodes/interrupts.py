# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C as ROS sees it: the context is shut down, and no KeyboardInterrupt comes."""

from __future__ import annotations

import signal


def leave_interrupts_to_ros() -> None:
    """Let rclpy's own handler alone act on SIGINT; call it before ``rclpy.init``.

    A KeyboardInterrupt beside it could break off any line, those that clean up too: a launch file
    passes on the signal that the terminal has sent already.
    """
    signal.signal(signal.SIGINT, lambda number, frame: None)


def ignore_interrupts() -> None:
    """Let no SIGINT change the exit status of a process whose work is done.

    Python takes its handlers away while it ends, and the signal's default would kill it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
