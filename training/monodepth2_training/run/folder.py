# SPDX-License-Identifier: Apache-2.0
"""The folder of a training run: where everything is, and that only one trainer writes in it."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.errors import ConfigError, TrainingError
from monodepth2_ros.typed_document import decode
from monodepth2_training.checkpoints import find_checkpoints
from monodepth2_training.run.source import RunSource


class RunFolder:
    """Names the files of a run.

    Attributes:
        path: the folder.
        config: the configuration as resolved, YAML.
        frames: frame store, where the run has extracted one itself.
        note: JSON that says what is trained on.
        checkpoints: folder of the checkpoints.
        tensorboard: folder of TensorBoard's files.
        metrics: figures of the run, one JSON object a line.
        pictures: folder of PNGs, one an epoch.
        model: the model file.
    """

    def __init__(self, path: Path) -> None:
        """Name the files; nothing is made yet."""
        self.path = path
        self.config = path / 'config.yaml'
        self.frames = path / 'frames'
        self.note = path / 'run.json'
        self.checkpoints = path / 'checkpoints'
        self.tensorboard = path / 'tensorboard'
        self.metrics = path / 'metrics.jsonl'
        self.pictures = path / 'pictures'
        self.model = path / 'model.safetensors'

    @property
    def has_begun(self) -> bool:
        """Whether a run has been begun here."""
        return self.note.exists() or bool(find_checkpoints(self.checkpoints))

    def make(self) -> None:
        """Make the folder.

        Raises:
            TrainingError: it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise TrainingError(f'{self.path} cannot be made: {err.strerror}') from err

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other trainers out; the lock ends with the process, however that ends.

        Raises:
            TrainingError: another one is in.
        """
        file = (self.path / '.lock').open('a+')
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as err:
                file.seek(0)
                raise TrainingError(
                    f'{self.path} is being written by another trainer (process '
                    f'{file.read().strip() or "unknown"}): wait for it, or choose another --out'
                ) from err
            file.truncate(0)
            file.write(f'{os.getpid()}\n')
            file.flush()
            yield

    def write_source(self, source: RunSource) -> None:
        """Note what the run trains on."""
        text = json.dumps(dataclasses.asdict(source), indent=2)
        write_atomically(self.note, f'{text}\n'.encode())

    def read_source(self) -> RunSource:
        """What the run trains on.

        Raises:
            TrainingError: there is no usable note; the run has never begun.
        """
        try:
            return decode(RunSource, json.loads(self.note.read_text()), str(self.note))
        except (OSError, ValueError, ConfigError) as err:
            raise TrainingError(
                f'{self.path} holds no run that could be resumed ({err}): leave out --resume'
            ) from err

    def read_store_path(self) -> Path:
        """The frame store that the run uses.

        Raises:
            TrainingError: there is no usable note; the run has never begun.
        """
        return Path(self.read_source().frame_store)
