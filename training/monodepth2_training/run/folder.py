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
        report: what the run has come to, a page.
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
        self.report = path / 'report.html'

    def check_free(self) -> None:
        """Refuse a folder in which a new run would overwrite something.

        A run that came to neither a checkpoint nor a model is no loss.

        Raises:
            TrainingError: there is a run, or a file that belongs to none.
        """
        noted = self.note.exists()
        if find_checkpoints(self.checkpoints) or (noted and self.model.exists()):
            raise TrainingError(
                f'{self.path} holds a run already: add --resume to go on with it, or choose '
                'another --out'
            )
        if noted:
            return
        for file in (self.model, self.config, self.metrics, self.report):
            if file.exists():
                raise TrainingError(
                    f'{file} belongs to no run and is not overwritten (there is no '
                    f'{self.note.name}): choose another --out'
                )

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

    def check_frames(self, source: RunSource) -> None:
        """Refuse to take frames that were extracted for an earlier run from something else.

        Raises:
            TrainingError: there are such frames.
        """
        extracts = source.recordings or source.generated.drives
        if not extracts or not self.frames.exists() or not self.note.exists():
            return
        if self.read_source() != source:
            raise TrainingError(
                f'{self.frames} was extracted from other sources, or with other settings: choose '
                'another --out, or delete that folder'
            )

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
