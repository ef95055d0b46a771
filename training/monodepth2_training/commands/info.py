# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 info``: print what a model file says about itself and verify it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from monodepth2_training.shared_files import MODEL_HELP, model_path

if TYPE_CHECKING:
    import argparse

HELP = (
    'Print network, input, depth range, camera, scale, origin and digest of a model file. The '
    'whole file is read and verified; a damaged or foreign one is refused with the reason.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('file', metavar='FILE', type=model_path, help=MODEL_HELP)
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(args: argparse.Namespace) -> int:
    """Verify and print."""
    from monodepth2_ros.model_file import load_model
    from monodepth2_training.model_report import report_document, report_text

    model = load_model(args.file)
    print(json.dumps(report_document(model), indent=2) if args.json else report_text(model))
    return 0
