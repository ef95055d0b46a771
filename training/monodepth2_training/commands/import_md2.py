# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 import``: turn an md2 checkpoint folder into a model file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ModelFileError

if TYPE_CHECKING:
    import argparse

HELP = (
    'Turn a folder of encoder.pth and depth.pth, and pose_encoder.pth and pose.pth if there, '
    'written by the reference implementation nianticlabs/monodepth2 ("md2"), into one model file. '
    'Nothing in the folder is executed. The network gives the same disparity as before. Weights '
    'trained with stereo pairs get the scale 5.4 of md2; others have none. md2 licenses its code '
    'and weights for non-commercial use only, and the model file says so.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('folder', metavar='FOLDER', help='md2 checkpoint folder (weights_19, ...)')
    parser.add_argument('out', metavar='OUT', type=Path, help='model file, ends in .safetensors')
    parser.add_argument(
        '--min-depth-m', type=float, default=0.1, help='min_depth of the training (default 0.1)'
    )
    parser.add_argument(
        '--max-depth-m', type=float, default=100.0, help='max_depth of the training (default 100)'
    )
    parser.add_argument('--force', action='store_true', help='replace OUT if it exists')
    parser.add_argument('--json', action='store_true', help='print JSON')


def run(args: argparse.Namespace) -> int:
    """Import, save, read back and print."""
    from monodepth2_ros.geometry.depth import DepthRange
    from monodepth2_ros.md2_checkpoint import import_md2
    from monodepth2_ros.model_file import load_model, save_model
    from monodepth2_training.model_report import report_document, report_text

    if args.out.exists() and not args.force:
        raise ModelFileError(
            f'{args.out} exists: choose another name, or add --force to replace it'
        )
    depths = DepthRange(min_depth_m=args.min_depth_m, max_depth_m=args.max_depth_m)
    save_model(args.out, *import_md2(args.folder, depth_range=depths))
    model = load_model(args.out)
    print(json.dumps(report_document(model), indent=2) if args.json else report_text(model))
    return 0
