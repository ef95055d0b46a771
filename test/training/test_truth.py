# SPDX-License-Identifier: Apache-2.0
"""True depth of a recording: matching, mountings, scans, their motion, and what hides points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from monodepth2_training.data.odometry import Odometry
from monodepth2_training.evaluation import truth
from monodepth2_training.evaluation.depth_views import other_view
from monodepth2_training.evaluation.ego_motion import EgoMotion
from monodepth2_training.evaluation.matching import match
from monodepth2_training.evaluation.median_map import MedianMap
from monodepth2_training.evaluation.scans import read_scan
from monodepth2_training.evaluation.sparse_depth import sparse_depth, without_hidden
from monodepth2_training.evaluation.transforms import transform_between
from support import make_bag
from support.lidar_bag import CAMERA, CLOUD_TYPE, TF_TYPE, cloud, links

from monodepth2_ros.errors import EvaluationError, RecordingError
from monodepth2_ros.geometry.static_frames import StaticFrames
from monodepth2_ros.recordings import Message, RecordingWriter, cdr, open_recording
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, IMAGE_TYPE

MS = 1_000_000


def stamps(*times_ms: int) -> list[tuple[int, int]]:
    return [(time * MS, time) for time in times_ms]


def pairs(ours: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(found.ours, found.theirs) for found in match(ours, theirs)]


def test_each_scan_takes_the_nearest_picture_once() -> None:
    pictures = stamps(0, 33, 67, 100, 133, 167, 200)
    assert pairs(pictures, stamps(5, 102, 190)) == [(0, 5), (100, 102), (200, 190)]


def test_each_picture_takes_the_nearest_scan_once() -> None:
    assert pairs(stamps(0, 100), stamps(5, 40, 90, 98, 130)) == [(0, 5), (100, 98)]


def test_what_goes_back_in_time_is_left_out_and_an_offset_is_told() -> None:
    found = list(match(stamps(0, 100, 50, 200), stamps(20, 120)))
    assert [(one.ours, one.theirs) for one in found] == [(0, 20), (100, 120)]
    assert {one.later_ns for one in found} == {20 * MS}


def test_nothing_matches_nothing() -> None:
    assert pairs([], stamps(1)) == pairs(stamps(1), []) == []


def moved(x: float) -> np.ndarray:
    T = np.eye(4)
    T[0, 3] = x
    return T


def test_links_are_chained_in_either_direction() -> None:
    tree = StaticFrames()
    tree.add('/base', 'map', moved(10.0))
    tree.add('lidar', 'base', moved(1.0))
    tree.add('mast', 'base', moved(0.5))
    tree.add('camera', 'mast', moved(0.25))
    assert transform_between(tree, 'lidar', 'camera')[0, 3] == pytest.approx(1.0 - 0.5 - 0.25)
    assert transform_between(tree, 'camera', 'lidar')[0, 3] == pytest.approx(-0.25)


def test_frames_that_are_not_linked_are_named_with_what_they_are_linked_with() -> None:
    tree = StaticFrames()
    tree.add('lidar', 'roof', moved(1.0))
    with pytest.raises(EvaluationError, match=r"'lidar' is linked with roof; 'eye' is"):
        transform_between(tree, 'lidar', 'eye')


def scan_message(points: np.ndarray, stamp_ns: int = 0) -> Message:
    data = cloud(np.asarray(points, np.float32), stamp_ns)
    return Message(topic='/points', type=CLOUD_TYPE, stamp_ns=7, data=data)


def test_times_of_points_become_stamps() -> None:
    points = [[1.0, 2.0, 3.0, -0.05], [4.0, np.nan, 6.0, 0.0], [7.0, 8.0, 9.0, 0.05]]
    scan = read_scan(scan_message(points, 10**18))
    assert scan.times_ns is not None
    assert scan.points.tolist() == [[1.0, 2.0, 3.0], [7.0, 8.0, 9.0]]
    assert np.abs(scan.times_ns - 10**18 - [-50 * MS, 50 * MS]).max() < 10


def test_times_that_span_more_than_a_scan_are_not_believed() -> None:
    assert read_scan(scan_message([[1, 1, 1, 0.0], [1, 1, 1, 30.0]])).times_ns is None


def test_a_cloud_that_is_cut_off_is_refused() -> None:
    whole = scan_message(np.ones((4, 3)))
    with pytest.raises(RecordingError):
        read_scan(replace(whole, data=whole.data[:-20]))


def test_points_are_moved_to_where_they_were_at_the_picture() -> None:
    """A vehicle at 10 m/s sees a post at x = 20 m at -0.1 s, 0 s and 0.1 s."""
    times_ns = np.arange(-5, 6) * 100 * MS + 10**18
    poses = np.zeros((11, 7))
    poses[:, 0], poses[:, 6] = np.arange(-5, 6) * 1.0, 1.0
    odometry = Odometry(
        topic='/odom', stamps_ns=times_ns, poses=poses, speeds_m_s=np.full(11, 10.0)
    )
    motion = EgoMotion(odometry=odometry, T_lidar_to_vehicle=moved(2.0))
    seen = [[21.0 - 2.0, 0, 0, -0.1], [20.0 - 2.0, 0, 0, 0.0], [19.0 - 2.0, 0, 0, 0.1]]
    scan = read_scan(scan_message(seen, 10**18))
    found = motion.seen_at(scan, 10**18)
    assert found is not None
    # Half a millisecond, the middle of a slot, is half a centimetre.
    assert np.abs(found - [18.0, 0.0, 0.0]).max() < 0.011
    rigid = motion.seen_at(replace(scan, times_ns=None), 10**18 + 100 * MS)
    assert rigid is not None
    assert rigid[:, 0] == pytest.approx([18.0, 17.0, 16.0], abs=0.011)
    assert motion.seen_at(scan, 10**18 + 2 * 10**9) is None


def plane(x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return np.column_stack((grid, np.full(len(grid), z)))


def test_points_behind_a_surface_that_the_camera_sees_are_left_out() -> None:
    near = plane(np.arange(-1.0, 1.0, 0.04), np.arange(-1.0, 1.0, 0.08), 8.0)
    far = plane(np.arange(-9.0, 9.0, 0.13), np.arange(-5.0, 5.0, 0.29), 24.0)
    depth = sparse_depth(np.concatenate((near, far)), CAMERA)
    kept = without_hidden(depth, CAMERA)
    rows, columns = np.nonzero(kept == 24.0)
    inside = (np.abs(columns - CAMERA.cx_px) < 22) & (np.abs(rows - CAMERA.cy_px) < 22)
    assert np.count_nonzero(depth[25:70, 137:182] == 24.0) > 20
    assert not inside.any()
    assert np.count_nonzero(kept == 8.0) == np.count_nonzero(depth == 8.0)
    beside = (np.abs(columns - CAMERA.cx_px) > 30) | (np.abs(rows - CAMERA.cy_px) > 30)
    assert np.count_nonzero(beside) > 0.95 * np.count_nonzero(depth[:, :125] == 24.0)


def test_ground_hides_nothing() -> None:
    z = np.geomspace(5.0, 60.0, 40)
    x = np.linspace(-3.0, 3.0, 120)
    points = np.stack(np.meshgrid(x, z), axis=-1).reshape(-1, 2)
    ground = np.column_stack((points[:, 0], np.full(len(points), 1.6), points[:, 1]))
    depth = sparse_depth(ground, CAMERA)
    kept = np.isfinite(without_hidden(depth, CAMERA))
    assert np.count_nonzero(kept) == np.count_nonzero(np.isfinite(depth))


def test_a_map_without_a_frame_is_that_of_the_others() -> None:
    draw = np.random.default_rng(1)
    truths = [
        (np.sort(draw.choice(600, 200, replace=False)).astype(np.int32), depth)
        for depth in draw.uniform(2.0, 60.0, (4, 200)).astype(np.float32)
    ]
    size = {'height': 20, 'width': 30, 'cell_px': 4}
    others = MedianMap(truths[:1] + truths[2:], **size).median()
    assert np.array_equal(MedianMap(truths, **size).median(without=1), others)


def write_rig(
    path: Path, *topics: tuple[str, str, float], same: tuple[str, str] = ('', '')
) -> Path:
    """One message on each (topic, frame, fx), each with its camera_info; two frames may be one."""
    stamp_ns = make_bag.START_NS
    with RecordingWriter(path) as writer:
        if any(same):
            writer.add_topic('/tf_static', TF_TYPE, latched=True)
            writer.write('/tf_static', stamp_ns, links((*same, (0.0,) * 6 + (1.0,))))
        for topic, frame, fx_px in topics:
            depth = 'depth' in topic
            pixels = np.zeros((48, 64) if depth else (48, 64, 3), np.uint16 if depth else np.uint8)
            encoding = '16UC1' if depth else 'rgb8'
            K = (fx_px, 0.0, 31.5, 0.0, fx_px, 23.5, 0.0, 0.0, 1.0)
            info = replace(make_bag.CALIBRATION, K=K, P=(0.0,) * 12)
            info_topic = f'{topic.rpartition("/")[0]}/camera_info'
            writer.add_topic(topic, IMAGE_TYPE)
            writer.add_topic(info_topic, CAMERA_INFO_TYPE)
            writer.write(
                info_topic, stamp_ns, cdr.camera_info(info, stamp_ns=stamp_ns, frame_id=frame)
            )
            writer.write(
                topic,
                stamp_ns,
                cdr.image(pixels, encoding=encoding, stamp_ns=stamp_ns, frame_id=frame),
            )
    return path


@pytest.mark.parametrize('frames', [('front', 'rear'), ('optical', 'optical')])
def test_each_camera_of_a_rig_takes_its_own_depth(tmp_path: Path, frames: tuple[str, str]) -> None:
    topics = [
        (f'/{name}/{kind}/image_raw', frame, 50.0)
        for name, frame in zip(('front', 'rear'), frames, strict=True)
        for kind in ('color', 'aligned_depth')
    ]
    with open_recording(write_rig(tmp_path / 'bag', *topics)) as recording:
        for name in ('front', 'rear'):
            found = truth.find_topic(recording, f'/{name}/color/image_raw')
            assert found == f'/{name}/aligned_depth/image_raw'


def test_depth_in_the_frame_of_the_pictures_goes_before_that_of_its_neighbour(
    tmp_path: Path,
) -> None:
    picture = ('/camera/color/image_raw', 'color', 50.0)
    depths = ('/camera/a_depth/image_rect', 'depth', 50.0), ('/out/depth/image', 'color', 50.5)
    with open_recording(write_rig(tmp_path / 'bag', picture, *depths)) as recording:
        assert truth.find_topic(recording, picture[0]) == depths[1][0]


@pytest.mark.parametrize(
    ('frame', 'fx_px', 'why'),
    [('depth', 50.0, "in the frame 'depth'"), ('color', 35.0, 'has fx 35, fy 35')],
)
def test_depth_of_another_view_is_not_taken_and_said_why(
    tmp_path: Path, frame: str, fx_px: float, why: str
) -> None:
    image, depth = '/camera/color/image_raw', '/camera/depth/image_rect'
    bag = write_rig(tmp_path / 'bag', (image, 'color', 50.0), (depth, frame, fx_px))
    with open_recording(bag) as recording:
        assert truth.find_topic(recording, image) is None
        assert why in other_view(recording, depth, image)


def test_frames_that_tf_lays_on_each_other_are_one_view(tmp_path: Path) -> None:
    image, depth = '/camera/infra1/image_rect', '/camera/depth/image_rect'
    topics = (image, 'infra1', 50.0), (depth, 'depth', 50.0)
    bag = write_rig(tmp_path / 'bag', *topics, same=('infra1', 'depth'))
    with open_recording(bag) as recording:
        assert truth.find_topic(recording, image) == depth
