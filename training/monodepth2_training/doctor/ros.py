# SPDX-License-Identifier: Apache-2.0
"""What the process ``monodepth2_ros.nodes.ros_facts`` tells about ROS, judged.

ROS stays in that process: this package imports none of it, and a machine without ROS only lacks
these lines.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from monodepth2_ros.delivery import Delivery
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.health import Level
from monodepth2_ros.typed_document import decode
from monodepth2_training.doctor.check import Check

_EXTRA_S = 60.0


def ask(topic: str, *, duration_s: float) -> tuple[dict[str, Any] | None, str]:
    """Run the process; gives its facts, or None and why there are none."""
    command = [sys.executable, '-m', 'monodepth2_ros.nodes.ros_facts', '--topic', topic]
    command += ['--seconds', str(duration_s)]
    limit_s = duration_s + _EXTRA_S
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return None, f'ROS did not answer within {limit_s:.0f} s'
    try:
        return json.loads(done.stdout.splitlines()[-1]), ''
    except (IndexError, ValueError):
        return None, (done.stderr.strip().splitlines() or [f'exit code {done.returncode}'])[-1]


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
    offers = ', '.join(sorted(set(camera['reliability'])))
    if not heard:
        text = (
            f'{topic} ({camera["type"]}, {offers}) has a publisher, but no image came: is the '
            'camera paused, or do large messages get lost (docs/deployment.md)?'
        )
        return Check(name='camera', level=Level.ERROR, text=text, facts=facts)
    info = 'camera_info beside it' if camera['calibration'] else 'no camera_info beside it'
    text = (
        f'{topic}: {rate_hz:.1f} Hz, {camera["message_bytes"] / 1e6:.2f} MB, {camera["type"]}, '
        f'{offers}; {info}'
    )
    level = Level.OK if camera['calibration'] else Level.WARN
    return Check(name='camera', level=level, text=text, facts=facts)
