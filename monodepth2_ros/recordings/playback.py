# SPDX-License-Identifier: Apache-2.0
"""Decides what a player publishes: which topics, under which names, and which stretch of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings import cdr
from monodepth2_ros.recordings.cameras import CameraTopics, choose_camera
from monodepth2_ros.recordings.messages import CAMERA_INFO_TYPE, Message, Topic
from monodepth2_ros.recordings.recording import Recording

ANY_CAMERA = 'auto'
_DEPTH = 10
_LATCHED_DEPTH_MAX = 1000


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where the messages of one recorded topic go."""

    topic: str
    """Name to publish under; relative for the chosen camera."""
    type: str
    """Message type."""
    latched: bool = False
    """Whether late subscribers get the last messages."""
    depth: int = _DEPTH
    """How many messages are kept, for late subscribers too when latched."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A stretch of a recording, routed."""

    recording: Recording
    """Where the messages come from."""
    routes: Mapping[str, Route]
    """Recorded topic to publication; other topics are left out."""
    start_ns: int
    """First stamp to play."""
    end_ns: int | None
    """Last stamp to play; None plays to the end, which a recording may claim to be too early."""
    camera: CameraTopics | None = None
    """The camera that plays under the relative names, if one was chosen."""
    preceding: tuple[Message, ...] = ()
    """What latched topics held at the start: their messages with stamps before it."""

    @property
    def duration_s(self) -> float:
        """Seconds of the recording that are played."""
        last_ns = self.recording.end_ns
        if self.end_ns is not None:
            last_ns = min(last_ns, self.end_ns)
        return (last_ns - self.start_ns) / 1e9

    @property
    def image_topics(self) -> frozenset[str]:
        """Recorded topics that count as frames."""
        images = [self.camera.image] if self.camera else self.recording.image_topics()
        return frozenset(images) & frozenset(self.routes)

    def messages(self) -> Iterator[Message]:
        """Stream the messages to play, still with their recorded topics.

        What precedes the start on latched topics comes first.
        A given calibration replaces the chosen camera's recorded one: it precedes every image.

        Raises:
            RecordingError: damage.
        """
        given = self.recording.given_calibration if self.camera else None
        recorded = {topic.name for topic in self.recording.topics} & set(self.routes)
        if given is not None and self.camera is not None:
            recorded.discard(_info_name(self.camera))
        end_ns = None if self.end_ns is None else self.end_ns + 1
        yield from self.preceding
        for message in self.recording.messages(recorded, start_ns=self.start_ns, end_ns=end_ns):
            if given is not None and self.camera and message.topic == self.camera.image:
                info = _info_of(self.camera, given, message)
                if info is not None:
                    yield info
            yield message


def make_clip(
    recording: Recording,
    *,
    camera: str = '',
    topics: Collection[str] = (),
    start_s: float = 0.0,
    duration_s: float = 0.0,
) -> Clip:
    """Choose what to play.

    Args:
        recording: the opened recording.
        camera: empty plays all topics under their recorded names; ``auto`` or a camera's topic or
            namespace plays that camera alone, as ``image`` or ``image/compressed`` and
            ``camera_info``.
        topics: recorded topics to play, beside the camera if one is chosen; empty means all
        without.
        start_s: where to begin, in seconds after the first message.
        duration_s: how long to play; 0 means to the end.

    Raises:
        RecordingError: no such camera or topic, nothing lies in that time, or damage before it.
    """
    start_ns = recording.start_ns + round(start_s * 1e9)
    end_ns = start_ns + round(duration_s * 1e9) - 1 if duration_s else None
    if start_s < 0 or duration_s < 0 or start_ns > recording.end_ns:
        raise RecordingError(
            f'{recording.path} lasts {recording.duration_s:.2f} s: nothing to play from '
            f'{start_s:g} s for {duration_s:g} s'
        )
    chosen = None
    if camera:
        chosen = choose_camera(recording, '' if camera == ANY_CAMERA else camera)
    routes = _routes(recording, chosen, topics)
    return Clip(
        recording=recording,
        routes=routes,
        start_ns=start_ns,
        end_ns=end_ns,
        camera=chosen,
        preceding=_preceding(recording, routes, start_ns),
    )


def _preceding(
    recording: Recording, routes: Mapping[str, Route], start_ns: int
) -> tuple[Message, ...]:
    """The last messages of latched topics before the start, as many as late subscribers get."""
    latched = {name: route for name, route in routes.items() if route.latched}
    if not latched or start_ns <= recording.start_ns:
        return ()
    kept: dict[str, deque[Message]] = {
        name: deque(maxlen=route.depth) for name, route in latched.items()
    }
    for message in recording.messages(latched, end_ns=start_ns):
        kept[message.topic].append(message)
    messages = (message for each in kept.values() for message in each)
    return tuple(sorted(messages, key=lambda message: message.stamp_ns))


def _routes(
    recording: Recording, camera: CameraTopics | None, topics: Collection[str]
) -> dict[str, Route]:
    names = list(topics)
    if not names and camera is None:
        names = [topic.name for topic in recording.topics]
    found = [recording.topic(name) for name in names]
    routes = {topic.name: _recorded_route(topic) for topic in found}
    return routes | _camera_routes(recording, camera)


def _recorded_route(topic: Topic) -> Route:
    """Under its own name; of a latched topic all is kept, as each message may be another's."""
    depth = min(max(_DEPTH, topic.count), _LATCHED_DEPTH_MAX) if topic.latched else _DEPTH
    return Route(topic=topic.name, type=topic.type, latched=topic.latched, depth=depth)


def _camera_routes(recording: Recording, camera: CameraTopics | None) -> dict[str, Route]:
    if camera is None:
        return {}
    name = 'image/compressed' if camera.compressed else 'image'
    routes = {camera.image: Route(topic=name, type=recording.topic(camera.image).type)}
    if camera.info is not None or recording.given_calibration is not None:
        routes[_info_name(camera)] = Route(topic='camera_info', type=CAMERA_INFO_TYPE)
    return routes


def _info_name(camera: CameraTopics) -> str:
    return camera.info or f'{camera.image}/given_camera_info'


def _info_of(camera: CameraTopics, given: CameraCalibration, image: Message) -> Message | None:
    """The calibration with an image's header; None for an image that ends in its header."""
    try:
        stamp_ns, frame_id = cdr.header_stamp_ns(image.data), cdr.header_frame_id(image.data)
    except RecordingError:
        return None
    data = cdr.camera_info(given, stamp_ns=stamp_ns, frame_id=frame_id)
    return replace(image, topic=_info_name(camera), type=CAMERA_INFO_TYPE, data=data)
