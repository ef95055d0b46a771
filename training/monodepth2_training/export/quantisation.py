# SPDX-License-Identifier: Apache-2.0
"""Fit an int8 network to the frames of a recording (post-training quantisation by NNCF)."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ExportError
from monodepth2_ros.inference.engines.openvino import load_openvino, openvino_core, writing
from monodepth2_ros.optional_packages import load_package

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

# The head's 255 steps would show in the depth.
_HEAD = r'.*net\.decoder\.heads.*'
_ENCODER = r'.*net\.encoder.*'


def quantise(
    path: Path, images: Sequence[torch.Tensor], target: Path, *, encoder: bool = True
) -> Path:
    """Quantise a converted network.

    Args:
        path: an ``.xml`` file from ``openvino.convert``.
        images: uint8 [1, 3, h, w] each, typical of what the network will see.
        target: the ``.xml`` file to write, with a ``.bin`` file beside it.
        encoder: whether the encoder is quantised, too.

    Returns:
        ``target``.

    Raises:
        ExportError: the package nncf is missing.
        DeviceError: OpenVINO is not installed, or the folder cannot be written.
    """
    openvino = load_openvino()
    nncf = load_package('nncf', cannot='an int8 network cannot be made', error=ExportError)
    nncf.set_log_level(logging.ERROR)
    samples = [image.permute(0, 2, 3, 1).contiguous().numpy() for image in images]
    # Its bars of progress are no part of what the command prints.
    with contextlib.redirect_stdout(sys.stderr):
        network = nncf.quantize(
            openvino_core().read_model(str(path)),
            nncf.Dataset(samples),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(patterns=[_HEAD] if encoder else [_HEAD, _ENCODER]),
        )
    with writing(target.parent):
        openvino.save_model(network, str(target), compress_to_fp16=False)
    return target
