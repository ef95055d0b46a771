# SPDX-License-Identifier: Apache-2.0
"""Write the network as ONNX, and run it in ONNX Runtime to check it.

It takes ``image``, RGB uint8 [1, 3, h, w], and gives ``disparity``, float32 [1, 1, h, w].
"""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from monodepth2_ros.errors import ExportError
from monodepth2_ros.inference.engines.network import InferenceNet, example_image
from monodepth2_ros.memory import resident_bytes
from monodepth2_ros.model_description import description_to_document
from monodepth2_ros.optional_packages import load_package

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from monodepth2_ros.model_file import Model

OPSET = 18
"""Version of ONNX's operators that is written."""


def write_onnx(model: Model, target: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """Write a model's network, with the model file's description beside it.

    Args:
        model: a loaded model file.
        target: the file to write.
        dtype: of all layers but the last convolution, which stays float32.

    Raises:
        ExportError: the package onnx is missing.
    """
    onnx = load_package('onnx', cannot='ONNX cannot be written', error=ExportError)
    net, image = InferenceNet(model.depth_net, dtype), example_image(model.depth_net)
    with warnings.catch_warnings(), torch.no_grad():
        # The tracing exporter needs no package beside onnx; torch warns that there is another.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            net,
            (image,),
            str(target),
            input_names=['image'],
            output_names=['disparity'],
            opset_version=OPSET,
            dynamo=False,
        )
    written = onnx.load(str(target))
    for key, value in (
        ('model_sha256', model.sha256),
        ('description', json.dumps(description_to_document(model.description), sort_keys=True)),
    ):
        written.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(written)
    onnx.save(written, str(target))


class OnnxEngine:
    """Runs an ONNX file on the CPU."""

    name = 'onnxruntime float32'
    device_name = 'cpu'

    def __init__(self, path: Path) -> None:
        """Load a file.

        Raises:
            ExportError: the package onnxruntime is missing.
        """
        onnxruntime = load_package('onnxruntime', cannot='ONNX cannot be run', error=ExportError)
        self._session: Any = onnxruntime.InferenceSession(
            str(path), providers=['CPUExecutionProvider']
        )

    def infer(self, image: torch.Tensor) -> NDArray[np.float32]:
        """Compute disparity float32 [h, w] of uint8 [1, 3, h, w]."""
        (disparity,) = self._session.run(None, {'image': image.contiguous().numpy()})
        return np.asarray(disparity[0, 0], np.float32)

    def memory_bytes(self) -> int:
        """Bytes of this process."""
        return resident_bytes()

    def close(self) -> None:
        """Free the network."""
        self._session = None
