# SPDX-License-Identifier: Apache-2.0
"""What a scale is made of, and what is said about odometry that cannot be right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from monodepth2_training.data.frame_store import FrameTable
from monodepth2_training.scale import by_truth, measuring
from monodepth2_training.scale.estimate import ScaleEstimate, estimate_scale
from monodepth2_training.scale.measuring import MeasureSettings, measure
from monodepth2_training.scale.mounting import find_mounting
from monodepth2_training.scale.plausibility import disagreements, odometry_doubts
from support import make_bag
from support.lidar_bag import CAMERA, OPTICAL, START_NS, TF_TYPE, links, write_lidar_bag
from support.tiny_model import write_tiny_model

from monodepth2_ros.errors import RecordingError, TrainingError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.geometry.poses import rotation_matrices
from monodepth2_ros.model_description import TrainingCamera
from monodepth2_ros.model_file import load_model
from monodepth2_ros.recordings import RecordingWriter, cdr, open_recording
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, IMAGE_TYPE


def _table(x_m: np.ndarray, speed_m_s: float) -> FrameTable:
    count = len(x_m)
    rows = np.zeros((count, 8))
    rows[:, 0], rows[:, 6], rows[:, 7] = x_m, 1.0, speed_m_s
    return FrameTable(
        stamps_ns=(np.arange(count) * 10**8).astype(np.int64),
        motion=np.full(count, 0.01, np.float32),
        brightness=np.full(count, 0.5, np.float32),
        clipped=np.zeros(count, np.float32),
        odometry=rows,
        part=np.zeros(count, np.int32),
    )


def _estimate(value: float, spread: float = 0.05, method: str = 'odometry') -> ScaleEstimate:
    return ScaleEstimate(method=method, value=value, spread=spread, frames=100)


def test_a_scale_is_the_median_with_the_spread_of_the_middle() -> None:
    values = np.array([9.0, 10.0, 11.0, 10.0, np.nan, 9.5, 10.5, 1000.0, np.inf])
    found = estimate_scale(values, 'test')
    assert found is not None
    assert (found.value, found.frames) == (10.0, 7)
    assert found.spread == pytest.approx(1.4826 * 0.5 / 10.0)


def test_the_spread_of_normal_values_is_their_standard_deviation() -> None:
    values = np.random.default_rng(0).normal(5.0, 0.5, 20000)
    found = estimate_scale(values, 'test')
    assert found is not None
    assert found.spread == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize('values', [[1.0] * 4, [np.nan] * 9, [-1.0] * 9, [0.0] * 9])
def test_too_few_or_impossible_values_give_no_scale(values: list[float]) -> None:
    assert estimate_scale(np.array(values), 'test') is None


def test_millimetres_in_the_positions_are_doubted() -> None:
    doubts = odometry_doubts(_table(800.0 * np.arange(50), speed_m_s=8.0))
    assert len(doubts) == 2
    assert 'move at 8e+03 m/s in the median, which no vehicle does' in doubts[0]
    assert 'one of the two is not in metres' in doubts[1]


def test_kilometres_an_hour_in_the_speed_are_doubted() -> None:
    doubts = odometry_doubts(_table(0.8 * np.arange(50), speed_m_s=28.8))
    assert doubts == (
        'positions move at 8 m/s, the odometry states 28.8 m/s: one of the two is not in metres',
    )


def test_a_proper_odometry_is_not_doubted() -> None:
    assert odometry_doubts(_table(0.8 * np.arange(50), speed_m_s=8.0)) == ()


def test_a_camera_height_ten_times_off_disagrees_with_odometry_by_a_factor_of_ten() -> None:
    found = disagreements([_estimate(5.4), _estimate(53.0, method='ground')])
    assert len(found) == 1
    assert 'differ by a factor of 9.81' in found[0]


def test_scales_within_their_spreads_agree() -> None:
    assert disagreements([_estimate(5.4), _estimate(5.6), _estimate(5.3)]) == ()
    assert disagreements([_estimate(5.40, 0.0), _estimate(5.45, 0.0)]) == ()


WIDE = replace(CAMERA, fx_px=100.0, fy_px=100.0)


def _measured(path: Path, camera: PinholeCamera, *more: str, frames: int = 200) -> ScaleEstimate:
    """Measure a model of this camera on a bag of ``CAMERA``."""
    file = write_tiny_model(
        path / 'model.safetensors',
        encoder='efficientnet_lite0',
        camera=TrainingCamera(camera=camera),
    )
    settings = MeasureSettings(methods=more or ('lidar',), frames=frames, camera_height_m=1.5)
    (found,) = measure(load_model(file), path / 'bag', path / 'work', settings)
    assert found.estimate is not None, found.reason
    return found.estimate


def test_a_scale_found_through_a_longer_lens_is_divided_by_what_the_node_multiplies_by(
    tmp_path: Path,
) -> None:
    write_lidar_bag(tmp_path / 'bag', frames=6)
    own, other = _measured(tmp_path, CAMERA), _measured(tmp_path, WIDE)
    assert other.value == pytest.approx(0.5 * own.value)
    assert other.notes[-1].endswith(
        'divided by 2.000, by which depth is multiplied for this camera'
    )
    assert other.notes[:-1] == own.notes


def test_a_given_calibration_stands_in_for_one_that_was_not_recorded(tmp_path: Path) -> None:
    write_lidar_bag(tmp_path / 'bag', frames=6)
    with open_recording(tmp_path / 'bag') as whole:
        calibration = whole.calibration('/camera/image_raw')
        with RecordingWriter(tmp_path / 'bare') as writer:
            for topic in whole.topics:
                if topic.type != CAMERA_INFO_TYPE:
                    writer.add_topic(topic.name, topic.type)
            for message in whole.messages(list(writer.counts)):
                writer.write(message.topic, message.stamp_ns, message.data)
    recorded = _measured(tmp_path, CAMERA)
    model = load_model(tmp_path / 'model.safetensors')
    settings = MeasureSettings(methods=('lidar',), calibration=calibration)
    (found,) = measure(model, tmp_path / 'bare', tmp_path / 'work', settings)
    assert found.estimate == recorded
    bare = MeasureSettings(methods=('lidar', 'ground'), camera_height_m=1.5)
    for refused in measure(model, tmp_path / 'bare', tmp_path / 'other work', bare):
        assert refused.estimate is None
        assert 'record its camera_info' in refused.reason


def test_a_given_mounting_stands_in_for_one_that_was_not_recorded(tmp_path: Path) -> None:
    write_lidar_bag(tmp_path / 'bag', frames=6)
    write_lidar_bag(tmp_path / 'bare', frames=6, told=False)
    recorded = _measured(tmp_path, CAMERA)
    model = load_model(tmp_path / 'model.safetensors')
    # From x ahead, y left, z up to x right, y down, z ahead.
    T_lidar_to_camera = np.eye(4)[[1, 2, 0, 3]] * [[-1.0], [-1.0], [1.0], [1.0]]
    settings = MeasureSettings(methods=('lidar',), extrinsics=T_lidar_to_camera)
    (found,) = measure(model, tmp_path / 'bare', tmp_path / 'work', settings)
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(recorded.value)
    (refused,) = measure(
        model, tmp_path / 'bare', tmp_path / 'work', MeasureSettings(methods=('lidar',))
    )
    assert refused.estimate is None
    assert '--extrinsics FILE' in refused.reason


def test_odometry_that_is_named_and_not_there_is_refused(tmp_path: Path) -> None:
    write_lidar_bag(tmp_path / 'bag', frames=6)
    file = write_tiny_model(tmp_path / 'model.safetensors', encoder='efficientnet_lite0')
    settings = MeasureSettings(methods=('ground',), camera_height_m=1.5, odometry_topic='/odom')
    with pytest.raises(RecordingError, match=r"no topic '?/odom"):
        measure(load_model(file), tmp_path / 'bag', tmp_path / 'work', settings)


def test_a_method_that_fails_says_why_and_the_others_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_left(*_: object, **__: object) -> None:
        raise TrainingError('no sample is left of 12 frames')

    monkeypatch.setattr(measuring, 'networks_of', lambda model: object())
    monkeypatch.setattr(measuring, 'make_split', nothing_left)
    write_lidar_bag(tmp_path / 'bag', frames=6)
    file = write_tiny_model(tmp_path / 'model.safetensors', encoder='efficientnet_lite0')
    settings = MeasureSettings(methods=('odometry', 'lidar'))
    odometry, lidar = measure(load_model(file), tmp_path / 'bag', tmp_path / 'work', settings)
    assert (odometry.estimate, odometry.reason) == (None, 'no sample is left of 12 frames')
    assert lidar.estimate is not None


def test_a_scale_by_lidar_looks_at_the_whole_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lidar_bag(tmp_path / 'bag', frames=12)
    seen_s: list[float] = []

    def ratios(estimator: object, frames: object) -> np.ndarray:
        seen_s.extend(frame.stamp_s for frame in frames)
        return np.ones(len(seen_s))

    monkeypatch.setattr(by_truth, 'metres_per_unit', ratios)
    _measured(tmp_path, CAMERA, frames=6)
    np.testing.assert_allclose(seen_s, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_without_ground_no_pitch_is_told(tmp_path: Path) -> None:
    write_lidar_bag(tmp_path / 'bag', frames=6)
    file = write_tiny_model(tmp_path / 'model.safetensors', encoder='efficientnet_lite0')
    settings = MeasureSettings(methods=('ground',), camera_height_m=1.5)
    (found,) = measure(load_model(file), tmp_path / 'bag', tmp_path / 'work', settings)
    assert found.estimate is None
    assert found.reason.startswith('0 of 6 frames or steps could be used (6 frames: ')
    assert 'nan' not in found.reason


@pytest.mark.parametrize('topic', ['image_raw', 'image_rect'])
def test_the_ground_is_sought_where_it_lies_in_the_rectified_picture(
    tmp_path: Path, topic: str
) -> None:
    tilt = (np.sin(0.04), 0.0, 0.0, np.cos(0.04))
    R = rotation_matrices(np.array([tilt]))[0]
    calibration = replace(make_bag.CALIBRATION, R=tuple(R.ravel()))
    level = ('base_link', 'level', (0.0, 0.0, 1.5, *OPTICAL))
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic(f'/camera/{topic}', IMAGE_TYPE)
        writer.add_topic('/camera/camera_info', CAMERA_INFO_TYPE)
        writer.add_topic('/tf_static', TF_TYPE, latched=True)
        info = cdr.camera_info(calibration, stamp_ns=START_NS, frame_id='camera')
        writer.write(
            '/tf_static', START_NS, links(level, ('level', 'camera', (0.0, 0.0, 0.0, *tilt)))
        )
        writer.write('/camera/camera_info', START_NS, info)
        writer.write(f'/camera/{topic}', START_NS, make_bag.image(0, START_NS))
    with open_recording(tmp_path / 'bag') as recording:
        found = find_mounting(recording)
    assert found is not None
    assert found.height_m == pytest.approx(1.5)
    assert found.normal == pytest.approx([0.0, 1.0, 0.0], abs=1e-9)
