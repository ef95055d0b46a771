# SPDX-License-Identifier: Apache-2.0
"""The model file, and whether the camera is one that it was trained for."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from monodepth2_ros.errors import CalibrationError, Monodepth2Error
from monodepth2_ros.health import Level
from monodepth2_training.doctor.check import Check

if TYPE_CHECKING:
    from pathlib import Path

    from monodepth2_ros.geometry.camera import CameraCalibration
    from monodepth2_ros.model_file import Model


def read_model(path: Path) -> tuple[Model | None, Check]:
    """Load and verify a model file."""
    from monodepth2_ros.model_file import load_model
    from monodepth2_training.model_report import RELATIVE, scale_text

    try:
        model = load_model(path)
    except (Monodepth2Error, OSError) as err:
        return None, Check(name='model', level=Level.ERROR, text=str(err))
    described = model.description
    network, scale = described.network, scale_text(described.scale)
    facts: dict[str, object] = {
        'path': str(model.path),
        'sha256': model.sha256,
        'width': network.width,
        'height': network.height,
        'scale': asdict(described.scale) if described.scale else None,
    }
    text = f'{model.path}: {network.encoder} {network.width}x{network.height}, verified; {scale}'
    level = Level.WARN if scale == RELATIVE else Level.OK
    return model, Check(name='model', level=level, text=text, facts=facts)


def read_calibration(path: str) -> tuple[CameraCalibration | None, Check | None]:
    """Load a calibration file; a line only for one that cannot be used."""
    from monodepth2_ros.geometry.calibration_file import load_calibration

    try:
        return load_calibration(path), None
    except CalibrationError as err:
        return None, Check(name='calibration', level=Level.ERROR, text=str(err))


def try_engine(model: Model, device: str) -> Check:
    """Run the network once with the engine that ``engine: auto`` takes for this model."""
    from time import perf_counter

    from monodepth2_ros.inference.estimator import DepthEstimator

    try:
        estimator = DepthEstimator.load(model.path, engine='auto', device=device, precision='auto')
        estimator.warm_up()
        begin_s = perf_counter()
        estimator.warm_up()
        took_ms = 1e3 * (perf_counter() - begin_s)
    except (Monodepth2Error, OSError) as err:
        return Check(name='engine', level=Level.ERROR, text=str(err))
    engine = estimator.engine
    reason = estimator.device_reason.partition('; ')[2]  # the device has a line of its own
    text = f'{engine.name} on {engine.device_name}, {took_ms:.0f} ms a frame ({reason})'
    facts: dict[str, object] = {
        'engine': engine.name,
        'device': engine.device_name,
        'milliseconds': took_ms,
    }
    estimator.close()
    return Check(name='engine', level=Level.OK, text=text, facts=facts)


def match_camera(model: Model, calibration: CameraCalibration, origin: str) -> Check:
    """Compare what the network would be shown of a camera with that of the training images."""
    from monodepth2_ros.inference.camera_match import match_cameras
    from monodepth2_ros.inference.views import Views

    width, height = calibration.image_size
    view = Views().view(calibration, width=width, height=height, rectify='auto')
    if view.camera is None:
        text = f'{origin}: {"; ".join(view.notes)}'
        return Check(name='calibration', level=Level.ERROR, text=text)
    trained = model.description.camera
    if trained is None:
        text = f'{origin} is usable; the model file does not say which camera it was trained on'
        return Check(name='calibration', level=Level.WARN, text=text)
    seen, network = view.camera.cropped(view.window), model.description.network
    match = match_cameras(trained, seen, width=network.width, height=network.height)
    facts: dict[str, object] = {'factor': match.factor, 'differences': list(match.differences)}
    if not match.differences:
        text = f'{origin}: the camera of the training, or one like it'
        return Check(name='calibration', level=Level.OK, text=text, facts=facts)
    text = (
        f'{origin}: {"; ".join(match.differences)}. Depth changes by the factor '
        f'{match.factor:.2f}, see camera_mismatch in docs/parameters.md'
    )
    return Check(name='calibration', level=Level.WARN, text=text, facts=facts)
