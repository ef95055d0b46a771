# SPDX-License-Identifier: Apache-2.0
"""The model that the demo runs: the user's, or the one that comes with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monodepth2_training.shared_files import bundled_model

from monodepth2_ros.model_file import read_description


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model file and what to say about it."""

    path: Path
    """The ``.safetensors`` file."""
    metric: bool
    """Whether its depth is in metres."""


def prepare(model: Path | None) -> Model:
    """The given model, else the one that comes with the demo.

    Raises:
        ModelFileError: the file is missing or unusable.
    """
    path = model or bundled_model()
    return Model(path=path, metric=read_description(path).scale is not None)
