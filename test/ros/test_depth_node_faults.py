# SPDX-License-Identifier: Apache-2.0
"""The fault table: what each bad input does, which counter rises, and the next frame is fine."""

from __future__ import annotations

import array
import threading

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from support.depth_world import answer, figures, held
from support.ros_camera import camera_info, image, stamp_of
from support.ros_harness import wait_until
from support.tiny_model import write_tiny_model

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.model_description import TrainingCamera

NAN = float('nan')


def short_data():
    message = image()
    message.data = message.data[:-1]
    return message


def changed(**fields):
    message = image()
    for name, value in fields.items():
        setattr(message, name, value)
    return message


BAD = 'image not decodable'
UNKNOWN = 'encoding not supported'
BAD_IMAGES = {
    'step shorter than a row': (lambda: changed(step=239), BAD),
    'step zero': (lambda: changed(step=0), BAD),
    'one byte short': (short_data, BAD),
    'no data': (lambda: changed(data=array.array('B')), BAD),
    'zero size': (lambda: changed(width=0, height=0), BAD),
    'huge size': (lambda: changed(width=65537, height=65537), BAD),
    'largest size': (lambda: changed(width=2**32 - 1, height=2**32 - 1), BAD),
    'unknown encoding': (lambda: changed(encoding='rgb9'), UNKNOWN),
    'empty encoding': (lambda: changed(encoding=''), UNKNOWN),
}


def test_bad_images_are_dropped_by_cause_and_the_next_good_one_answered(
    depth_world, tiny_model, logged
):
    depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    camera = depth_world.camera()
    expected = dict.fromkeys((BAD, UNKNOWN), 0)
    for name, (make, cause) in BAD_IMAGES.items():
        camera.send(make())
        expected[cause] += 1
        depth_world.wait_figure(f'dropped: {cause}', str(expected[cause]))
        assert answer(depth, camera.send(image())), name
    status = depth_world.wait_figure('frames published', str(len(BAD_IMAGES)))
    assert figures(status)['frames received'] == str(2 * len(BAD_IMAGES))
    assert figures(status)['frames in flight'] == '0'
    assert 'frame dropped, image not decodable: ' in logged('frame dropped, image not decodable')
    assert 'rgb9' in logged('frame dropped, encoding not supported')


def test_a_corrupt_jpeg_is_dropped_and_the_next_good_one_answered(depth_world, tiny_model):
    import cv2

    depth_world.start(model=tiny_model, image_transport='compressed')
    depth = depth_world.output('depth/image')
    camera = depth_world.camera(kind=CompressedImage, topic='image/compressed')
    pixels = np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8)
    jpeg = cv2.imencode('.jpg', pixels)[1].tobytes()
    for count, data in enumerate((b'', jpeg[:20], b'\x00' * 1000, b'<html>not found</html>'), 1):
        camera.send(CompressedImage(format='jpeg', data=data))
        depth_world.wait_figure('dropped: image not decodable', str(count))
        answer(depth, camera.send(CompressedImage(format='jpeg', data=jpeg)))


@pytest.mark.parametrize(
    ('fields', 'part'),
    [
        ({'k': [NAN] * 9}, 'finite'),
        ({'k': [0.0] * 9, 'p': [0.0] * 12}, 'calibrat'),
        ({'distortion_model': 'magic', 'd': [0.1] * 5}, 'magic'),
        ({'width': 640, 'height': 480}, '640x480'),
    ],
    ids=['NaN in K', 'zero K', 'unknown distortion model', 'K of another size'],
)
def test_a_bad_camera_info_costs_the_cloud_but_not_the_depth(
    depth_world, tiny_model, logged, fields, part
):
    depth_world.start(model=tiny_model)
    depth, points = depth_world.output('depth/image'), depth_world.output('depth/points')
    camera = depth_world.camera()
    stamp = camera.send(image(), camera_info(**fields))
    answer(depth, stamp)
    warned = depth_world.status(lambda status: status.level == b'\x01')
    assert part in warned.message
    assert part in logged(part)
    assert not points.messages
    stamp = camera.send(image(), camera_info())
    answer(depth, stamp)
    answer(points, stamp)
    depth_world.status(lambda status: status.level == b'\x00')


def test_a_calibration_file_of_another_size_is_named_beside_a_camera_info_without_calibration(
    depth_world, tiny_model, tmp_path
):
    from monodepth2_ros.geometry.calibration_file import save_calibration
    from monodepth2_ros.nodes import messages

    path = tmp_path / 'camera.yaml'
    save_calibration(path, messages.calibration(camera_info(1280, 720)))
    depth_world.start(model=tiny_model, calibration_url=f'file://{path}')
    depth = depth_world.output('depth/image')
    camera = depth_world.camera()
    answer(depth, camera.send(image(), camera_info(k=[0.0] * 9, p=[0.0] * 12)))
    status = depth_world.status(lambda status: '1280x720' in status.message)
    assert 'K is all zero' in status.message


@pytest.mark.parametrize('topic', ['depth/camera_info', 'depth/points'])
def test_a_frame_that_gives_nothing_for_want_of_a_calibration_is_no_published_one(
    depth_world, tiny_model, topic
):
    depth_world.start(model=tiny_model)
    output, camera = depth_world.output(topic), depth_world.camera()
    camera.send(image())
    status = depth_world.wait_figure('dropped: cloud or camera_info without calibration', '1')
    assert figures(status)['frames published'] == '0'
    answer(output, camera.send(image(), camera_info()))
    depth_world.wait_figure('frames published', '1')


def test_an_uncalibrated_driver_leaves_the_calibration_file_in_force(
    depth_world, tiny_model, tmp_path
):
    from monodepth2_ros.geometry.calibration_file import save_calibration
    from monodepth2_ros.nodes import messages

    path = tmp_path / 'camera.yaml'
    save_calibration(path, messages.calibration(camera_info()))
    depth_world.start(model=tiny_model, calibration_url=f'file://{path}')
    points = depth_world.output('depth/points')
    camera = depth_world.camera()
    answer(points, camera.send(image()))
    answer(points, camera.send(image(), camera_info(k=[0.0] * 9, p=[0.0] * 12)))
    assert depth_world.figure('calibration') == f'file file://{path}'


def test_a_changed_camera_info_is_used_at_once(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    infos, depth = depth_world.output('depth/camera_info'), depth_world.output('depth/image')
    camera = depth_world.camera()
    answer(infos, camera.send(image(), camera_info()))
    changed_info = camera_info()
    changed_info.k[0] = changed_info.p[0] = 71.0
    camera.send(image(), changed_info)
    assert answer(infos, camera.send(image(), changed_info)).k[0] == 71.0
    assert depth.messages


def test_a_waiting_image_keeps_the_calibration_it_came_with(depth_world, tiny_model):
    node = depth_world.start(model=tiny_model)
    infos = depth_world.output('depth/camera_info')
    camera = depth_world.camera()
    gate, entered = held(node)
    camera.send(image(), camera_info())
    assert entered.wait(30)
    waiting = camera.send(image(), camera_info())
    wait_until(lambda: node.monitor.report(0.0).counts.received == 2)
    changed_info = camera_info()
    changed_info.k[0] = changed_info.p[0] = 71.0
    camera.publishers[1].publish(changed_info)
    wait_until(lambda: node.session.calibrations.current.K[0] == 71.0)
    gate.set()
    assert answer(infos, waiting).k[0] == 64.0


def test_images_that_give_no_depth_are_an_error_until_one_does(depth_world, tiny_model):
    depth_world.start(model=tiny_model, camera_timeout_s=0.4)
    depth_world.output('depth/image')
    camera = depth_world.camera()
    sent = [changed(encoding='rgb9')]
    timer = depth_world.node.create_timer(0.05, lambda: camera.send(sent[0], camera_info()))
    status = depth_world.status(lambda status: 'no depth for' in status.message)
    assert status.level == b'\x02'
    assert 'encoding not supported' in status.message
    sent[0] = image()
    depth_world.status(lambda status: status.level == b'\x00')
    timer.cancel()


def test_a_refused_camera_is_counted_as_such_and_not_as_a_bad_image(depth_world, tmp_path, logged):
    longer = TrainingCamera(
        camera=PinholeCamera(width=80, height=60, fx_px=99.0, fy_px=99.0, cx_px=39.5, cy_px=29.5)
    )
    model = write_tiny_model(tmp_path / 'other.safetensors', camera=longer)
    depth_world.start(model=str(model), camera_mismatch='refuse')
    depth_world.output('depth/image')
    depth_world.camera().send(image(), camera_info())
    status = depth_world.wait_figure('dropped: camera refused', '1')
    assert figures(status)['dropped: image not decodable'] == '0'
    assert 'the focal length is' in logged('frame dropped, camera refused: ')


def test_the_resolution_may_change_from_frame_to_frame(depth_world, tiny_model):
    depth_world.start(model=tiny_model)
    depth, infos = depth_world.output('depth/image'), depth_world.output('depth/camera_info')
    camera = depth_world.camera()
    for width, height in [(80, 60), (120, 40), (80, 60), (16, 12), (90, 300), (121, 61)]:
        message, info = image(width, height), camera_info(width, height)

        def answered(message=message, info=info):
            stamp = camera.send(message, info)
            depth_message = answer(depth, stamp)
            assert (depth_message.width, depth_message.height) == (message.width, message.height)
            return next((m for m in list(infos.messages) if stamp_of(m) == stamp), None)

        found = wait_until(answered)
        assert (found.width, found.height) == (width, height)


def test_time_going_backwards_is_noted_and_answered(depth_world, tiny_model, logged):
    depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    camera = depth_world.camera()
    answer(depth, camera.send(image()))
    camera.stamp_ns -= 60_000_000_000
    answer(depth, camera.send(image()))
    depth_world.wait_figure('stamps went backwards', '1')
    assert 'looped bag' in logged('stamps went backwards')


def test_a_flood_into_a_slow_model_is_answered_by_its_newest_frame(depth_world, tiny_model):
    node = depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    camera = depth_world.camera()
    begun, gate = threading.Event(), threading.Event()
    processor = node.session.processor
    process = processor.answer

    def slow(frame):
        begun.set()
        assert gate.wait(30)
        process(frame)

    processor.answer = slow
    camera.send(image())
    # Else a busy machine might take no frame before the last one has replaced all others.
    assert begun.wait(30)
    for _ in range(99):
        last = camera.send(image())
    wait_until(lambda: figures(depth_world.status())['frames in flight'] == '2')
    gate.set()
    answer(depth, last)
    status = depth_world.status(lambda status: figures(status)['frames in flight'] == '0')
    received = int(figures(status)['frames received'])
    replaced = int(figures(status)['dropped: a newer frame came'])
    assert int(figures(status)['frames published']) == 2
    assert received == 2 + replaced
    assert len(depth.messages) == 2


def test_a_rate_limit_drops_and_counts(depth_world, tiny_model):
    depth_world.start(model=tiny_model, max_rate_hz=0.01)
    depth = depth_world.output('depth/image')
    camera = depth_world.camera()
    answer(depth, camera.send(image()))
    camera.send(image())
    camera.send(image())
    depth_world.status(lambda s: int(figures(s)['dropped: over max_rate_hz']) >= 1)


def test_an_encoding_that_only_cv_bridge_knows_goes_through_it(
    depth_world, tiny_model, monkeypatch
):
    import sys
    import types

    class FakeBridge:
        def imgmsg_to_cv2(self, message, encoding):
            assert (message.encoding, encoding) == ('special', 'rgb8')
            return np.zeros((message.height, message.width, 3), np.uint8)

    module = types.ModuleType('cv_bridge')
    module.CvBridge, module.CvBridgeError = FakeBridge, TypeError
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)
    depth_world.start(model=tiny_model)
    depth = depth_world.output('depth/image')
    answer(depth, depth_world.camera().send(image(encoding='special')))
