# SPDX-License-Identifier: Apache-2.0
"""The pose network of a model file: from two pictures to the motion between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.inference.engines.device import choose_device
from monodepth2_ros.inference.preprocess import full_window, network_input
from monodepth2_ros.model_file import load_model
from monodepth2_training.model.pose import rigid_transform
from monodepth2_training.model.pose_net import PoseNet
from monodepth2_training.model.stored_networks import pose_kind, used_motions

if TYPE_CHECKING:
    from pathlib import Path

    from monodepth2_ros.model_description import ModelDescription
    from monodepth2_training.evaluation.odometry.poses import Transforms

_WHITE = 255.0


class MotionModel:
    """A pose network over pairs of frames; that of the paper's table 4.

    Attributes:
        description: what the model file says.
    """

    def __init__(
        self, network: PoseNet, description: ModelDescription, device: torch.device
    ) -> None:
        """Wrap a network in evaluation mode."""
        self._network, self._device = network, device
        self.description = description

    @classmethod
    def load(cls, path: Path, *, device: str = 'auto') -> MotionModel:
        """Load the pose network of a model file.

        Raises:
            ModelFileError: the file is missing or damaged.
            DeviceError: the device cannot be used.
            EvaluationError: it has no pose network over pairs of frames.
        """
        chosen, _ = choose_device(device)
        model = load_model(path)
        network = _network_of(model.pose_state, path)
        return cls(network.to(chosen).eval(), model.description, chosen)

    def motions(self, pictures: Iterable[NDArray[np.uint8]]) -> Iterator[Transforms]:
        """Stream ``T_earlier_to_later`` float64 [4, 4] between pictures uint8 [H, W, 3]."""
        before: torch.Tensor | None = None
        for rgb in pictures:
            seen = self._seen(rgb)
            if before is not None:
                yield self._between(before, seen)
            before = seen

    def _seen(self, rgb: NDArray[np.uint8]) -> torch.Tensor:
        """What the network sees of a picture."""
        network = self.description.network
        image = network_input(
            rgb,
            window=full_window(rgb),
            width=network.width,
            height=network.height,
            resize=self.description.resize,
        )
        return image.to(self._device).float() / _WHITE

    def _between(self, earlier: torch.Tensor, later: torch.Tensor) -> Transforms:
        with torch.inference_mode():
            motion = self._network((earlier, later)).double()[0, 0]
            T: Transforms = rigid_transform(motion[:3], motion[3:]).cpu().numpy()
        return T


def _network_of(state: dict[str, torch.Tensor], path: Path) -> PoseNet:
    """Build the network that these tensors are of."""
    state = used_motions(state)
    kind = pose_kind(state, features=0, variants=('separate',))
    if kind is not None:
        network = PoseNet(kind[1])
        network.load_state_dict(state)
        return network
    found = 'another kind' if state else 'none'
    raise EvaluationError(
        f'{path} cannot predict motion: it needs a pose network over pairs of frames (pose: '
        f'separate), and has {found}'
    )
