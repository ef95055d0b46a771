# SPDX-License-Identifier: Apache-2.0
"""Judges a model on the frames of a recording whose true depth is known, beside two guesses.

The guesses never look at the picture: one depth everywhere, and the usual depth at each place of
other frames with truth. Every prediction is scaled to its truth's median.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from monodepth2_training.evaluation import truth
from monodepth2_training.evaluation.depth_errors import (
    DepthErrors,
    depth_errors,
    known_pixels,
    mean_errors,
    median_scaled,
)
from monodepth2_training.evaluation.median_map import median_map
from numpy.typing import NDArray

from monodepth2_ros.images import CompressedImage, decode, decode_compressed
from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.inference.views import View, Views
from monodepth2_ros.recordings import (
    Recording,
    choose_camera,
    image_frames,
    open_recording,
)

Depth = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class TrueFrame:
    """A rectified picture and what is known of its depth."""

    stamp_s: float
    """Since the recording's start."""
    rgb: NDArray[np.uint8]
    """[H, W, 3]"""
    true_m: Depth
    """[H, W], not finite where unknown."""
    view: View
    """Its camera and the window that the network may see."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Mean errors over frames; ratios are metres per unit of predicted depth."""

    frames: int
    ours: DepthErrors
    constant: DepthErrors
    usual: DepthErrors
    ratio: float
    ratio_spread: float


def true_frames(path: Path, camera: str = '') -> Iterator[TrueFrame]:
    """Stream the frames of a camera for whose very stamp there is true depth."""
    with open_recording(path) as recording:
        image = choose_camera(recording, camera).image
        topic = truth.find_topic(recording, image)
        calibration, views = recording.calibration(image), Views()
        if topic is None or calibration is None:
            raise SystemExit(f'{path}: {image} has no true depth or no calibration')
        width, height = calibration.image_size
        view = views.view(calibration, width=width, height=height, rectify='auto')
        yield from _matched(recording, image, topic, view)


def _matched(recording: Recording, image: str, topic: str, view: View) -> Iterator[TrueFrame]:
    camera = view.camera
    if camera is None:
        raise SystemExit(f'{recording.path}: {view.notes}')
    P = np.hstack([camera.K, np.zeros((3, 1))])
    seen = truth.View(width=camera.width, height=camera.height, P=P)
    truths = truth.frames(recording, topic, image, seen)
    stamp_ns, true_m = next(truths, (None, None))
    for image_ns, picture in image_frames(recording, image):
        while stamp_ns is not None and stamp_ns < image_ns:
            stamp_ns, true_m = next(truths, (None, None))
        if stamp_ns != image_ns or true_m is None:
            continue
        compressed = isinstance(picture, CompressedImage)
        rgb = decode_compressed(picture) if compressed else decode(picture)
        rgb = view.rectifier.rectify(rgb) if view.rectifier else rgb
        stamp_s = (image_ns - recording.start_ns) / 1e9
        yield TrueFrame(stamp_s=stamp_s, rgb=rgb, true_m=true_m, view=view)


def judge(
    model: Path,
    frames: Sequence[TrueFrame],
    others_m: Sequence[Depth],
    inside: NDArray[np.bool_],
    *,
    cell_px: int,
) -> Judgement:
    """Judge a model.

    Args:
        model: the model file.
        frames: what to judge it on.
        others_m: true depth [H, W] of the frames that the usual depth is taken from.
        inside: bool [H, W], the part of the picture that counts.
        cell_px: within how large a cell truth is gathered; 1 for dense truth.
    """
    usual = median_map(others_m, cell_px=cell_px)
    estimator = DepthEstimator.load(model)
    rows: dict[str, list[DepthErrors]] = {'ours': [], 'constant': [], 'usual': []}
    ratios = []
    for frame in frames:
        ours = estimator.infer(frame.rgb, window=frame.view.window)
        known = known_pixels(frame.true_m) & inside & np.isfinite(ours)
        true_m = frame.true_m[known]
        guesses = {'ours': ours, 'constant': np.ones_like(ours), 'usual': usual}
        for name, guess in guesses.items():
            scaled, ratio = median_scaled(guess[known], true_m)
            rows[name].append(depth_errors(scaled, true_m))
            if name == 'ours':
                ratios.append(ratio)
    return Judgement(
        frames=len(frames),
        ratio=float(np.median(ratios)),
        ratio_spread=float(np.std(ratios) / np.median(ratios)),
        **{name: mean_errors(errors) for name, errors in rows.items()},
    )


def table(judgements: dict[str, Judgement]) -> str:
    """A markdown table of several judgements by name."""
    names = [field.name for field in fields(DepthErrors)]
    lines = [
        f'| frames | depth | {" | ".join(names)} |',
        f'|---|---|{"---|" * len(names)}',
    ]
    for name, judgement in judgements.items():
        for label, errors in (
            (f'model (median scale {judgement.ratio:.3f} ± {judgement.ratio_spread:.1%})', 'ours'),
            ('usual depth of each place', 'usual'),
            ('one depth everywhere', 'constant'),
        ):
            found = getattr(judgement, errors)
            values = ' | '.join(f'{getattr(found, key):.3f}' for key in names)
            lines.append(f'| {name} ({judgement.frames}) | {label} | {values} |')
    return '\n'.join(lines)
