# SPDX-License-Identifier: Apache-2.0
"""What the demo plays: a generated drive, or a recording of the user's with one of its cameras."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from monodepth2_training.evaluation import truth

from demo.options import Options
from demo.problems import DemoError
from monodepth2_ros.geometry.calibration_file import load_calibration
from monodepth2_ros.images import RawImage
from monodepth2_ros.recordings import Recording, choose_camera, image_frames, open_recording
from monodepth2_ros.recordings.cameras import cameras

GENERATED_SEED = 103
"""A street that the model of the demo was not trained on."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A recording and its camera, as the player is told about them."""

    path: Path
    """Bag, video or image folder."""
    camera: str
    """Image topic of the chosen camera."""
    compressed: bool
    """Whether its images are compressed."""
    width: int
    """Columns of its images."""
    height: int
    """Rows of its images."""
    frames: int
    """Images that will be played."""
    duration_s: float
    """How long that takes."""
    truth_topic: str | None
    """Topic of true depth images or of a lidar; None if there is none."""


def prepare(options: Options) -> Source:
    """Find or generate the recording and look into it.

    Raises:
        RecordingError: it cannot be read or has no camera.
        DemoError: the drive cannot be generated.
    """
    path = options.recording or generated_drive(options.out / 'drive', options.frames)
    calibration = load_calibration(str(options.calibration)) if options.calibration else None
    with open_recording(path, calibration=calibration, fps=options.fps) as recording:
        for note in recording.notes:
            print(f'  note: {note}')
        return _examine(recording, options)


def generated_drive(folder: Path, frames: int) -> Path:
    """The generated drive of so many frames, made once and kept."""
    bag = folder / f'street_{frames}_frames_seed_{GENERATED_SEED}'
    if (bag / 'metadata.yaml').exists():
        print(f'  the generated drive {bag} is there already')
        return bag
    folder.mkdir(parents=True, exist_ok=True)
    print(f'  generating a drive of {frames} frames with exact depth: {bag}', flush=True)
    command = [sys.executable, '-m', 'monodepth2_training.cli', 'generate', str(bag)]
    command += ['--frames', str(frames), '--seed', str(GENERATED_SEED)]
    root = Path(__file__).resolve().parents[1]
    paths = f'{root}:{root / "training"}'
    result = subprocess.run(command, env={**os.environ, 'PYTHONPATH': paths}, check=False)
    if result.returncode:
        raise DemoError(f'`monodepth2 generate` ended with status {result.returncode}')
    return bag


def _examine(recording: Recording, options: Options) -> Source:
    wanted = '' if options.camera == 'auto' else options.camera
    camera = choose_camera(recording, wanted)
    others = [item.image for item in cameras(recording) if item != camera]
    if others and not wanted:
        print(f'  camera: {camera.image} (others: {", ".join(others)}; choose with --camera)')
    if recording.calibration(camera.image) is None:
        print('  no calibration: there will be depth but no point cloud (give --calibration)')
    width, height = _frame_size(recording, camera.image)
    share = min(1.0, options.seconds / max(recording.duration_s, 1e-9)) if options.seconds else 1.0
    return Source(
        path=recording.path,
        camera=camera.image,
        compressed=camera.compressed,
        width=width,
        height=height,
        frames=max(1, round(camera.frames * share)),
        duration_s=recording.duration_s * share,
        truth_topic=truth.find_topic(recording, camera.image),
    )


def _frame_size(recording: Recording, topic: str) -> tuple[int, int]:
    _, frame = next(image_frames(recording, topic))
    if isinstance(frame, RawImage):
        return frame.width, frame.height
    pixels = cv2.imdecode(np.frombuffer(frame.data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise DemoError(f'{recording.path}: the first image on {topic} cannot be decoded')
    return pixels.shape[1], pixels.shape[0]
