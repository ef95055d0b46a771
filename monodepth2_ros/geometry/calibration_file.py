# SPDX-License-Identifier: Apache-2.0
"""Read and write camera calibrations in the YAML of camera_calibration and camera_info_manager."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry.camera import IDENTITY_3X3, CameraCalibration

PackageResolver = Callable[[str], 'str | Path']
"""Gives the share folder of a ROS package by its name."""

_MATRICES = {
    'camera_matrix': (3, 3),
    'rectification_matrix': (3, 3),
    'projection_matrix': (3, 4),
}


def load_calibration(
    url: str | Path, *, resolve_package: PackageResolver | None = None
) -> CameraCalibration:
    """Read and check a calibration file.

    Args:
        url: a path, a ``file://`` URL, or ``package://NAME/path``.
        resolve_package: finds a package's share folder; without it ``package://`` is refused.

    Returns:
        the checked calibration. A missing rectification matrix means the identity, a missing
        projection matrix means the camera matrix, a missing distortion model means plumb_bob.

    Raises:
        CalibrationError: the file is missing, no such YAML, or its values are unusable; the path
            and the key are named.
    """
    path = _local_path(str(url), resolve_package)
    document = _read_yaml(path)
    try:
        return _calibration(document).checked()
    except CalibrationError as err:
        raise CalibrationError(f'calibration file {path}: {err}') from err


def save_calibration(
    path: str | Path, calibration: CameraCalibration, *, camera_name: str = 'camera'
) -> None:
    """Write a calibration file whole or not at all.

    Raises:
        CalibrationError: the calibration is unusable, has a region of interest or binning (the
            format has no place for them), or the file cannot be written.
    """
    calibration = calibration.checked()
    if calibration.image_size != (calibration.width, calibration.height):
        raise CalibrationError(
            'a calibration with region of interest or binning cannot be saved: expected that of '
            'the full sensor'
        )
    text = yaml.safe_dump(_document(calibration, camera_name), sort_keys=False)
    try:
        write_atomically(Path(path), text.encode())
    except OSError as err:
        raise CalibrationError(f'calibration file {path} cannot be written: {err}') from err


def _local_path(url: str, resolve_package: PackageResolver | None) -> Path:
    scheme, separator, rest = url.partition('://')
    if not separator:
        return Path(url).expanduser()
    if scheme == 'file':
        return Path(unquote(rest))
    if scheme != 'package':
        raise CalibrationError(
            f'calibration URL {url!r} has scheme {scheme!r}: expected file:// or package://'
        )
    package, _, inside = rest.partition('/')
    if resolve_package is None:
        raise CalibrationError(
            f'calibration URL {url!r} needs ROS to find package {package!r}: expected a path or '
            'file:// here'
        )
    return Path(resolve_package(package)) / inside


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as err:
        raise CalibrationError(f'calibration file {path} cannot be read: {err}') from err
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        first_line = ' '.join(str(err).split())[:200]
        raise CalibrationError(f'calibration file {path} is not YAML: {first_line}') from err
    if not isinstance(document, dict):
        raise CalibrationError(
            f'calibration file {path} holds {type(document).__name__}: expected the keys that '
            'camera_calibration writes'
        )
    return document


def _calibration(document: dict[str, Any]) -> CameraCalibration:
    rectification, projection = 'rectification_matrix', 'projection_matrix'
    return CameraCalibration(
        width=_integer(document, 'image_width'),
        height=_integer(document, 'image_height'),
        distortion_model=_text(document, 'distortion_model', 'plumb_bob'),
        D=_numbers(document, 'distortion_coefficients'),
        K=_numbers(document, 'camera_matrix'),
        R=_numbers(document, rectification) if rectification in document else IDENTITY_3X3,
        P=_numbers(document, projection) if projection in document else (0.0,) * 12,
    )


def _integer(document: dict[str, Any], key: str) -> int:
    value = _required(document, key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CalibrationError(f'{key} is {str(value)[:40]!r}: expected a whole number of pixels')
    return value


def _text(document: dict[str, Any], key: str, default: str) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise CalibrationError(f'{key} is {str(value)[:40]!r}: expected text')
    return value


def _numbers(document: dict[str, Any], key: str) -> tuple[float, ...]:
    matrix = _required(document, key)
    data = matrix.get('data') if isinstance(matrix, dict) else None
    if not isinstance(data, list):
        raise CalibrationError(f'{key} has no list "data": expected rows, cols and data')
    rows, columns = _MATRICES.get(key, (1, len(data)))
    if len(data) != rows * columns:
        raise CalibrationError(
            f'{key}.data has {len(data)} numbers: expected {rows * columns} ({rows}x{columns})'
        )
    try:
        # YAML 1.1 reads 1e-05 as text, and yaml-cpp writes it so.
        return tuple(float(value) for value in data)
    except (TypeError, ValueError, OverflowError) as err:
        raise CalibrationError(f'{key}.data holds something else than numbers: {err}') from err


def _required(document: dict[str, Any], key: str) -> Any:
    if key not in document:
        raise CalibrationError(
            f'key {key!r} is missing: expected what camera_calibration writes, not '
            f'{", ".join(map(str, list(document)[:6])) or "an empty file"}'
        )
    return document[key]


def _document(calibration: CameraCalibration, camera_name: str) -> dict[str, Any]:
    P = calibration.P if any(calibration.P) else _projection_of(calibration.K)
    return {
        'image_width': calibration.width,
        'image_height': calibration.height,
        'camera_name': camera_name,
        'camera_matrix': _matrix(calibration.K, 3),
        'distortion_model': calibration.distortion_model or 'plumb_bob',
        'distortion_coefficients': _matrix(calibration.D or (0.0,) * 5, 1),
        'rectification_matrix': _matrix(calibration.R, 3),
        'projection_matrix': _matrix(P, 3),
    }


def _projection_of(K: tuple[float, ...]) -> tuple[float, ...]:
    return (*K[0:3], 0.0, *K[3:6], 0.0, *K[6:9], 0.0)


def _matrix(values: tuple[float, ...], rows: int) -> dict[str, Any]:
    data = [float(value) for value in values]
    return {'rows': rows, 'cols': len(data) // rows, 'data': data}
