# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 doctor`` beside a camera that publishes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from rclpy.qos import qos_profile_sensor_data
from support.ros_camera import Camera, camera_info, image
from support.ros_harness import wait_until


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
