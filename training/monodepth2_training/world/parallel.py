# SPDX-License-Identifier: Apache-2.0
"""Renders the frames of a drive on several CPU cores, in order.

Rendering is thousands of small operations: threads would wait for Python's lock, and all cores on
one operation for each other. So processes take turns, each with one thread and the whole drive.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection

import torch

from monodepth2_ros.errors import DeviceError
from monodepth2_ros.processor import core_count
from monodepth2_training.signals import answered_by
from monodepth2_training.world.drive import Drive, DriveFrame, DriveSettings

_MOST_PROCESSES = 8
_FRAMES_A_PROCESS = 25
"""With fewer, starting it takes longer than it helps."""


def rendered_frames(drive: Drive, device: torch.device) -> Generator[DriveFrame, None, None]:
    """All frames of ``drive`` in order; the same ones whatever the number of cores.

    Args:
        drive: what to render.
        device: where it renders; only a CPU is shared out.

    Raises:
        DeviceError: the system ended a process that renders.
    """
    most = min(core_count(), _MOST_PROCESSES) if device.type == 'cpu' else 1
    processes = min(most, len(drive) // _FRAMES_A_PROCESS)
    if processes > 1:
        yield from _in_turn(drive.settings, processes)
        return
    with _one_thread_an_operation():
        yield from drive


def _in_turn(settings: DriveSettings, processes: int) -> Iterator[DriveFrame]:
    """Frames of processes that render every ``processes``-th one each."""
    with ExitStack() as started:
        sources = [
            started.enter_context(_renderer(settings, range(first, settings.frames, processes)))
            for first in range(processes)
        ]
        for number in range(settings.frames):
            yield _received(sources[number % processes], number)


def _received(source: Connection, number: int) -> DriveFrame:
    """The next frame of a process, or why there is none.

    A process that is ended between two frames leaves the end of a file, in the middle of one a
    part of a message.
    """
    try:
        frame: DriveFrame = source.recv()
    except (EOFError, OSError) as err:
        raise DeviceError(
            f'the process that renders frame {number} has ended: is there enough memory? '
            'Choose a smaller picture'
        ) from err
    return frame


@contextmanager
def _renderer(settings: DriveSettings, numbers: range) -> Iterator[Connection]:
    """A process and where its frames come out; it ends with the block or with this process."""
    # A fork would inherit the locks of other threads.
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_render, args=(settings, numbers, theirs), daemon=True)
    # Ctrl-C reaches all processes of a terminal; the first one decides.
    with answered_by(signal.SIG_IGN, signal.SIGINT):
        process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()
        ours.close()


def _render(settings: DriveSettings, numbers: range, out: Connection) -> None:
    """Send frames until there are no more or nobody listens."""
    torch.set_num_threads(1)
    drive = Drive(settings, torch.device('cpu'))
    try:
        for number in numbers:
            out.send(drive.frame(number))
    except BrokenPipeError:
        return


@contextmanager
def _one_thread_an_operation() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
