# SPDX-License-Identifier: Apache-2.0
"""Where a resumed run goes on, and what its checkpoint still lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monodepth2_training.checkpoints import newest_good, remove_unfinished, set_newer_aside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monodepth2_training.run.processes import Processes


def find_start(checkpoints: Path, processes: Processes, say: Callable[[str], None]) -> Path | None:
    """The newest good checkpoint, None without any; newer ones are named and set aside.

    Raises:
        CheckpointError: a damaged one cannot be renamed.
    """
    remove_unfinished(checkpoints)
    start, faults = newest_good(checkpoints)
    for fault in faults:
        say(f'{fault}: it is left out and set aside')
    say('no checkpoint yet: beginning anew' if start is None else f'resuming from {start.name}')
    processes.wait()
    if processes.is_first:
        set_newer_aside(checkpoints, start)
    return start
