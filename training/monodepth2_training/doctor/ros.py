# SPDX-License-Identifier: Apache-2.0
"""What the process ``monodepth2_ros.nodes.ros_facts`` tells about ROS, judged.

ROS stays in that process: this package imports none of it, and a machine without ROS only lacks
these lines.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from monodepth2_ros.delivery import FIND_S, Delivery
from monodepth2_ros.errors import CalibrationError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.health import Level
from monodepth2_ros.recordings.messages import COMPRESSED_IMAGE_TYPE, IMAGE_TYPE
from monodepth2_ros.typed_document import decode
from monodepth2_training.doctor.check import Check

_EXTRA_S = 60.0
_END_S = 10.0


def limit_s(duration_s: float) -> float:
    """How long the process may take that listens for ``duration_s`` and tests the middleware."""
    return duration_s + FIND_S + _EXTRA_S


def ask(topic: str, *, duration_s: float) -> tuple[dict[str, Any] | None, str]:
    """Run the process; gives its facts, or None and why there are none."""
    command = [sys.executable, '-m', 'monodepth2_ros.nodes.ros_facts', f'--topic={topic}']
    command += ['--seconds', str(duration_s)]
    longest_s = limit_s(duration_s)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=longest_s)
    except subprocess.TimeoutExpired:
        return None, f'ROS did not answer within {longest_s:.0f} s'
    finally:
        _end(process)
    try:
        return json.loads(out.splitlines()[-1]), ''
    except (IndexError, ValueError):
        return None, (err.strip().splitlines() or [f'exit code {process.returncode}'])[-1]


def _end(process: subprocess.Popen[str]) -> None:
    """End the process, and the one that it sends from, if it still runs.

    Killed at once, they would leave their shared memory behind.
    """
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.communicate(timeout=_END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def checks(facts: dict[str, Any]) -> list[Check]:
    """Middleware, its test, and the camera if one was asked about."""
    found = [_middleware(facts), _delivery(decode(Delivery, facts['delivery'], 'delivery'))]
    return found + ([_camera(facts['camera'])] if facts['camera'] else [])


def missing(reason: str) -> Check:
    """The line for a machine on which ROS cannot be used."""
    text = f'cannot be used ({reason}): source ROS 2, or install it by `make venv`'
    return Check(name='ros', level=Level.ERROR, text=text)


def calibration(facts: dict[str, Any]) -> CameraCalibration | None:
    """The calibration that the camera sends, if it was heard."""
    document = (facts['camera'] or {}).get('calibration')
    return decode(CameraCalibration, document, 'camera_info') if document else None


def _middleware(facts: dict[str, Any]) -> Check:
    profiles = facts['profiles']
    text = (
        f'{facts["distribution"]}, {facts["middleware"]}, domain {facts["domain"]}, '
        f'Fast DDS profile: {", ".join(sorted(set(profiles.values()))) or "none set"}'
    )
    kept = {name: facts[name] for name in ('distribution', 'middleware', 'domain', 'profiles')}
    return Check(name='ros', level=Level.OK, text=text, facts=kept)


def _delivery(delivery: Delivery) -> Check:
    finding = delivery.finding()
    facts: dict[str, object] = dict(vars(delivery))
    return Check(name='middleware', level=finding.level, text=finding.text, facts=facts)


def _camera(camera: dict[str, Any]) -> Check:
    """Judge what was heard on the camera's topic."""
    heard, topic = camera['messages'], camera['topic']
    rate_hz = (heard - 1) / camera['seconds'] if camera['seconds'] > 0.0 else 0.0
    facts = {**camera, 'rate_hz': rate_hz}
    if not camera['type']:
        text = f'nobody publishes {topic}: start the driver, or check the name and the domain'
        return Check(name='camera', level=Level.ERROR, text=text, facts=facts)
    if camera['type'] not in (IMAGE_TYPE, COMPRESSED_IMAGE_TYPE):
        text = (
            f'{topic} is no camera: it carries {camera["type"]}, expected {IMAGE_TYPE} or '
            f'{COMPRESSED_IMAGE_TYPE}'
        )
        return Check(name='camera', level=Level.ERROR, text=text, facts=facts)
    offers = ', '.join(sorted(set(camera['reliability'])))
    if not heard:
        text = (
            f'{topic} ({camera["type"]}, {offers}) has a publisher, but no image came: is the '
            'camera paused, or do large messages get lost (docs/deployment.md)?'
        )
        return Check(name='camera', level=Level.ERROR, text=text, facts=facts)
    fault = _calibration_fault(camera)
    text = (
        f'{topic}: {rate_hz:.1f} Hz, {camera["message_bytes"] / 1e6:.2f} MB, {camera["type"]}, '
        f'{offers}; {fault or "camera_info beside it"}'
    )
    level = Level.WARN if fault else Level.OK
    return Check(name='camera', level=level, text=text, facts=facts)


def _calibration_fault(camera: dict[str, Any]) -> str:
    """Why the node would have no use for the camera_info beside a camera; empty if it would."""
    if not camera['calibration']:
        return 'no camera_info beside it'
    try:
        described = decode(CameraCalibration, camera['calibration'], 'camera_info').checked()
    except CalibrationError as err:
        return f'the camera_info beside it cannot be used: {err}'
    size = camera['image_size']
    if size is None or described.fits(*size):
        return ''
    expected = 'x'.join(map(str, described.image_size))
    return (
        f'the camera_info beside it is for images of {expected} pixels, but they have '
        f'{"x".join(map(str, size))}'
    )
