# SPDX-License-Identifier: Apache-2.0
"""Measures a model's scale on a recording by every method that the recording allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError, Monodepth2Error, RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.inference.camera_match import match_cameras
from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.recordings import Recording, open_recording
from monodepth2_training.data.bags import choose_one_camera
from monodepth2_training.data.dataset import frame_indices
from monodepth2_training.data.extraction import ExtractionSettings, extract
from monodepth2_training.data.travel import travelled_m
from monodepth2_training.data.triplets import TripletSettings, make_split
from monodepth2_training.evaluation.transforms import Transform
from monodepth2_training.evaluation.true_frames import TrueFrames, TruthSettings
from monodepth2_training.evaluation.truth import topics
from monodepth2_training.model.stored_networks import networks_of
from monodepth2_training.scale import by_ground, by_odometry, by_truth
from monodepth2_training.scale.estimate import ScaleEstimate, estimate_scale
from monodepth2_training.scale.mounting import Mounting, find_mounting
from monodepth2_training.scale.plausibility import odometry_doubts

if TYPE_CHECKING:
    from monodepth2_ros.geometry.camera import PinholeCamera
    from monodepth2_ros.model_file import Model
    from monodepth2_training.data.frame_store import FrameStore

_MOSTLY = 0.8

METHODS = ('odometry', 'ground', 'lidar')
"""Names of the methods."""


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """What is measured and on how much."""

    methods: tuple[str, ...] = METHODS
    """Those of ``METHODS`` that are tried."""
    camera: str = ''
    """Image topic or namespace; empty takes the only one."""
    camera_height_m: float = 0.0
    """Height of the camera above the ground; 0 takes it from /tf_static."""
    truth_topic: str = ''
    """Topic of depth images or of a lidar; empty takes the likeliest."""
    extrinsics: Transform | None = None
    """[4, 4] from the lidar's frame to the camera's; by ``/tf_static`` if None."""
    odometry_topic: str = ''
    """Topic of the odometry; empty takes the likeliest."""
    calibration: CameraCalibration | None = None
    """Replaces the recorded one."""
    frames: int = 200
    """Frames that each method looks at, spread over the recording."""

    def __post_init__(self) -> None:
        """Refuse unknown methods and numbers that cannot be."""
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown or not self.methods:
            raise ConfigError(f'method {unknown} is not known: expected {", ".join(METHODS)}')
        if not 0.0 <= self.camera_height_m < 100.0:
            raise ConfigError(
                f'camera height {self.camera_height_m} m is not usable: expected metres above '
                'the ground'
            )
        if self.frames < 1:
            raise ConfigError(f'frames {self.frames} is not usable: expected 1 or more')


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one method said."""

    method: str
    """One of ``METHODS``."""
    estimate: ScaleEstimate | None
    """None where it gives no scale."""
    reason: str = ''
    """Why it gives none."""


def measure(
    model: Model,
    recording: Path,
    work: Path,
    settings: MeasureSettings,
    *,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Measured, ...]:
    """Measure by each method in turn; one that cannot be used says why.

    Args:
        model: the loaded model file.
        recording: a bag.
        work: an empty folder for the frame store that is made of it.
        settings: what to measure.
        say: is told what is being done.

    Raises:
        Monodepth2Error: the recording cannot be read at all.
    """
    measuring = _Measuring(model, recording, work, settings, say)
    calls = {
        'odometry': measuring.by_odometry,
        'ground': measuring.by_ground,
        'lidar': measuring.by_truth,
    }
    found = []
    for method in settings.methods:
        say(f'{method}: measuring')
        try:
            found.append(Measured(method=method, estimate=calls[method]()))
        except RecordingError:
            raise
        except Monodepth2Error as err:
            found.append(Measured(method=method, estimate=None, reason=str(err)))
    return tuple(found)


class _Unusable(Monodepth2Error):
    """A method that this recording does not allow."""


class _Measuring:
    """One recording and one model; the frame store is made once, where it is needed."""

    def __init__(
        self,
        model: Model,
        recording: Path,
        work: Path,
        settings: MeasureSettings,
        say: Callable[[str], None],
    ) -> None:
        self._model, self._recording, self._work = model, recording, work
        self._settings, self._say = settings, say
        self._store: FrameStore | None = None

    def by_odometry(self) -> ScaleEstimate:
        """Metres of odometry over units of motion."""
        networks = networks_of(self._model)
        if networks is None:
            raise _Unusable('the model file holds no pose network')
        store = self._frames()
        split = make_split(store, mode='mono', settings=TripletSettings(validation=0.0))
        step = -(-len(split.training) // min(self._settings.frames, by_odometry.MOST_SAMPLES))
        samples = split.training[::step]
        travel = travelled_m(store, frame_indices(split.training))
        if not travel.known:
            raise _Unusable(travel.text())
        distances_m = travel.distances_m[::step]
        ratios = by_odometry.metres_per_unit(networks, store, samples, distances_m)
        notes = (travel.text(), *travel.clock_lines())
        doubts = odometry_doubts(store.frames(0))
        method = 'odometry against motion in the pictures'
        return self._estimate(ratios.ravel(), store.cameras[0].camera, method, notes, doubts)

    def by_ground(self) -> ScaleEstimate:
        """The camera's height over that of its depth."""
        mounting = self._mounting()
        store = self._frames()
        count = len(store.frames(0))
        frames = range(0, count, max(1, count // self._settings.frames))
        model = self._model
        heights = by_ground.ground_heights(
            model.depth_net, model.description.depth_range, store, frames, normal=mounting.normal
        )
        notes = [f'{n} frames: {reason}' for reason, n in heights.reasons.most_common()]
        if sum(heights.reasons.values()) > _MOSTLY * len(frames):
            notes.append('does the camera look along the ground, the right way up?')
        if np.isfinite(heights.pitch_deg):
            notes.insert(0, f'the camera looks {heights.pitch_deg:+.1f} degrees down')
        method = f'camera {mounting.height_m:.3g} m above the ground ({mounting.origin})'
        values = mounting.height_m / heights.height_units
        return self._estimate(values, store.cameras[0].camera, method, tuple(notes))

    def by_truth(self) -> ScaleEstimate:
        """Measured depth over predicted depth."""
        settings = TruthSettings(
            camera=self._settings.camera,
            topic=self._settings.truth_topic,
            extrinsics=self._settings.extrinsics,
            most=self._settings.frames,
        )
        with self._opened() as recording:
            camera = choose_one_camera(recording, settings.camera)
            if not settings.topic and not topics(recording, camera.image):
                raise _Unusable('the recording holds neither depth images nor a lidar')
            try:
                frames = TrueFrames(recording, settings)
            except Monodepth2Error as err:
                raise _Unusable(str(err)) from err
            estimator = DepthEstimator.load(self._model.path, device='cpu')
            ratios = by_truth.metres_per_unit(estimator, frames)
        kind = 'lidar' if frames.lidar else 'depth images'
        notes = [frames.motion] if frames.lidar else []
        if frames.unusable:
            notes.append(f'{len(frames.unusable)} frames are left out: {frames.unusable[0]}')
        method = f'{kind} of {frames.topic}'
        doubts = [f'depth is of another view: {why}' for why in [frames.other_view] if why]
        return self._estimate(ratios, frames.view.seen, method, tuple(notes), tuple(doubts))

    def _estimate(
        self,
        values: NDArray[np.float64],
        camera: PinholeCamera | None,
        method: str,
        notes: tuple[str, ...],
        doubts: tuple[str, ...] = (),
    ) -> ScaleEstimate:
        """The scale of the model's own camera, from values found through this one."""
        own, network = self._model.description.camera, self._model.description.network
        match = match_cameras(own, camera, width=network.width, height=network.height)
        factor = match.applied('rescale')
        if factor != 1.0:
            ratio = f'divided by {factor:.3f}, by which depth is multiplied for this camera'
            notes = (*notes, f'{match.differences[0]}: {ratio}')
        found = estimate_scale(values / factor, method, notes, doubts)
        if found is None:
            known = int(np.isfinite(values).sum())
            told = '; '.join(notes)
            raise _Unusable(f'{known} of {len(values)} frames or steps could be used ({told})')
        return found

    def _opened(self) -> Recording:
        return open_recording(self._recording, calibration=self._settings.calibration)

    def _mounting(self) -> Mounting:
        with self._opened() as recording:
            found = find_mounting(recording, self._settings.camera)
        if self._settings.camera_height_m:
            normal = None if found is None else found.normal
            height_m = self._settings.camera_height_m
            return Mounting(height_m=height_m, normal=normal, origin='as given')
        if found is None:
            raise _Unusable(
                'the height of the camera is not known: give --camera-height-m, or record '
                '/tf_static from base_footprint or base_link to the camera'
            )
        return found

    def _frames(self) -> FrameStore:
        """The recording as a frame store of the network's size."""
        if self._store is None:
            self._say("extracting frames of the network's size")
            network = self._model.description.network
            settings = ExtractionSettings(
                width=network.width,
                height=network.height,
                resize=self._model.description.resize,
                cameras=(self._settings.camera,) if self._settings.camera else (),
                odometry=self._settings.odometry_topic,
            )
            self._store = extract(
                [self._recording],
                self._work / 'frames',
                settings,
                calibration=self._settings.calibration,
            )
        return self._store
