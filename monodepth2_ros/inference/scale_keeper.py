# SPDX-License-Identifier: Apache-2.0
"""Keeps the scale of a running node: given, or measured on its own frames.

Sources: ``model`` (the model file's, adapted to a camera of another focal length), ``fixed`` (a
parameter), ``ground_plane`` (the camera's height over that of the ground in its depth) and
``odometry`` (metres travelled over the camera's motion in units of its depth).
"""

from __future__ import annotations

from collections import deque
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
    CameraMatch,
    match_cameras,
)
from monodepth2_ros.inference.frame_motion import FrameMotion, frame_motion
from monodepth2_ros.inference.ground_plane import GroundFinder, NoGround
from monodepth2_ros.inference.running_scale import RunningScale, ScaleReading
from monodepth2_ros.inference.travelled import TravelledWay

if TYPE_CHECKING:
    from monodepth2_ros.geometry.camera import PinholeCamera
    from monodepth2_ros.inference.views import View
    from monodepth2_ros.model_description import ModelDescription

SCALE_SOURCES = ('model', 'fixed', 'ground_plane', 'odometry')
"""Where metres come from."""

STANDING = 'standing still'
TURNING = 'turning'
NO_ODOMETRY = 'no odometry for these frames'
NO_MOTION = 'too little to follow in the picture'
NO_CAMERA = 'no camera_info'
NO_HEIGHT = 'the height of the camera is unknown: set camera_height_m, or publish its tf'

_LEAST_STEP_M = 0.3
_STANDING_M = 0.05
_LONGEST_STEP_NS = 1_000_000_000
_MOST_TURN_PER_M = 0.1
_WAITING = 20


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


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A frame that later ones are compared with."""

    stamp_ns: int
    grey: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: PinholeCamera


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
        self._running = RunningScale(settings.source)
        self._match = CameraMatch()
        self._matched: PinholeCamera | None = None
        self._finder: GroundFinder | None = None
        self._mounting: tuple[float, NDArray[np.float64]] | None = None
        self._key: _Seen | None = None
        self._waiting: deque[tuple[int, int, FrameMotion]] = deque(maxlen=_WAITING)
        self.way = TravelledWay()
        self.stamp_ns = 0

    @property
    def settings(self) -> ScaleSettings:
        """Where the scale comes from."""
        return self._settings

    def change(self, settings: ScaleSettings) -> None:
        """Take over settings; another source or height starts without evidence."""
        before, self._settings = self._settings, settings
        if (before.source, before.camera_height_m) != (settings.source, settings.camera_height_m):
            self._running = RunningScale(settings.source)
            self._waiting.clear()
            self._key = None

    def mount(self, height_m: float, normal: NDArray[np.float64]) -> None:
        """Learn from tf how high the camera is, and where the ground lies in its optical frame."""
        self._mounting = height_m, normal
        self._finder = None

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
        if view.camera is not self._matched:
            self._matched = view.camera
            network = self._description.network
            self._match = match_cameras(
                self._description.camera, view.seen, width=network.width, height=network.height
            )
        self._match.applied(self._settings.camera_mismatch)

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
            self._by_ground(grey, depth, camera)
        else:
            seen = _Seen(stamp_ns=self.stamp_ns, grey=grey, depth=depth, camera=camera)
            self._by_odometry(seen)

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
        self, grey: NDArray[np.uint8], depth: NDArray[np.float32], camera: PinholeCamera
    ) -> None:
        """Compare the height that depth shows with the true one."""
        height_m = self._settings.camera_height_m
        normal = None
        if self._mounting is not None:
            height_m, normal = height_m or self._mounting[0], self._mounting[1]
        if height_m <= 0.0:
            self._running.hold(NO_HEIGHT)
            return
        # tf may be heard meanwhile, in another thread.
        finder = self._finder
        if finder is None or finder.camera != camera:
            finder = self._finder = GroundFinder(camera, normal=normal)
        found = finder.find(depth, grey)
        if isinstance(found, NoGround):
            self._running.hold(found.reason)
        else:
            self._running.add(height_m / found.height_units, self._clock_s())

    def _by_odometry(self, seen: _Seen) -> None:
        """Compare the metres between this frame and an earlier one with the units between them."""
        key = self._key
        step_ns = 0 if key is None else seen.stamp_ns - key.stamp_ns
        if key is None or not 0 < step_ns <= _LONGEST_STEP_NS or key.camera != seen.camera:
            if step_ns < 0:  # Time jumped back: their odometry comes no more.
                self._waiting.clear()
            self._key = seen
            return
        self._settle()
        so_far_m = self.way.between_m(key.stamp_ns, min(seen.stamp_ns, self.way.newest_ns))
        if so_far_m is not None and so_far_m < _LEAST_STEP_M:
            if step_ns > 0.5 * _LONGEST_STEP_NS:
                self._running.hold(STANDING if so_far_m < _STANDING_M else NO_MOTION)
            return
        motion = frame_motion(key.grey, key.depth, seen.grey, seen.camera)
        self._key = seen
        if motion is None:
            self._running.hold(NO_MOTION)
            return
        self._waiting.append((key.stamp_ns, seen.stamp_ns, motion))

    def _settle(self) -> None:
        """Use the motions whose odometry has come in meanwhile."""
        if not self.way.newest_ns:
            self._running.hold(NO_ODOMETRY)
        while self._waiting and self._waiting[0][1] <= self.way.newest_ns:
            first_ns, second_ns, motion = self._waiting.popleft()
            way_m = self.way.between_m(first_ns, second_ns)
            if way_m is None:
                self._running.hold(NO_ODOMETRY)
            elif way_m < _STANDING_M:
                self._running.hold(STANDING)
            elif motion.turn_rad > _MOST_TURN_PER_M * way_m:
                self._running.hold(TURNING)
            elif motion.distance_units > 0.0:
                self._running.add(way_m / motion.distance_units, self._clock_s())
