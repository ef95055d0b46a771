# SPDX-License-Identifier: Apache-2.0
"""What a run has left in its folder, read once; each part that is missing is named, not fatal."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from monodepth2_ros.errors import Monodepth2Error, TrainingError
from monodepth2_ros.model_file import read_description
from monodepth2_training.config_files import read_config
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.triplets import make_split
from monodepth2_training.run.folder import RunFolder
from monodepth2_training.run.log import read_metrics

if TYPE_CHECKING:
    from monodepth2_ros.model_description import ModelDescription
    from monodepth2_training.config import TrainingConfig
    from monodepth2_training.data.triplets import Split

T = TypeVar('T')
Entry = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run as its folder tells it."""

    folder: RunFolder
    """Where everything is."""
    config: TrainingConfig
    """What was asked for."""
    steps: tuple[Entry, ...]
    """Lines of kind ``step``, see ``run.log``."""
    epochs: tuple[Entry, ...]
    """Lines of kind ``epoch``."""
    store: FrameStore | None
    """What was learnt from."""
    split: Split | None
    """Samples for training and validation."""
    description: ModelDescription | None
    """What the model file says about itself."""
    missing: tuple[str, ...]
    """What could not be read, and why, one sentence each."""

    def per_epoch(self, name: str) -> tuple[float, ...]:
        """A figure after each epoch that has it."""
        return tuple(float(entry[name]) for entry in self.epochs if name in entry)

    def step_mean_per_epoch(self, name: str) -> tuple[float, ...]:
        """Mean of a figure over the steps of each whole epoch, in order.

        A line counts as often as it has steps: the last one of an epoch may have few.
        """
        means, begin = [], 0
        for epoch in self.epochs:
            inside = [s for s in self.steps if begin < s['step'] <= epoch['step']]
            ends = [begin, *(s['step'] for s in inside)]
            steps = [after - before for before, after in itertools.pairwise(ends)]
            if inside:
                values = (s[name] * count for s, count in zip(inside, steps, strict=True))
                means.append(float(sum(values) / sum(steps)))
            begin = epoch['step']
        return tuple(means)


def read_run(path: Path) -> RunRecord:
    """Read a run folder.

    Raises:
        TrainingError: nobody has trained there.
        ConfigError: its configuration is unusable.
    """
    folder = RunFolder(path)
    if not folder.config.is_file():
        raise TrainingError(
            f'{path} holds no run (no {folder.config.name}): give the folder that '
            '"monodepth2 train" wrote'
        )
    config = read_config(str(folder.config))
    entries = read_metrics(folder.metrics)
    missing: list[str] = []
    store = _or_none(lambda: FrameStore.open(folder.read_store_path()), missing)
    return RunRecord(
        folder=folder,
        config=config,
        steps=tuple(e for e in entries if e['kind'] == 'step'),
        epochs=tuple(e for e in entries if e['kind'] == 'epoch'),
        store=store,
        split=None if store is None else _or_none(lambda: _split(store, config), missing),
        description=_or_none(lambda: read_description(folder.model), missing),
        missing=tuple(missing),
    )


def _split(store: FrameStore, config: TrainingConfig) -> Split:
    return make_split(store, mode=config.mode, settings=config.triplets)


def _or_none(read: Callable[[], T], missing: list[str]) -> T | None:
    """What ``read`` gives; None, and its reason added to ``missing``, if it fails."""
    try:
        return read()
    except Monodepth2Error as err:
        missing.append(str(err))
        return None
