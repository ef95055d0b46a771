# SPDX-License-Identifier: Apache-2.0
"""Finds what comes with the package: in the source tree, or where pip or colcon installed it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from monodepth2_ros.errors import ModelFileError

BUNDLED_MODEL = 'street_320x96.safetensors'
"""Learnt from generated streets alone; ``demo/MODEL.md`` is its card."""

DEMO = 'demo'
"""The word for that model where a model file is asked for."""

MODEL_HELP = 'a .safetensors model file, or demo for the one that comes with the demo'
"""What verbs that only read it say of such an argument."""

_SHARE = Path('share', 'monodepth2_ros')


def shared_folders(*parts: str) -> list[Path]:
    """Folders of a name like ``config/training``, those of the source tree first."""
    return [folder for folder in shared_places(*parts) if folder.is_dir()]


def shared_places(*parts: str) -> list[Path]:
    """Where such folders are looked for, each once."""
    package = Path(__file__).parent
    prefixes = [
        package.parent,
        # Of pip's --prefix and --user, and of Debian's Python: lib/python3.x/site-packages.
        *package.parents[3:4],
        Path(sys.prefix),
        *(
            Path(prefix)
            for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
            if prefix
        ),
    ]
    tops = [package.parents[1], *(prefix / _SHARE for prefix in prefixes)]
    return list(dict.fromkeys(top.joinpath(*parts) for top in tops))


def bundled_model() -> Path:
    """The model file that comes with the demo.

    Raises:
        ModelFileError: it is not there.
    """
    for folder in shared_folders('demo'):
        if (folder / BUNDLED_MODEL).is_file():
            return folder / BUNDLED_MODEL
    raise ModelFileError(
        f'{BUNDLED_MODEL} is neither in demo/ of the source tree nor in {_SHARE}/demo of an '
        'installation: install the package again, or name a model file of your own'
    )


def model_path(name: str) -> Path:
    """The path of a model file that is only read: as given, or the demo's where ``demo`` is.

    Raises:
        ModelFileError: the demo's model is not there.
    """
    return bundled_model() if name == DEMO else Path(name)
