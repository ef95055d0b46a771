# SPDX-License-Identifier: Apache-2.0
"""The recording camera: where it is mounted, its lens, and what its electronics do.

One camera stands for KITTI's; a fleet of others, drawn once and for all, is what drives with
variety are recorded with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_training.world.lens import EQUIDISTANT, Lens
from monodepth2_training.world.motion import Mounting
from monodepth2_training.world.sensor import Sensor

FLEET = 24
"""How many cameras there are to drives with variety: seeds that differ by it share one."""

_FX_PER_WIDTH, _FY_PER_HEIGHT = 0.58, 1.92


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A camera on its vehicle."""

    lens: Lens
    """What it sees where."""
    mounting: Mounting = field(default_factory=Mounting)
    """Where it is on the vehicle."""
    sensor: Sensor = field(default_factory=Sensor)
    """Its electronics."""
    shutter_s: float = 0.0
    """How long it exposes; 0 for pictures without motion blur."""


def standard_rig(width: int, height: int) -> Rig:
    """KITTI's field of view at 640x192, square pixels at other shapes; sharp and in colour."""
    fx = _FX_PER_WIDTH * width
    fy = _FY_PER_HEIGHT * height if width * 3 == height * 10 else fx
    return Rig(lens=Lens(camera=_centred(width, height, fx, fy)))


def fleet_rig(number: int, width: int, height: int) -> Rig:
    """Camera ``number`` of the fleet, with pictures of this size."""
    rng = np.random.default_rng([number % FLEET, 11])
    lens = _draw_lens(rng, width, height)
    mounting = Mounting(
        forward_m=float(rng.uniform(0.2, 1.8)),
        left_m=float(rng.uniform(-0.3, 0.3)),
        up_m=float(
            rng.choice([rng.uniform(0.7, 1.3), rng.uniform(1.3, 1.9), rng.uniform(1.9, 2.6)])
        ),
        pitch_rad=float(rng.uniform(-0.03, 0.10)),
    )
    return Rig(
        lens=lens,
        mounting=mounting,
        sensor=_draw_sensor(rng),
        shutter_s=float(rng.uniform(0.001, 0.014)),
    )


def _draw_lens(rng: np.random.Generator, width: int, height: int) -> Lens:
    """Four in ten without distortion, four with that of common lenses, two fisheyes."""
    kind, bend = rng.random(), float(rng.uniform(-0.03, 0.22))
    fx = width * float(np.exp(rng.uniform(np.log(0.45), np.log(1.0))))
    corner = 0.5 * float(np.hypot(width, height))
    p1, p2 = rng.normal(0.0, 4e-4, 2).tolist()
    shift_x, shift_y = (rng.uniform(-0.02, 0.02, 2) * width).tolist()
    widest_rad, k1 = float(rng.uniform(0.8, 1.1)), float(rng.uniform(-0.03, 0.03))
    if kind < 0.4:
        return Lens(camera=_centred(width, height, fx, fx, shift_x, shift_y))
    if kind < 0.8:
        # By which share the corner moves inwards decides k1 and k2, whatever the focal length.
        reach = corner / fx / (1.0 - 0.8 * bend)
        D = (-bend / reach**2, 0.2 * bend / reach**4, p1, p2, 0.0)
        return Lens(camera=_centred(width, height, fx, fx, shift_x, shift_y), D=D)
    fx = corner / widest_rad
    camera = _centred(width, height, fx, fx, shift_x, shift_y)
    return Lens(camera=camera, distortion_model=EQUIDISTANT, D=(k1, 0.0, 0.0, 0.0))


def _centred(
    width: int, height: int, fx: float, fy: float, shift_x: float = 0.0, shift_y: float = 0.0
) -> PinholeCamera:
    """A camera that looks through the middle of its picture, or some pixels beside it."""
    return PinholeCamera(
        width=width,
        height=height,
        fx_px=fx,
        fy_px=fy,
        cx_px=0.5 * width - 0.5 + shift_x,
        cy_px=0.5 * height - 0.5 + shift_y,
    )


def _draw_sensor(rng: np.random.Generator) -> Sensor:
    red, blue = rng.uniform(0.9, 1.1, 2).tolist()
    return Sensor(
        colour=bool(rng.random() < 0.8),
        noise=float(rng.uniform(0.003, 0.014)),
        gamma=1.0 / float(rng.uniform(1.7, 2.3)),
        balance=(red, 1.0, blue),
        vignette=float(rng.uniform(0.0, 0.35)),
        jpeg_quality=int(rng.integers(40, 95)) if rng.random() < 0.7 else 0,
    )
