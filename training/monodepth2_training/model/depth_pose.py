# SPDX-License-Identifier: Apache-2.0
"""The trained model: from the views of a batch to disparity, poses and, if wanted, masks.

Pose networks see frames in temporal order and predict ``T_earlier_to_later``. So the motion to the
next frame is used as it is and that from the previous frame inverted, in every variant alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.geometry.depth import DepthRange, disparity_to_inverse_depth
from monodepth2_ros.networks.depth_decoder import DepthDecoder
from monodepth2_ros.networks.depth_net import DepthNet, DepthNetConfig
from monodepth2_ros.networks.encoder_registry import check_encoder
from monodepth2_ros.typed_document import nearest
from monodepth2_training.data.triplets import MODES, source_names
from monodepth2_training.model.pose import invert_rigid, rigid_transform
from monodepth2_training.model.pose_net import POSE_VARIANTS, build_pose_net

if TYPE_CHECKING:
    from monodepth2_ros.networks.depth_decoder import Maps
    from monodepth2_ros.networks.encoder import Features
    from monodepth2_training.data.augmentation import Views

TEMPORAL = ('previous', 'next')
"""Sources whose pose is predicted; those of the other sources are given."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Networks, the size of their input, and the weights that they begin with."""

    encoder: str = 'resnet18'
    """Encoder of the depth network; its names are those of ``DepthNetConfig.encoder``."""
    width: int = 640
    """Columns of the input, a multiple of 32."""
    height: int = 192
    """Rows of the input, a multiple of 32."""
    scales: tuple[int, ...] = (0, 1, 2, 3)
    """Scales s at which disparity is predicted and judged, at 1 / 2^s of the input's size."""
    pose: str = 'separate'
    """One of ``POSE_VARIANTS``: ``separate`` (a network of its own that sees two frames),
    ``separate_all`` (it sees all three), ``shared`` (the depth encoder's features of two frames),
    ``posecnn`` (seven plain convolutions over two frames)."""
    pose_encoder: str = 'resnet18'
    """Encoder of a ``separate`` or ``separate_all`` pose network."""
    initial_disparity: float = 0.5
    """Disparity that new heads give at first. The published start of 0.5 lies at twice the
    nearest depth; less begins farther away, which a short training has less far to go from."""
    weights: str = 'imagenet'
    """What both encoders begin with: ``imagenet``, ``random`` or the path of a file."""
    pose_weights: str = ''
    """What the pose network begins with, if that shall differ from ``weights``."""

    def __post_init__(self) -> None:
        """Refuse unknown names, sizes that the network cannot restore, and no disparity."""
        self.depth_net()
        if not 0.0 < self.initial_disparity < 1.0:
            raise ConfigError(
                f'initial_disparity {self.initial_disparity} is no disparity: expected a number '
                'between 0 and 1'
            )
        check_encoder(self.pose_encoder)
        if self.pose not in POSE_VARIANTS:
            raise ConfigError(
                f'pose {self.pose!r} is not known: {nearest(self.pose, POSE_VARIANTS)}'
            )

    def depth_net(self) -> DepthNetConfig:
        """The depth network's part, as the model file states it."""
        return DepthNetConfig(
            encoder=self.encoder, width=self.width, height=self.height, scales=self.scales
        )


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the networks say about a batch of B items with S sources."""

    disparities: tuple[torch.Tensor, ...]
    """Float [B, 1, H / 2^s, W / 2^s] in (0, 1) for each scale, finest first."""
    T_target_to_sources: torch.Tensor
    """Float32 [B, S, 4, 4] in the order of the sources."""
    masks: tuple[torch.Tensor, ...] | None
    """Float [B, S, H / 2^s, W / 2^s] in (0, 1) for each scale, how far each source is believed;
    None without a predictive mask."""


class DepthPoseModel(nn.Module):
    """Depth network, pose network and, if wanted, predictive mask."""

    def __init__(
        self,
        config: ModelConfig,
        *,
        sources: Sequence[str] = TEMPORAL,
        depth_range: DepthRange | None = None,
        predictive_mask: bool = False,
    ) -> None:
        """Build the networks with random weights.

        Args:
            config: which networks.
            sources: names of the sources in the order of the views; those of one of ``MODES``.
            depth_range: depths at disparity 1 and 0; ``posecnn`` alone asks for it.
            predictive_mask: whether to predict how far each source is believed.

        Raises:
            ConfigError: the sources are none that this model can have.
        """
        super().__init__()
        _check_sources(sources)
        self.config = config
        self.sources = tuple(sources)
        self.depth_range = depth_range or DepthRange()
        self.depth_net = DepthNet(config.depth_net())
        _begin_at(self.depth_net, config.initial_disparity)
        channels = self.depth_net.encoder.channels
        self.pose_net = (
            build_pose_net(config.pose, encoder=config.pose_encoder, features=channels[-1])
            if set(TEMPORAL) <= set(sources)
            else None
        )
        self.mask_decoder = (
            DepthDecoder(channels, config.scales, outputs=len(self.sources))
            if predictive_mask
            else None
        )

    def forward(self, views: Views) -> Prediction:
        """Predict disparity of the targets and their motion to each source."""
        features, seen = self._encoded(views)
        disparities = _maps(self.depth_net.decoder, features)
        masks = None if self.mask_decoder is None else _maps(self.mask_decoder, features)
        poses = self._poses(views, seen, disparities[0])
        return Prediction(disparities=disparities, T_target_to_sources=poses, masks=masks)

    def pose_state(self) -> dict[str, torch.Tensor]:
        """Tensors of the pose network for the model file; empty if there is none."""
        return {} if self.pose_net is None else self.pose_net.state_dict()

    def _encoded(self, views: Views) -> tuple[Features, list[torch.Tensor]]:
        """Features of the target, and what the pose network sees of previous, target and next.

        That is the frames, or the features of ``shared``: there all frames pass through the
        depth encoder in one batch, as published, since its normalisation depends on that.
        """
        encoder = self.depth_net.encoder
        if self.pose_net is None:
            return encoder(views.target_input), []
        before, after = (views.sources_input[:, self.sources.index(name)] for name in TEMPORAL)
        if self.config.pose != 'shared':
            return encoder(views.target_input), [before, views.target_input, after]
        of_all = encoder(torch.cat((before, views.target_input, after)))
        target = tuple(maps.chunk(3)[1] for maps in of_all)
        return cast('Features', target), list(of_all[-1].chunk(3))

    def _poses(
        self, views: Views, seen: Sequence[torch.Tensor], disparity: torch.Tensor
    ) -> torch.Tensor:
        """Transforms float32 [B, S, 4, 4] from the target to every source."""
        known = dict(zip(self.sources, views.T_target_to_cameras.unbind(1), strict=True))
        if self.pose_net is not None:
            motions = self._motions(self.pose_net, seen)
            if self.config.pose == 'posecnn':
                motions = motions * self._translation_unit(disparity)
            T = rigid_transform(motions[..., :3], motions[..., 3:])
            known |= {'previous': invert_rigid(T[:, 0]), 'next': T[:, 1]}
        return torch.stack([known[name] for name in self.sources], dim=1)

    def _motions(self, pose_net: nn.Module, seen: Sequence[torch.Tensor]) -> torch.Tensor:
        """Motions float32 [B, 2, 6] from previous to target and from target to next.

        Pairs pass one after the other: in one batch they would share their normalisation's
        statistics, which is another training than the published one.
        """
        if self.config.pose == 'separate_all':
            motions: torch.Tensor = pose_net(seen)
            return motions
        return torch.cat((pose_net(seen[:2]), pose_net(seen[1:])), dim=1)

    def _translation_unit(self, disparity: torch.Tensor) -> torch.Tensor:
        """Factors float32 [B, 1, 6]: 1 for a rotation, mean inverse depth for a translation."""
        inverse_depth = disparity_to_inverse_depth(disparity.float(), self.depth_range)
        mean = inverse_depth.mean((1, 2, 3))[:, None, None].expand(-1, 1, 3)
        return torch.cat((torch.ones_like(mean), mean), dim=-1)


def _maps(decoder: DepthDecoder, features: Features) -> Maps:
    """A decoder's maps, their heads in float32 also where autocast runs its stages in less."""
    stages = decoder.refine(features)
    with torch.autocast(features[-1].device.type, enabled=False):
        return decoder.read(stages, decoder.scales)


def _begin_at(depth_net: DepthNet, disparity: float) -> None:
    """Shift what new heads give from about 0.5 to about ``disparity``."""
    for head in depth_net.decoder.heads.values():
        bias = head.get_parameter('bias')
        with torch.no_grad():
            bias.add_(math.log(disparity / (1.0 - disparity)))


def _check_sources(sources: Sequence[str]) -> None:
    """Refuse unknown, repeated and missing sources."""
    if sorted(sources) not in [sorted(source_names(mode)) for mode in MODES]:
        raise ConfigError(
            f'sources {tuple(sources)} are not usable: expected previous and next, partner, '
            'all three, or left and right'
        )
