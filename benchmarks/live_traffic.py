# SPDX-License-Identifier: Apache-2.0
"""A camera and a listener in one process, which measure a node in another.

A frame's time runs from its stamp, taken just before it is published, to the arrival of the last
of its answers in this process; so it holds the transport of the image and of the answers.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import rclpy
import simplejpeg
from diagnostic_msgs.msg import DiagnosticArray
from node_under_test import NodeUnderTest
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.nodes import messages
from monodepth2_ros.nodes.quality_of_service import profile
from monodepth2_ros.recordings import cdr

_PICTURES = 6
_WARM_UPS = 5
_TIMEOUT_S = 20.0
_START_S = 120.0
_CAMERA_S = 0.05
_ANSWERS = 2  # depth and cloud
_TAKEN_S = 0.01  # longer than any node takes to take an image, shorter than any network


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a camera sends."""

    width: int
    """Columns of its images."""
    height: int
    """Rows of its images."""
    jpeg: bool = False
    """Whether they are JPEGs, else bgr8."""

    @classmethod
    def of_size(cls, size: str, *, jpeg: bool = False) -> Source:
        """A camera of that size, for example ``1242x375``."""
        width, _, height = size.partition('x')
        return cls(width=int(width), height=int(height), jpeg=jpeg)

    @property
    def name(self) -> str:
        """Size and kind."""
        return f'{self.width}x{self.height} {"JPEG" if self.jpeg else "raw"}'


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run of frames came to."""

    latencies_ms: tuple[float, ...] = field(repr=False)
    """Stamp to the last answer, of each frame answered."""
    sent: int
    """Frames sent."""
    wall_s: float
    """From the first to the last of them."""
    cpu_ms: float
    """CPU time of the node for one frame sent."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Frames that the node says it dropped, by cause, where it says so."""
    lost: int = 0
    """Frames sent that the node neither answered nor counted."""

    @property
    def p50_ms(self) -> float:
        """Median time."""
        return statistics.median(self.latencies_ms)

    @property
    def p90_ms(self) -> float:
        """Exceeded by one frame in ten."""
        return float(np.percentile(self.latencies_ms, 90))

    @property
    def p95_ms(self) -> float:
        """Exceeded by one frame in twenty."""
        return float(np.percentile(self.latencies_ms, 95))

    @property
    def rate_hz(self) -> float:
        """Frames answered a second."""
        return len(self.latencies_ms) / self.wall_s


class Traffic:
    """Publishes pictures with camera_info; hears depth, points and diagnostics."""

    def __init__(self, *, jpeg: bool) -> None:
        self._node = rclpy.create_node('benchmark_camera')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        kind, topic = (CompressedImage, 'image/compressed') if jpeg else (Image, 'image')
        qos = profile('best_effort')
        self._image = self._node.create_publisher(kind, topic, qos)
        self._info = self._node.create_publisher(CameraInfo, 'camera_info', qos)
        self._heard: dict[int, list[float]] = {}
        self._status: dict[str, str] = {}
        for answer, name in ((Image, 'depth/image'), (PointCloud2, 'depth/points')):
            self._node.create_subscription(
                answer, name, self._on_answer, profile('reliable'), raw=True
            )
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_status, 10)

    def close(self) -> None:
        """Leave the topics."""
        self._executor.shutdown()
        self._node.destroy_node()

    def wait_for(self, node: NodeUnderTest, source: Source) -> float:
        """Send as a camera does until one is answered; seconds since the process was started."""
        picture, end_s = _pictures(source)[0], time.monotonic() + _START_S
        while time.monotonic() < end_s:
            node.check()
            if self._image.get_subscription_count():
                self._send(picture)
            self._spin_until(time.monotonic() + _CAMERA_S)
            if any(len(heard_s) == _ANSWERS for heard_s in self._heard.values()):
                self._heard.clear()
                return time.monotonic() - node.started_s
        raise SystemExit(f'no answer within {_START_S:.0f} s')

    def one_by_one(self, node: NodeUnderTest, source: Source, frames: int) -> Figures:
        """Send each frame once the one before is answered."""
        return self._answer_by_answer(node, source, frames, waiting=0)

    def without_pause(self, node: NodeUnderTest, source: Source, frames: int) -> Figures:
        """Send a frame for each answer, so that one always waits while another is in work."""
        return self._answer_by_answer(node, source, frames, waiting=1)

    def _answer_by_answer(
        self, node: NodeUnderTest, source: Source, frames: int, *, waiting: int
    ) -> Figures:
        pictures = itertools.cycle(_pictures(source))
        for _ in range(_WARM_UPS):
            self._answered(self._send(next(pictures)), wait_s=_TIMEOUT_S)
        on_their_way = deque(self._send(next(pictures)) for _ in range(waiting))
        # Of two that wait at once the node drops the older.
        self._spin_until(time.monotonic() + _TAKEN_S)
        latencies_ms, begin_s, cpu_s = [], time.monotonic(), node.cpu_s()
        for _ in range(frames):
            on_their_way.append(self._send(next(pictures)))
            latency_s = self._answered(on_their_way.popleft(), wait_s=_TIMEOUT_S)
            node.check()
            if latency_s is not None:
                latencies_ms.append(1e3 * latency_s)
        figures = Figures(
            latencies_ms=tuple(latencies_ms),
            sent=frames,
            wall_s=time.monotonic() - begin_s,
            cpu_ms=1e3 * (node.cpu_s() - cpu_s) / frames,
            lost=frames - len(latencies_ms),
        )
        for stamp_ns in on_their_way:
            self._answered(stamp_ns, wait_s=_TIMEOUT_S)
        return figures

    def at_rate(
        self, node: NodeUnderTest, source: Source, frames: int, *, rate_hz: float
    ) -> Figures:
        """Send frames at a fixed rate and account for each of them."""
        pictures = _pictures(source)
        before = self._drops()
        self._heard.clear()
        begin_s, cpu_s, stamps_ns = time.monotonic(), node.cpu_s(), []
        for index in range(frames):
            self._spin_until(begin_s + index / rate_hz)
            stamps_ns.append(self._send(pictures[index % _PICTURES]))
        wall_s = time.monotonic() - begin_s
        cpu_ms = 1e3 * (node.cpu_s() - cpu_s) / frames
        self._spin_until(time.monotonic() + 2.5)  # the last answers, and what diagnostics say
        answered = [self._latency_s(stamp_ns) for stamp_ns in stamps_ns]
        latencies_ms = tuple(1e3 * value for value in answered if value is not None)
        after = self._drops()
        dropped = {cause: n - before.get(cause, 0) for cause, n in after.items()}
        return Figures(
            latencies_ms=latencies_ms,
            sent=frames,
            wall_s=wall_s,
            cpu_ms=cpu_ms,
            dropped={cause: n for cause, n in dropped.items() if n},
            lost=frames - len(latencies_ms) - sum(dropped.values()),
        )

    def status(self) -> dict[str, str]:
        """The latest figures of the node's diagnostics."""
        self._spin_until(time.monotonic() + 1.5)
        return dict(self._status)

    def _drops(self) -> dict[str, int]:
        self._spin_until(time.monotonic() + 1.5)
        prefix = 'dropped: '
        return {
            key.removeprefix(prefix): int(value)
            for key, value in self._status.items()
            if key.startswith(prefix)
        }

    def _send(self, picture: tuple[Any, CameraInfo]) -> int:
        message, info = picture
        stamp_ns = time.time_ns()
        for each in (info, message):
            each.header.stamp.sec, each.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        self._info.publish(info)
        self._image.publish(message)
        return stamp_ns

    def _answered(self, stamp_ns: int, *, wait_s: float) -> float | None:
        end_s = time.monotonic() + wait_s
        while time.monotonic() < end_s:
            latency_s = self._latency_s(stamp_ns)
            if latency_s is not None:
                del self._heard[stamp_ns]
                return latency_s
            self._executor.spin_once(timeout_sec=0.05)
        return None

    def _latency_s(self, stamp_ns: int) -> float | None:
        """Seconds from the stamp to the last of its answers; None until it is there."""
        heard_s = self._heard.get(stamp_ns, [])
        return heard_s[-1] - stamp_ns / 1e9 if len(heard_s) == _ANSWERS else None

    def _spin_until(self, end_s: float) -> None:
        while (left_s := end_s - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left_s)

    def _on_answer(self, data: bytes) -> None:
        self._heard.setdefault(cdr.header_stamp_ns(data), []).append(time.time())

    def _on_status(self, message: DiagnosticArray) -> None:
        self._status = {each.key: each.value for each in message.status[0].values}


def _pictures(source: Source) -> list[tuple[Any, CameraInfo]]:
    """A few pictures of smooth noise, as messages with their camera_info."""
    rng = np.random.default_rng(1)
    camera = PinholeCamera(
        width=source.width,
        height=source.height,
        fx_px=0.58 * source.width,
        fy_px=0.58 * source.width,
        cx_px=source.width / 2 - 0.5,
        cy_px=source.height / 2 - 0.5,
    )
    made = []
    for _ in range(_PICTURES):
        coarse = rng.integers(0, 256, (source.height // 12, source.width // 12, 3), np.uint8)
        size = source.width, source.height
        bgr = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        message = _message(bgr, jpeg=source.jpeg)
        message.header.frame_id = 'camera'
        made.append((message, messages.camera_info_message(camera, message.header)))
    return made


def _message(bgr: NDArray[np.uint8], *, jpeg: bool) -> Any:
    if not jpeg:
        return messages.color_message(bgr, Image().header)
    data = simplejpeg.encode_jpeg(bgr, quality=90, colorspace='BGR', colorsubsampling='420')
    message = CompressedImage(format='bgr8; jpeg compressed bgr8')
    message.data.frombytes(data)
    return message
