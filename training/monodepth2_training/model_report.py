# SPDX-License-Identifier: Apache-2.0
"""What a model file holds, as text for people and as a document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monodepth2_ros.model_description import description_to_document

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from monodepth2_ros.model_description import ModelDescription, Scale, TrainingCamera
    from monodepth2_ros.model_file import Model

RELATIVE = 'unknown: relative depth, not metres'


def report_document(model: Model) -> dict[str, object]:
    """Everything about a verified model file, ready for JSON."""
    return {
        'path': str(model.path),
        'bytes': model.path.stat().st_size,
        'schema': model.schema,
        'sha256': model.sha256,
        'depth_net_weights': _count(model.depth_net.parameters()),
        'pose_net_weights': _count(model.pose_state.values()),
        'description': description_to_document(model.description),
    }


def report_text(model: Model) -> str:
    """Everything about a verified model file, one line a topic."""
    size = model.path.stat().st_size
    rows = [
        ('file', f'{model.path}, {size / 1e6:.1f} MB, schema {model.schema}, verified'),
        *_network_rows(model.description, _count(model.depth_net.parameters())),
        ('pose network', _pose(_count(model.pose_state.values()))),
        ('camera', _camera(model.description.camera)),
        ('scale', scale_text(model.description.scale)),
        *sorted(model.description.provenance.items()),
        ('sha256', model.sha256),
    ]
    width = max(len(name) for name, _ in rows)
    return '\n'.join(f'{name:<{width}}  {text}' for name, text in rows)


def scale_text(scale: Scale | None) -> str:
    """A scale in words."""
    if scale is None:
        return RELATIVE
    spread = f'spread {scale.spread:.1%}' if scale.spread else 'spread not known'
    frames = f'{scale.frames} frames' if scale.frames else 'no frames of its own'
    return f'{scale.value:g} m per network unit, {spread}, {frames}; {scale.method}'


def _network_rows(description: ModelDescription, weights: int) -> list[tuple[str, str]]:
    network, depths = description.network, description.depth_range
    unit = 'network units' if description.scale is None else 'network units before scaling'
    return [
        ('network', f'{network.encoder}, {weights / 1e6:.3f} million weights'),
        ('input', f'{network.width}x{network.height}, {description.resize} resize'),
        ('scales', ' '.join(str(scale) for scale in network.scales)),
        ('depth range', f'{depths.min_depth_m:g} to {depths.max_depth_m:g} {unit}'),
    ]


def _pose(weights: int) -> str:
    return f'{weights / 1e6:.3f} million values' if weights else 'none'


def _camera(camera: TrainingCamera | None) -> str:
    if camera is None:
        return 'unknown'
    pinhole = camera.camera
    return (
        f'{pinhole.width}x{pinhole.height}, fx {pinhole.fx_px:g} fy {pinhole.fy_px:g} '
        f'cx {pinhole.cx_px:g} cy {pinhole.cy_px:g} px, '
        f'{camera.distortion_model or "no distortion"}'
    )


def _count(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)
