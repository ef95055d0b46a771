# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 doctor``: is all there that the node needs, and does it work together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.health import Level
from monodepth2_training.shared_files import MODEL_HELP, model_path

if TYPE_CHECKING:
    import argparse

    from monodepth2_training.doctor.check import Check

HELP = (
    'Examine this machine: processor, memory, device, engines; with --model the model file, and '
    'the network once with the engine that a node would take; with '
    '--calibration or a camera_info beside --topic, whether the camera is that of the training; '
    'ROS, whether large messages get through the middleware (tried with two processes), and with '
    '--topic the rate and quality of service of a camera. One line each. Exit status 1 if any of '
    'them is an error.'
)

_LONGEST_S = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--model', metavar='FILE', type=model_path, help=MODEL_HELP)
    parser.add_argument('--topic', metavar='TOPIC', default='', help='an image topic to listen to')
    parser.add_argument(
        '--calibration', metavar='YAML', default='', help='a camera calibration file'
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument(
        '--seconds', type=float, default=3.0, help='how long to listen to TOPIC (default 3)'
    )
    parser.add_argument('--no-ros', action='store_true', help='leave ROS out')
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(args: argparse.Namespace) -> int:
    """Examine and print."""
    from monodepth2_training.doctor.check import as_document, as_text, worst

    if not 0.0 < args.seconds <= _LONGEST_S:
        raise ConfigError(
            f'--seconds {args.seconds:g} is not usable: expected more than 0 and at most '
            f'{_LONGEST_S:g}'
        )
    found = _checks(args)
    print(
        json.dumps(as_document(found), indent=2, allow_nan=False) if args.json else as_text(found)
    )
    return 1 if worst(found) is Level.ERROR else 0


def _checks(args: argparse.Namespace) -> list[Check]:
    """All lines, in the order in which they are printed."""
    from monodepth2_training.doctor import machine, ros
    from monodepth2_training.doctor.model import (
        match_camera,
        read_calibration,
        read_model,
        try_engine,
    )

    found = [machine.system(), machine.memory(), machine.device(args.device), machine.engines()]
    facts, reason = (None, '') if args.no_ros else ros.ask(args.topic, duration_s=args.seconds)
    calibration = ros.calibration(facts) if facts is not None else None
    origin = args.calibration or 'camera_info'
    if args.calibration:
        calibration, fault = read_calibration(args.calibration)
        found += [fault] if fault is not None else []
    if args.model:
        model, check = read_model(args.model)
        found.append(check)
        if model is not None:
            found.append(try_engine(model, args.device))
        if model is not None and calibration is not None:
            found.append(match_camera(model, calibration, origin))
    if facts is not None:
        found += ros.checks(facts)
    elif not args.no_ros:
        found.append(ros.missing(reason))
    return found
