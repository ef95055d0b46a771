# SPDX-License-Identifier: Apache-2.0
"""Records topics to an MCAP bag and measures what the depth node does to the camera's frames.

Messages are taken as bytes, stored as they are and stamped with the time of receipt.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.errors import ConfigError, Monodepth2Error, RecordingError
from monodepth2_ros.nodes.declaration import read_once
from monodepth2_ros.nodes.interrupts import ignore_interrupts, leave_interrupts_to_ros
from monodepth2_ros.nodes.message_types import listening_qos, message_class
from monodepth2_ros.nodes.parameter_table import parameter
from monodepth2_ros.optional_packages import missing_package
from monodepth2_ros.recordings import RecordingWriter, cdr
from monodepth2_ros.recordings.transit import Transit

KNOWN_TYPES = {
    'image': 'sensor_msgs/msg/Image',
    'image/compressed': 'sensor_msgs/msg/CompressedImage',
    'camera_info': 'sensor_msgs/msg/CameraInfo',
    'depth/image': 'sensor_msgs/msg/Image',
    'depth/camera_info': 'sensor_msgs/msg/CameraInfo',
    'depth/points': 'sensor_msgs/msg/PointCloud2',
    'depth/image_color': 'sensor_msgs/msg/Image',
    '/diagnostics': 'diagnostic_msgs/msg/DiagnosticArray',
}
"""Topics whose type need not be given: those of the depth node."""

_CAMERA = ('image', 'image/compressed')
_DEPTH = 'depth/image'
_NEVER_THINNED = ('/diagnostics',)
_STATIC_TRANSFORMS = '/tf_static'
_QUEUE = 20
# Of many publishers each may have latched messages waiting for us.
_LATCHED_QUEUE = 1000
_DISCOVERY_S = 1.0
_DISCOVERY_PERIOD_S = 0.02
_LIVE_PERIOD_S = 1.0
_REMEMBERED = 1000


@dataclass(frozen=True, kw_only=True)
class RecorderParameters:
    """The parameters of ``recorder_node``; all are read once at start."""

    bag: str = parameter('', 'folder to create for the bag; empty records nothing')
    topics: tuple[str, ...] = parameter(
        tuple(KNOWN_TYPES),
        "topics to record; others than the depth node's as name:package/msg/Type",
    )
    keep_every: int = parameter(
        1, 'store every n-th frame with all that bears its stamp', low=1, high=10**6
    )
    reliable: bool = parameter(True, 'ask for reliable delivery; needs reliable publishers')
    idle_s: float = parameter(
        0.0, 'stop when no camera or depth image came for so long; 0: never', low=0, high=1e6
    )
    summary: str = parameter('', 'JSON file to write the figures to; empty writes none')
    live: bool = parameter(True, 'print a line a second')


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A topic to record."""

    name: str
    """Name as it was given."""
    resolved: str
    """Absolute name."""
    kind: str
    """Message type, ``package/msg/Name``."""
    message: Any
    """Its class."""


class RecorderNode(Node):
    """Stores and measures until it is idle or interrupted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            'recorder_node', automatically_declare_parameters_from_overrides=True, **options
        )
        self.parameters = read_once(self, RecorderParameters)
        self.transit = Transit()
        self.counts: dict[str, int] = {}
        self._heard_s = 0.0
        self._kept = Thinning(self.parameters.keep_every)
        self._spinner = SingleThreadedExecutor(context=self.context)
        self._spinner.add_node(self)
        sources = self._sources()
        self._writer = RecordingWriter(self.parameters.bag) if self.parameters.bag else None
        try:
            self._discover(sources)
            for source in sources:
                self._subscribe(source)
        except RuntimeError:
            # So ends a call of rclpy's once a signal has shut ROS down: the bag is complete.
            if self._writer is not None:
                self._writer.close()
            raise

    def run(self) -> None:
        """Record until idle or until ROS shuts down."""
        next_line_s = time.monotonic() + _LIVE_PERIOD_S
        while self.context.ok() and not self._is_idle():
            self._spinner.spin_once(timeout_sec=0.1)
            if self.parameters.live and time.monotonic() >= next_line_s:
                next_line_s += _LIVE_PERIOD_S
                if self._heard_s:
                    print(self.transit.line(time.monotonic()), flush=True)

    def finish(self) -> None:
        """Write the summary and complete the bag, each even if the other fails.

        Raises:
            RecordingError: the bag cannot be completed, or the summary not be written.
        """
        try:
            self._summarise()
        finally:
            if self._writer is not None:
                self._writer.close()

    def _summarise(self) -> None:
        if not self.parameters.summary:
            return
        content = {
            **self.transit.summary().as_dict(),
            'messages': self.counts,
            'stored': self._writer.counts if self._writer else {},
        }
        _write(Path(self.parameters.summary), json.dumps(content, indent=2) + '\n')

    def _is_idle(self) -> bool:
        idle_s = self.parameters.idle_s
        return bool(idle_s and self._heard_s and time.monotonic() - self._heard_s > idle_s)

    def _sources(self) -> list[_Source]:
        """All topics to record, before anything is created for them."""
        sources: dict[str, _Source] = {}
        for entry in self.parameters.topics:
            source = self._source(entry)
            if source.resolved in sources:
                raise ConfigError(f'topic {source.resolved} is listed twice in topics')
            sources[source.resolved] = source
        return list(sources.values())

    def _source(self, entry: str) -> _Source:
        name, _, given = entry.partition(':')
        kind = given or KNOWN_TYPES.get(name, '')
        message = message_class(kind)
        if message is None:
            package, is_type, _ = kind.partition('/msg/')
            missing = missing_package(package, install='PyPI lacks some of ROS') if is_type else ''
            remedy = missing or 'write name:package/msg/Type'
            raise ConfigError(f'topic {entry!r}: no message type {kind!r}; {remedy}')
        if self.parameters.bag and not cdr.known_type(kind):
            raise ConfigError(f'topic {entry!r}: no definition of the message type {kind!r}')
        resolved = self.resolve_topic_name(name)
        return _Source(name=name, resolved=resolved, kind=kind, message=message)

    def _discover(self, sources: Sequence[_Source]) -> None:
        """Give publishers a moment to be found where it matters whether they latch."""
        unknown = [source.resolved for source in sources if _may_latch(source)]
        deadline_s = time.monotonic() + _DISCOVERY_S
        while self.context.ok() and time.monotonic() < deadline_s:
            if all(self.count_publishers(name) for name in unknown):
                return
            time.sleep(_DISCOVERY_PERIOD_S)

    def _is_latched(self, source: _Source) -> bool:
        """Whether to ask for what was latched before: what is volatile is then not heard."""
        if source.resolved.endswith(_STATIC_TRANSFORMS):
            return True
        if not _may_latch(source):
            return False
        offers = [
            publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            for publisher in self.get_publishers_info_by_topic(source.resolved)
        ]
        return bool(offers) and all(offers)

    def _subscribe(self, source: _Source) -> None:
        latched = self._is_latched(source)
        self.counts[source.resolved] = 0
        if self._writer is not None:
            self._writer.add_topic(source.resolved, source.kind, latched=latched)
        depth = _LATCHED_QUEUE if latched else _QUEUE
        qos = listening_qos(reliable=self.parameters.reliable, depth=depth, latched=latched)
        handle = self._handler(source, thinned=not latched and source.name not in _NEVER_THINNED)
        self.create_subscription(source.message, source.name, handle, qos, raw=True)

    def _handler(self, source: _Source, *, thinned: bool) -> Callable[[bytes], None]:
        name, resolved = source.name, source.resolved
        stamped = cdr.begins_with_header(source.kind)
        thinned = thinned and stamped

        def handle(data: bytes) -> None:
            now_s, now_ns = time.monotonic(), time.time_ns()
            self.counts[resolved] += 1
            stamp_ns = cdr.header_stamp_ns(data) if stamped else 0
            self._follow(name, stamp_ns, now_s)
            if self._writer is not None and (not thinned or self._kept.keeps(stamp_ns)):
                self._writer.write(resolved, now_ns, data)

        return handle

    def _follow(self, name: str, stamp_ns: int, now_s: float) -> None:
        if name in _CAMERA:
            self.transit.image(stamp_ns, now_s)
        elif name == _DEPTH:
            self.transit.depth(stamp_ns, now_s)
        else:
            return
        self._heard_s = now_s


def _may_latch(source: _Source) -> bool:
    """Whether only its publishers tell: the depth node's own topics are volatile."""
    return source.name not in KNOWN_TYPES and not source.resolved.endswith(_STATIC_TRANSFORMS)


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text.encode())
    except OSError as err:
        raise RecordingError(f'summary {path} cannot be written: {err.strerror}') from err


class Thinning:
    """Chooses every n-th stamp, in the order in which stamps are first seen."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._seen = 0
        self._kept: dict[int, bool] = {}

    def __len__(self) -> int:
        """Stamps that are remembered."""
        return len(self._kept)

    def keeps(self, stamp_ns: int) -> bool:
        """Whether messages of this stamp are kept."""
        if stamp_ns not in self._kept:
            self._kept[stamp_ns] = self._seen % self._every == 0
            self._seen += 1
            if len(self._kept) > _REMEMBERED:
                del self._kept[next(iter(self._kept))]
        return self._kept[stamp_ns]


def main(args: Sequence[str] | None = None) -> int:
    """Record; 0 when the bag is complete, 1 when it or a parameter is bad."""
    leave_interrupts_to_ros()
    rclpy.init(args=args)
    try:
        node = RecorderNode()
        try:
            node.run()
        except ExternalShutdownException:
            pass
        finally:
            node.finish()
            node.destroy_node()
    except RuntimeError:
        if rclpy.ok():
            raise
    except Monodepth2Error as err:
        print(f'recorder_node: {err}', file=sys.stderr, flush=True)
        return 1
    finally:
        rclpy.try_shutdown()
        ignore_interrupts()
    return 0


if __name__ == '__main__':
    sys.exit(main())
