# SPDX-License-Identifier: Apache-2.0
"""Keeps the scale of a running node: given, or measured on its own frames.

Sources: ``model`` (the model file's, adapted to a camera of another focal length), ``fixed`` (a
parameter), ``ground_plane`` (the camera's height over that of the ground in its depth) and
``odometry`` (metres travelled over the camera's motion in units of its depth).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.geometry.depth import disparity_to_depth
from monodepth2_ros.inference.camera_match import (
    MISMATCH_CHOICES,
    SAME_FOCAL,
    CameraMatch,
    match_cameras,
)
from monodepth2_ros.inference.ground_plane import GroundFinder, NoGround
from monodepth2_ros.inference.odometry_steps import OdometrySteps, SeenFrame
from monodepth2_ros.inference.running_scale import RunningScale, ScaleReading
from monodepth2_ros.inference.travelled import TravelledWay

if TYPE_CHECKING:
    from monodepth2_ros.geometry.camera import PinholeCamera
    from monodepth2_ros.geometry.static_frames import MountedCamera
    from monodepth2_ros.inference.views import View
    from monodepth2_ros.model_description import ModelDescription

SCALE_SOURCES = ('model', 'fixed', 'ground_plane', 'odometry')
"""Where metres come from."""

NO_CAMERA = 'no camera_info'
NO_HEIGHT = 'the height of the camera is unknown: set camera_height_m, or publish its tf'
_UNKNOWN_CAMERA = 'the camera is unknown: metres hold only if it is that of the training'


@dataclass(frozen=True, kw_only=True)
class ScaleSettings:
    """Where the scale comes from."""

    source: str = 'model'
    """One of ``SCALE_SOURCES``."""
    fixed: float = 0.0
    """Metres per network unit; if not 0 it takes the place of the model's, too."""
    camera_height_m: float = 0.0
    """Height of the camera above the ground; 0 waits for tf to tell."""
    camera_mismatch: str = 'rescale'
    """One of ``MISMATCH_CHOICES``."""

    def __post_init__(self) -> None:
        """Refuse unknown names, and ``fixed`` without a value."""
        if self.source not in SCALE_SOURCES or self.camera_mismatch not in MISMATCH_CHOICES:
            raise ConfigError(
                f'scale_source {self.source!r} with camera_mismatch {self.camera_mismatch!r} is '
                f'not known: expected {", ".join(SCALE_SOURCES)} and '
                f'{", ".join(MISMATCH_CHOICES)}'
            )
        if self.source == 'fixed' and not self.fixed > 0.0:
            raise ConfigError(
                'scale_source is fixed but scale is 0: set scale to metres per network unit '
                'first, or in the same call'
            )


class ScaleKeeper:
    """The scale of one camera's depth; frames come from one thread, odometry from another.

    Attributes:
        model_sha256: digest of the model file that the scale is of; empty if unknown.
        way: the vehicle's odometry, to be told of every position.
        stamp_ns: of the frame that comes next.
    """

    def __init__(
        self,
        description: ModelDescription,
        settings: ScaleSettings,
        *,
        model_sha256: str = '',
        clock_s: Callable[[], float] = monotonic,
    ) -> None:
        """Start without evidence."""
        self.model_sha256 = model_sha256
        self._description, self._clock_s = description, clock_s
        self._settings = settings
        self.way = TravelledWay()
        self._start_anew()
        self._match = CameraMatch()
        self._looked_at: View | None = None
        self._finder: GroundFinder | None = None
        self._mounting: MountedCamera | None = None
        self._finder_of: MountedCamera | None = None
        self._measured_focal_px = 0.0
        self.stamp_ns = 0

    @property
    def settings(self) -> ScaleSettings:
        """Where the scale comes from."""
        return self._settings

    def change(self, settings: ScaleSettings) -> None:
        """Take over settings; another source or height starts without evidence."""
        before, self._settings = self._settings, settings
        if (before.source, before.camera_height_m) != (settings.source, settings.camera_height_m):
            self._start_anew()

    @property
    def mounting(self) -> MountedCamera | None:
        """How the camera is mounted by tf; None if that is not known."""
        return self._mounting

    def mount(self, mounting: MountedCamera | None) -> None:
        """Learn from tf how the camera is mounted, or that tf does not know this camera."""
        self._mounting = mounting

    @property
    def measures(self) -> bool:
        """Whether the scale is measured on the frames."""
        return self._settings.source in ('ground_plane', 'odometry')

    @property
    def differences(self) -> tuple[str, ...]:
        """In what the live camera differs from the model's, and what is done about it."""
        match, choice = self._match, self._settings.camera_mismatch
        if not match.other_focal:
            return match.differences
        done = {
            'rescale': f'depth is multiplied by {match.factor:.3f}',
            'refuse': 'frames are refused',
            'ignore': f'depth is off by a factor of {match.factor:.3f}',
        }[choice]
        if choice == 'rescale' and not self._takes_model():
            done = 'the scale in use is not that of the model file'
        return (f'{match.differences[0]}: {done}', *match.differences[1:])

    def begin(self, view: View) -> None:
        """Look at the camera of the frame that comes.

        Raises:
            CameraMismatchError: it is another than the model's, and that is refused.
        """
        if view is not self._looked_at:
            self._looked_at, self._finder = view, None
            network = self._description.network
            self._match = match_cameras(
                self._description.camera, view.seen, width=network.width, height=network.height
            )
            if view.seen is not None:
                self._start_anew_behind(view.seen.resized(network.width, network.height))
            elif self._description.camera is not None and self._description.scale is not None:
                self._match = CameraMatch(differences=(_UNKNOWN_CAMERA,))
        self._match.applied(self._settings.camera_mismatch)

    def _start_anew_behind(self, camera: PinholeCamera) -> None:
        """Drop what was measured behind a lens of another focal length, at the network's size."""
        focal_px = math.sqrt(camera.fx_px * camera.fy_px)
        if abs(focal_px - self._measured_focal_px) > SAME_FOCAL * focal_px:
            self._measured_focal_px = focal_px
            self._start_anew()

    def _start_anew(self) -> None:
        self._running = RunningScale(self._settings.source)
        self._steps = OdometrySteps(self.way, self._running, self._clock_s)

    def watch(self, rgb: NDArray[np.uint8], disparity: NDArray[np.float32], view: View) -> None:
        """Learn from a frame.

        Args:
            rgb: what the network saw, uint8 [h, w, 3].
            disparity: what it said, float32 [h, w].
            view: of the image.
        """
        if not self.measures:
            return
        camera = view.at_network_size(*disparity.shape[::-1]).camera
        if camera is None:
            self._running.hold(NO_CAMERA)
            return
        depth = disparity_to_depth(disparity, self._description.depth_range)
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        if self._settings.source == 'ground_plane':
            self._by_ground(grey, depth, camera, view.R_raw_to_rectified)
        else:
            seen = SeenFrame(stamp_ns=self.stamp_ns, grey=grey, depth=depth, camera=camera)
            self._steps.look(seen)

    @property
    def scale(self) -> float:
        """Metres per network unit at this moment; 0 while it is unknown."""
        return self.reading.value

    @property
    def measured(self) -> ScaleReading:
        """What was measured so far, whatever is used."""
        return self._running.reading(self._clock_s())

    @property
    def reading(self) -> ScaleReading:
        """The scale at this moment, and where it comes from."""
        if self.measures:
            measured = self.measured
            if measured.is_known:
                return measured
            given = self._given()
            reason = measured.frozen or 'no evidence yet'
            source = f'{given.source} until {self._settings.source} is measured'
            return ScaleReading(
                value=given.value, spread=given.spread, source=source, frozen=reason
            )
        return self._given()

    def _given(self) -> ScaleReading:
        """The scale that is not measured here."""
        if self._settings.fixed > 0.0:
            return ScaleReading(value=self._settings.fixed, source='parameter')
        scale = self._description.scale
        if scale is None:
            return ScaleReading(value=0.0, source='no source: relative depth')
        choice = self._settings.camera_mismatch
        factor = self._match.factor if choice == 'rescale' and self._match.other_focal else 1.0
        adapted = f', times {factor:.3f} for this camera' if factor != 1.0 else ''
        return ScaleReading(
            value=scale.value * factor,
            spread=scale.spread,
            source=f'{scale.method} (model file{adapted})',
            frames=scale.frames,
        )

    def _takes_model(self) -> bool:
        return not self.measures and self._settings.fixed == 0.0

    def _by_ground(
        self,
        grey: NDArray[np.uint8],
        depth: NDArray[np.float32],
        camera: PinholeCamera,
        R_raw_to_rectified: NDArray[np.float64],
    ) -> None:
        """Compare the height that depth shows with the true one."""
        height_m = self._settings.camera_height_m
        mounting, normal = self._mounting, None
        if mounting is not None:
            height_m, normal = height_m or mounting.height_m, R_raw_to_rectified @ mounting.down
        if height_m <= 0.0:
            self._running.hold(NO_HEIGHT)
            return
        # tf may be heard meanwhile, in another thread: a finder is kept with what it is made of.
        finder = self._finder
        if finder is None or self._finder_of is not mounting:
            finder = self._finder = GroundFinder(camera, normal=normal)
            self._finder_of = mounting
        found = finder.find(depth, grey)
        if isinstance(found, NoGround):
            self._running.hold(found.reason)
        else:
            self._running.add(height_m / found.height_units, self._clock_s())
