# SPDX-License-Identifier: Apache-2.0
"""How the sensors of a vehicle are mounted: from ``/tf_static``, or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from monodepth2_ros.errors import ConfigError, EvaluationError, RecordingError
from monodepth2_ros.geometry.poses import pose_matrix
from monodepth2_ros.geometry.static_frames import StaticFrames
from monodepth2_ros.recordings import Message, Recording, cdr
from monodepth2_training.data.odometry_messages import TF_TYPE, TWIST_TYPES, moving_link

STATIC_TOPIC = '/tf_static'
Transform = NDArray[np.float64]

_KEYS = 'translation_m: [x, y, z] and quaternion_xyzw: [x, y, z, w], or matrix: 4 rows of 4'


def read_frames(recording: Recording) -> StaticFrames:
    """Take all links from ``/tf_static``; messages that cannot be read count as none."""
    frames = StaticFrames()
    names = {topic.name for topic in recording.topics}
    for message in recording.messages([STATIC_TOPIC] if STATIC_TOPIC in names else []):
        try:
            links = cdr.parse(message).transforms
        except RecordingError:
            continue
        for link in links:
            T_child_to_parent = _matrix(link.transform)
            if T_child_to_parent is not None:
                frames.add(link.child_frame_id, link.header.frame_id, T_child_to_parent)
    return frames


def transform_between(frames: StaticFrames, source: str, target: str) -> Transform:
    """The transform [4, 4] that maps points of one frame into another.

    Raises:
        EvaluationError: the frames are not linked; the message says what is.
    """
    source, target = source.lstrip('/'), target.lstrip('/')
    reached = frames.reachable(source)
    if target in reached:
        return reached[target]
    raise EvaluationError(
        f'{STATIC_TOPIC} does not link {source!r} to {target!r}: {_known(frames, source)}; '
        f'{_known(frames, target)}. Record {STATIC_TOPIC} with this link, or give the mounting '
        f'with --extrinsics FILE, a YAML with {_KEYS}, which maps points of {source!r} into '
        f'{target!r}'
    )


def _known(frames: StaticFrames, frame: str) -> str:
    linked = sorted(set(frames.reachable(frame)) - {frame})
    return f'{frame!r} is linked with {", ".join(linked) or "nothing"}'


def load_extrinsics(path: Path) -> Transform:
    """Read how a lidar is mounted: the transform [4, 4] from its frame to the camera's.

    Raises:
        ConfigError: the file is missing, no such YAML, or no rigid transform.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as err:
        first_line = ' '.join(str(err).split())[:200]
        raise ConfigError(f'extrinsics file {path} cannot be read: {first_line}') from err
    T = _of_document(document)
    if T is None:
        raise ConfigError(
            f'extrinsics file {path} holds no rigid transform: expected {_KEYS}, mapping points '
            "of the lidar's frame into the camera's optical frame (x right, y down, z forward)"
        )
    return T


def pose_frame(recording: Recording, topic: str) -> str:
    """The frame whose motion a topic of odometry tells: by pose, by a link of tf, or by twist.

    Raises:
        EvaluationError: the first message does not say.
    """
    kind = recording.topic(topic).type
    if kind == TF_TYPE:
        link = moving_link(recording, topic)
        name = link[1] if link else ''
    else:
        first = next(recording.messages([topic]), None)
        name = _named_frame(first) if first else ''
    if not name:
        said = 'frame_id' if kind in TWIST_TYPES else 'child_frame_id'
        raise EvaluationError(f'{topic} does not say whose poses it holds: no {said}')
    return name.lstrip('/')


def _named_frame(message: Message) -> str:
    """The frame that moves by a message that is not of tf; empty where it does not say."""
    try:
        if message.type in TWIST_TYPES:
            return cdr.header_frame_id(message.data)
        return str(getattr(cdr.parse(message), 'child_frame_id', ''))
    except RecordingError:
        return ''


def _of_document(document: Any) -> Transform | None:
    """The transform of a YAML document; None if it holds none."""
    if not isinstance(document, dict):
        return None
    try:
        if 'matrix' in document:
            return _rigid(np.array(document['matrix'], np.float64))
        place, turn = document['translation_m'], document['quaternion_xyzw']
        return pose_matrix(np.array([*place, *turn], np.float64))
    except (KeyError, TypeError, ValueError):
        return None


def _matrix(transform: Any) -> Transform | None:
    """A ``geometry_msgs/Transform`` as a matrix; None if it is not finite or turns nothing."""
    place, turn = transform.translation, transform.rotation
    return pose_matrix(np.array([place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w]))


def _rigid(T: Transform) -> Transform | None:
    """A matrix [4, 4] if it is a rotation and a translation, else None."""
    if T.shape != (4, 4) or not np.isfinite(T).all() or not np.array_equal(T[3], [0, 0, 0, 1]):
        return None
    R = T[:3, :3]
    turns = np.allclose(R @ R.T, np.eye(3), atol=1e-3) and np.linalg.det(R) > 0.0
    return T if turns else None
