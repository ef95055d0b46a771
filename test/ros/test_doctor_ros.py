# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 doctor`` beside a camera that publishes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from monodepth2_training.doctor import ros
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, PointCloud2
from support.ros_camera import Camera, camera_info, image
from support.ros_harness import wait_until

from monodepth2_ros.delivery import FIND_S
from monodepth2_ros.nodes import middleware_check, ros_facts


def test_doctor_hears_a_camera_and_compares_it_with_the_model(ros_world, tiny_model):
    camera = Camera(ros_world.node, topic='/camera/image_raw', qos=qos_profile_sensor_data)
    info = ros_world.node.create_publisher(type(camera_info()), '/camera/camera_info', 10)
    command = [sys.executable, '-m', 'monodepth2_training.cli', 'doctor', '--json']
    command += ['--model', tiny_model, '--topic', '/camera/image_raw', '--seconds', '6']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    timer = ros_world.node.create_timer(
        0.05, lambda: (info.publish(camera_info()), camera.send(image()))
    )
    wait_until(lambda: process.poll() is not None, deadline_s=60.0)
    ros_world.node.destroy_timer(timer)
    checks = {c['name']: c for c in json.loads(process.stdout.read())['checks']}
    faulty = any(check['level'] == 'error' for check in checks.values())
    assert process.returncode == (1 if faulty else 0), checks
    # A machine that is busy with other tests sends and receives less.
    assert 1.0 < checks['camera']['facts']['rate_hz'] < 30.0
    assert checks['camera']['facts']['reliability'] == ['best_effort']
    assert 0 < checks['middleware']['facts']['received'] <= 20
    assert 'does not say which camera' in checks['calibration']['text']


@pytest.fixture
def heard(ros_world):
    """What the doctor hears of a camera that publishes one message over and over."""

    def listen(message, info):
        publishers = [
            ros_world.node.create_publisher(type(message), '/camera/picture', 10),
            ros_world.node.create_publisher(type(info), '/camera/camera_info', 10),
        ]
        timer = ros_world.node.create_timer(
            0.05, lambda: [p.publish(m) for p, m in zip(publishers, (message, info), strict=True)]
        )
        try:
            return ros_facts.listen('/camera/picture', 1.5)
        finally:
            ros_world.node.destroy_timer(timer)

    return listen


def test_a_cloud_beside_a_camera_info_is_named_and_no_camera(heard):
    facts = heard(PointCloud2(width=1, height=1), camera_info())
    assert (facts.type, facts.messages) == ('sensor_msgs/msg/PointCloud2', 0)


@pytest.mark.parametrize('compressed', [False, True])
def test_the_size_of_the_images_is_told(heard, compressed):
    picture = image(80, 60)
    if compressed:
        data = cv2.imencode('.jpg', np.zeros((60, 80, 3), np.uint8))[1].tobytes()
        picture = CompressedImage(format='jpeg', data=data)
    facts = heard(picture, camera_info(1280, 720))
    assert facts.image_size == (80, 60)
    assert (facts.calibration['width'], facts.calibration['height']) == (1280, 720)


def test_the_doctor_waits_until_processes_that_do_not_find_each_other_say_so():
    test_s = FIND_S + middleware_check.MESSAGES * 0.04 + 5.0
    assert ros.limit_s(3.0) > 3.0 + test_s + 30.0


def _of_this_run(mark):
    """Processes whose environment holds a mark, in order of their ids."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            if mark in (folder / 'environ').read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return sorted(found)


@pytest.mark.skipif(
    os.environ.get('ROS_DISTRO') == 'humble', reason='discovery cannot be switched off in Humble'
)
def test_a_test_that_does_not_answer_is_ended_with_its_sender(monkeypatch):
    mark = f'MONODEPTH2_DOCTOR_TEST={os.getpid()}'
    monkeypatch.setenv(*mark.split('='))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF')
    monkeypatch.delenv('ROS_LOCALHOST_ONLY', raising=False)
    monkeypatch.setattr(ros, 'limit_s', lambda duration_s: 8.0)
    facts, reason = ros.ask('', duration_s=0.0)
    assert (facts, reason) == (None, 'ROS did not answer within 8 s')
    wait_until(lambda: not _of_this_run(mark.encode()))
