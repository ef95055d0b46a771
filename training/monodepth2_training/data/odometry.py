# SPDX-License-Identifier: Apache-2.0
"""The odometry of a recording: poses and forward speed, interpolated at the stamps of frames.

A pose is x y z in metres and a quaternion qx qy qz qw: that of the moving frame in its parent.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.inference.travelled import MOST_GAP_S
from monodepth2_training.data.dead_reckoning import dead_reckoned
from monodepth2_training.data.odometry_messages import (
    MOTION_TYPES,
    ODOMETRY_TYPE,
    POSE_TYPES,
    TF_TYPE,
    TWIST_TYPES,
    Link,
    choose_topic,
    moving_link,
    pose_row,
    twist_row,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monodepth2_ros.recordings import Message, Recording, Topic

__all__ = [
    'ODOMETRY_TYPE',
    'POSE_TYPES',
    'Odometry',
    'OdometryReader',
    'named_topic',
    'odometry_reader',
    'read_odometry',
]

_LEAST_ANGLE_RAD = 1e-6


@dataclass(frozen=True, kw_only=True)
class Odometry:
    """The poses of one topic in time order."""

    topic: str
    """Where they were recorded."""
    stamps_ns: NDArray[np.int64]
    """[N] header stamps, strictly growing."""
    poses: NDArray[np.float64]
    """[N, 7] x y z in metres, unit quaternion qx qy qz qw."""
    speeds_m_s: NDArray[np.float64]
    """[N] forward speed; from the positions, without sign, where no velocity was recorded."""
    damaged: int = 0
    """Messages that were left out: not readable or not finite."""

    def at(self, stamps_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Pose and forward speed at some stamps, linear in position and on the sphere in rotation.

        Args:
            stamps_ns: int64 [M].

        Returns:
            float64 [M, 8]: x y z qx qy qz qw and speed in m/s; NaN outside the recorded time and
            inside gaps of more than ``MOST_GAP_S``.
        """
        if not len(self.stamps_ns):
            return np.full((len(stamps_ns), 8), np.nan)
        last = len(self.stamps_ns) - 1
        before = np.searchsorted(self.stamps_ns, stamps_ns, side='right') - 1
        first = np.clip(before, 0, last)
        second = np.minimum(first + 1, last)
        gap_ns = self.stamps_ns[second] - self.stamps_ns[first]
        passed_ns = np.asarray(stamps_ns, np.int64) - self.stamps_ns[first]
        share = passed_ns / np.maximum(gap_ns, 1)
        known = (passed_ns == 0) | ((before >= 0) & (before < last) & (gap_ns <= MOST_GAP_S * 1e9))
        values = _between(self._rows(first), self._rows(second), share)
        values[~known] = np.nan
        return values

    def _rows(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.column_stack((self.poses[indices], self.speeds_m_s[indices]))


class OdometryReader:
    """Takes the odometry out of a stream of messages; see :func:`odometry_reader`.

    Of ``/tf`` the link from an ``odom`` frame is taken; twists are integrated.

    Attributes:
        topic: name of the topic whose messages it takes.
    """

    def __init__(self, topic: Topic, link: Link | None) -> None:
        """Take the messages of ``topic``; of ``/tf`` only ``link``."""
        self.topic = topic.name
        self._link, self._by_twist = link, topic.type in TWIST_TYPES
        # Numbers alone: hours of odometry are millions of messages.
        self._stamps_ns, self._rows = array('q'), array('d')
        self._damaged = 0

    def take(self, message: Message) -> None:
        """Take one message of the topic; one that is not readable is counted."""
        found = twist_row(message) if self._by_twist else pose_row(message, self._link)
        if found is not None:
            stamp_ns, row = found
            self._stamps_ns.append(stamp_ns)
            self._rows.extend(row)
        elif self._link is None:
            # A message of /tf without the vehicle's link is whole and of no use here.
            self._damaged += 1

    def odometry(self) -> Odometry:
        """What was taken so far."""
        stamps_ns, first = np.unique(np.array(self._stamps_ns, np.int64), return_index=True)
        width = 6 if self._by_twist else 8
        rows = np.array(self._rows, np.float64).reshape(-1, width)[first]
        poses_of = _dead_reckoned if self._by_twist else _recorded
        poses, speeds_m_s = poses_of(stamps_ns, rows)
        return Odometry(
            topic=self.topic,
            stamps_ns=stamps_ns,
            poses=poses,
            speeds_m_s=speeds_m_s,
            damaged=self._damaged,
        )


def odometry_reader(recording: Recording, wanted: str = '') -> OdometryReader | None:
    """What takes the odometry of a recording: a topic by name, else the best of ``MOTION_TYPES``.

    Returns:
        None where no topic is named and there is none of these types.

    Raises:
        RecordingError: no such topic, or it holds another type.
    """
    topic = named_topic(recording, wanted) if wanted else choose_topic(recording)
    if topic is None:
        return None
    link = moving_link(recording, topic.name) if topic.type == TF_TYPE else None
    return OdometryReader(topic, link)


def read_odometry(recording: Recording, wanted: str = '') -> Odometry | None:
    """Read the odometry of a whole recording; as :func:`odometry_reader`."""
    reader = odometry_reader(recording, wanted)
    if reader is None:
        return None
    for message in recording.messages([reader.topic]):
        reader.take(message)
    return reader.odometry()


def named_topic(recording: Recording, name: str) -> Topic:
    """The topic of this name, which can hold odometry; none of it is read.

    Raises:
        RecordingError: no such topic, or it holds another type.
    """
    topic = recording.topic(name)
    if topic.type not in MOTION_TYPES:
        raise RecordingError(
            f'{name} holds {topic.type}, expected odometry: {", ".join(MOTION_TYPES)}'
        )
    return topic


def _dead_reckoned(
    stamps_ns: NDArray[np.int64], rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Poses [N, 7] and forward speeds [N] of twists [N, 6]."""
    return dead_reckoned(stamps_ns, rows), rows[:, 0]


def _recorded(
    stamps_ns: NDArray[np.int64], rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Poses [N, 7] and forward speeds [N] of poses with a speed [N, 8]."""
    rows[:, 3:7] /= np.linalg.norm(rows[:, 3:7], axis=1, keepdims=True)
    # A driver that does not know the velocity leaves it at zero.
    speeds_m_s = rows[:, 7] if rows[:, 7].any() else _speeds(stamps_ns, rows[:, :3])
    return rows[:, :7], speeds_m_s


def _speeds(stamps_ns: NDArray[np.int64], places_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Speed [N] from positions [N, 3]."""
    if len(stamps_ns) < 2:
        return np.zeros(len(stamps_ns))
    times_s = (stamps_ns - stamps_ns[0]) / 1e9
    velocity = np.gradient(places_m, times_s, axis=0)
    return np.asarray(np.linalg.norm(velocity, axis=1), np.float64)


def _between(
    first: NDArray[np.float64], second: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate rows [M, 8] by shares [M]: slerp for the quaternion, linear for the rest."""
    weight = share[:, None]
    values = (1.0 - weight) * first + weight * second
    q, r = first[:, 3:7], second[:, 3:7]
    cosine = (q * r).sum(axis=1, keepdims=True)
    # q and -q are one rotation: take the shorter way round.
    r, cosine = np.where(cosine < 0, -r, r), np.abs(cosine)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    sine = np.where(angle < _LEAST_ANGLE_RAD, 1.0, np.sin(angle))
    near = angle < _LEAST_ANGLE_RAD
    a = np.where(near, 1.0 - weight, np.sin((1.0 - weight) * angle) / sine)
    b = np.where(near, weight, np.sin(weight * angle) / sine)
    turned = a * q + b * r
    values[:, 3:7] = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    return values
