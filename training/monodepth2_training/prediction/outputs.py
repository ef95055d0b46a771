# SPDX-License-Identifier: Apache-2.0
"""Depth files: where they go and what is in them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.errors import ConfigError, RecordingError
from monodepth2_ros.inference.colorize import colorize
from monodepth2_ros.inference.postprocess import to_millimetres

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMATS = ('npy', 'png16', 'color')
"""float32 numpy array; 16-bit PNG in millimetres, 0 unknown; 8-bit colour PNG."""

_ENDINGS = {'npy': '.npy', 'png16': '_mm.png', 'color': '_color.png'}
_SUFFIXES = {'npy': '.npy', 'png16': '.png', 'color': '.png'}
_DEFAULTS = {'.npy': ('npy',), '.png': ('png16',)}


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where results go: one file, or a folder with files named after the pictures."""

    out: Path
    """The file or folder."""
    formats: tuple[str, ...]
    """Some of ``FORMATS``."""
    is_file: bool
    """Whether ``out`` is the one file, or the stem of several."""
    colormap: str = 'magma'
    """Of colour pictures."""

    def write(self, name: str, depth: NDArray[np.float32]) -> list[Path]:
        """Write one result in every format, each file whole or not at all.

        Args:
            name: of the picture, without suffix.
            depth: float32 [H, W] in metres.

        Returns:
            the files.

        Raises:
            RecordingError: a file cannot be written.
        """
        files = self.files(name)
        for path, kind in zip(files, self.formats, strict=True):
            _write(path, _encode(kind, depth, self.colormap))
        return files

    def files(self, name: str) -> list[Path]:
        """Where the results of a picture of this name go, one file a format."""
        return [self._path(name, kind) for kind in self.formats]

    def _path(self, name: str, kind: str) -> Path:
        if not self.is_file:
            return self.out / f'{name}{_ENDINGS[kind]}'
        if len(self.formats) == 1:
            return self.out
        return self.out.with_name(f'{self.out.stem}{_ENDINGS[kind]}')


def choose_destination(
    out: Path,
    formats: Sequence[str],
    *,
    single: bool,
    colormap: str = 'magma',
    inputs: Sequence[Path] = (),
) -> Destination:
    """Decide from the name given and the number of pictures where results go.

    Args:
        out: a name that ends in .npy or .png for one picture, else a folder, made if missing; for
            one picture, only a folder that is there may have another ending.
        formats: some of ``FORMATS``; if empty, what the name's ending says, .npy in a folder.
        single: whether there is one picture only.
        colormap: of colour pictures.
        inputs: the image files, none of which may be replaced.

    Raises:
        ConfigError: an unknown format, a name that does not fit the formats or the number, or a
            picture or its folder that is the input.
        RecordingError: the folder cannot be made.
    """
    _check_formats(formats)
    named = out.suffix.lower() in _DEFAULTS and not out.is_dir()
    if named and not single:
        raise ConfigError(f'{out} names one file for many pictures: give a folder')
    if single and not named and out.suffix and not out.is_dir():
        raise ConfigError(f'{out} is no name for depth: end it in .npy or .png, or give a folder')
    chosen = tuple(formats) or (_DEFAULTS[out.suffix.lower()] if named else ('npy',))
    if named and len(chosen) == 1 and _SUFFIXES[chosen[0]] != out.suffix.lower():
        raise ConfigError(
            f'{out} does not fit format {chosen[0]}: expected a name in {_SUFFIXES[chosen[0]]}'
        )
    destination = Destination(out=out, formats=chosen, is_file=named, colormap=colormap)
    _check_inputs(destination, inputs, single=single)
    _make_folder(out.parent if named else out)
    return destination


def _check_formats(formats: Sequence[str]) -> None:
    for kind in formats:
        if kind not in FORMATS:
            raise ConfigError(
                f'format {kind!r} is not known: expected some of {", ".join(FORMATS)}'
            )


def _check_inputs(destination: Destination, inputs: Sequence[Path], *, single: bool) -> None:
    """Refuse to replace pictures by their depth, or to mix both in one folder."""
    for picture in inputs:
        taken = picture if single else picture.parent
        written = destination.files(picture.stem) if single else [destination.out]
        if taken.resolve() in [path.resolve() for path in written]:
            raise ConfigError(f'{taken} is the input: give another name or folder for the results')


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise RecordingError(f'{folder} cannot be made a folder: {err.strerror}') from err


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data)
    except OSError as err:
        raise RecordingError(f'{path} cannot be written: {err.strerror}') from err


def _encode(kind: str, depth: NDArray[np.float32], colormap: str) -> bytes:
    if kind == 'npy':
        return _npy(depth)
    if kind == 'png16':
        return _png(to_millimetres(depth))
    return _png(colorize(depth, colormap=colormap))


def _npy(array: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array, np.float32), allow_pickle=False)
    return buffer.getvalue()


def _png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    done, data = cv2.imencode('.png', pixels)
    if not done:
        raise RecordingError(f'a PNG of shape {list(pixels.shape)} cannot be encoded')
    return bytes(data.tobytes())
