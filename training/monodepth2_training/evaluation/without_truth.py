# SPDX-License-Identifier: Apache-2.0
"""What can be said of a model without truth: whether its depth and motion explain the pictures.

Photometric error and auto-mask are those of training (Godard et al., ICCV 2019). Consistency is
|a - b| / (a + b) of the depth that motion carries from one frame to the next and the depth that
is predicted there (Bian et al., NeurIPS 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.errors import EvaluationError
from monodepth2_ros.geometry.depth import disparity_to_depth
from monodepth2_ros.geometry.projection import pixel_rays, project
from monodepth2_ros.model_file import load_model
from monodepth2_training.data.dataset import TripletDataset
from monodepth2_training.data.extraction import ExtractionSettings, extract
from monodepth2_training.data.triplets import Sample, TripletSettings, make_split
from monodepth2_training.evaluation.evaluation import FigureTable
from monodepth2_training.loss.config import LossConfig
from monodepth2_training.loss.objective import Objective
from monodepth2_training.model.stored_networks import networks_of
from monodepth2_training.report.observation import choose, observe, predict
from monodepth2_training.report.poses import PoseComparison, compare_poses

if TYPE_CHECKING:
    from monodepth2_ros.geometry.camera import CameraCalibration, PinholeCamera
    from monodepth2_ros.model_file import Model
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.model.depth_pose import DepthPoseModel

_STRETCHES, _LENGTH = 2, 40
_MOST_FRAMES = 600
_BATCH = 4


@dataclass(frozen=True, kw_only=True)
class SelfCheck:
    """What the pictures and the odometry say."""

    tables: tuple[FigureTable, ...]
    """Figures."""
    motion: PoseComparison | None
    """Predicted motion against odometry; None where there is none."""


def check_without_truth(
    recording: Path,
    image_topic: str,
    model_file: Path,
    folder: Path,
    *,
    calibration: CameraCalibration | None = None,
) -> SelfCheck:
    """Look at a recording through a model's depth and pose networks.

    Args:
        recording: path of the recording.
        image_topic: of the camera.
        model_file: path of the model.
        folder: an empty place for a frame store.
        calibration: replaces the recorded one.

    Raises:
        EvaluationError: the model file has no pose network.
        RecordingError: nothing can be read.
        CalibrationError: the camera has no usable calibration.
        TrainingError: the camera never moves.
    """
    loaded = load_model(model_file)
    model = _networks(loaded)
    settings = ExtractionSettings(
        width=model.config.width,
        height=model.config.height,
        resize=loaded.description.resize,
        cameras=(image_topic,),
        max_frames=_MOST_FRAMES,
    )
    store = extract([recording], folder, settings, calibration=calibration, workers=1)
    every = make_split(store, mode='mono', settings=TripletSettings(validation=0.0)).training
    samples = choose(every, stretches=_STRETCHES, length=_LENGTH)
    figures = _figures(model, store, samples)
    frames = store.frames(0)
    steps = observe(model, store, samples).steps_of(0)
    motion = compare_poses(steps, frames.odometry, frames.stamps_ns)
    tables = [_picture_table(figures, len(samples))]
    if motion is not None:
        tables.append(_motion_table(motion))
    return SelfCheck(tables=tuple(tables), motion=motion)


@dataclass(frozen=True, kw_only=True)
class _Figures:
    """Means over samples."""

    photometric: float
    kept: float
    consistency: float | None


def _figures(model: DepthPoseModel, store: FrameStore, samples: tuple[Sample, ...]) -> _Figures:
    """Photometric error, auto-mask and consistency of some samples."""
    objective = Objective(LossConfig(), model.depth_range)
    dataset, generator = TripletDataset(store, samples), torch.Generator().manual_seed(0)
    errors, kept, depths, motions = [], [], {}, {}
    for begin in range(0, len(samples), _BATCH):
        batch = range(begin, min(begin + _BATCH, len(samples)))
        views, prediction = predict(model, dataset, batch)
        with torch.inference_mode():
            terms = objective(views, prediction, generator)
            depth = disparity_to_depth(prediction.disparities[0].float(), model.depth_range)
        errors.append(float(terms.photometric) * len(batch))
        kept.append(float(terms.moving_share) * len(batch))
        for place, number in enumerate(batch):
            depths[samples[number].target] = depth[place, 0].numpy()
            motions[number] = prediction.T_target_to_sources[place, 1].double().numpy()
    camera = store.cameras[0].camera
    pairs = [
        _inconsistency(depths[s.target], depths[s.sources[1][1]], motions[number], camera)
        for number, s in enumerate(samples)
        if s.sources[1][1] in depths
    ]
    return _Figures(
        photometric=sum(errors) / len(samples),
        kept=sum(kept) / len(samples),
        consistency=float(np.mean(pairs)) if pairs else None,
    )


def _inconsistency(
    depth: NDArray[np.float32],
    depth_next: NDArray[np.float32],
    T_target_to_next: NDArray[np.float64],
    camera: PinholeCamera,
) -> float:
    """Mean |a - b| / (a + b) over the pixels that both frames see."""
    x, y = pixel_rays(camera).reshape(-1, 2).T
    z = depth.reshape(-1)
    points = np.stack((x * z, y * z, z), axis=1).astype(np.float64)
    moved = points @ T_target_to_next[:3, :3].T + T_target_to_next[:3, 3]
    uv, carried = project(moved, camera)
    u, v = (uv[:, axis].astype(np.float32).reshape(depth.shape) for axis in (0, 1))
    found = cv2.remap(
        depth_next, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0.0
    ).reshape(-1)
    seen = (found > 0.0) & (carried > 0.0)
    apart = np.abs(carried - found)[seen] / (carried + found)[seen]
    return float(apart.mean()) if seen.any() else float('nan')


def _picture_table(figures: _Figures, samples: int) -> FigureTable:
    return FigureTable(
        name='without_truth',
        title='What the pictures say',
        header=('figure', 'value', 'meaning'),
        rows=(
            (
                'photometric_error',
                figures.photometric,
                'of neighbouring frames seen through depth and motion; less is better',
            ),
            ('automask_share', figures.kept, 'of pixels that motion explains better than none'),
            (
                'depth_inconsistency',
                figures.consistency,
                'of one frame with the next: 0.05 is about 10 %',
            ),
        ),
        note=f'Over {samples} frames with their neighbours. They tell models on one recording '
        'apart; they are no errors in metres.',
    )


def _motion_table(motion: PoseComparison) -> FigureTable:
    rows = (
        ('steps', len(motion.ratio), 'between frames that move'),
        ('direction_error_deg', float(np.median(motion.residual_deg)), 'median'),
        ('mounting_deg', motion.offset_deg, 'angle that all directions share'),
        ('turn_error_deg', float(np.median(motion.turn_deg)), 'median'),
        ('metres_per_unit', motion.scale, 'median'),
        ('metres_per_unit_spread', motion.scale_spread, 'relative'),
        ('path_length_m', motion.path_length_m, 'longest unbroken stretch'),
        ('path_error_m', motion.path_error_m, 'root mean square, begun together'),
    )
    return FigureTable(
        name='motion',
        title='Predicted motion against odometry',
        header=('figure', 'value', 'meaning'),
        rows=rows,
        note='The camera is taken to look where the vehicle drives.',
    )


def _networks(loaded: Model) -> DepthPoseModel:
    """Both networks of a model file."""
    if not loaded.pose_state:
        raise EvaluationError(
            'the model file has no pose network: motion cannot be predicted. Models trained on '
            'one camera over time have one'
        )
    model = networks_of(loaded)
    if model is None:
        raise EvaluationError('the pose network of the model file is none that is known here')
    return model
