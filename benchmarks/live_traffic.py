# SPDX-License-Identifier: Apache-2.0
"""A camera and a listener in one process, and the processes of other nodes that they measure.

A frame's time runs from its stamp, taken just before it is published, to the arrival of the last
of its answers in this process; so it holds the transport of the image and of the answers.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
import simplejpeg
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.nodes import messages
from monodepth2_ros.nodes.quality_of_service import profile
from monodepth2_ros.recordings import cdr

ROOT = Path(__file__).resolve().parent.parent
_PICTURES = 6
_TIMEOUT_S = 20.0
_START_S = 120.0
_CAMERA_S = 0.05
_ANSWERS = 2  # depth and cloud


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a camera sends."""

    width: int
    """Columns of its images."""
    height: int
    """Rows of its images."""
    jpeg: bool = False
    """Whether they are JPEGs, else bgr8."""

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


class NodeUnderTest:
    """A process with a node; ends with the block."""

    def __init__(self, command: Sequence[str], *, log: Path, prefix: Sequence[str] = ()) -> None:
        """Start Python with a command; ``prefix`` is put before it, as ``nice -n -10``."""
        self._log = log.open('w')
        self.started_s = time.monotonic()
        self._process = subprocess.Popen(
            [*prefix, sys.executable, *command],
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> NodeUnderTest:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()

    def cpu_s(self) -> float:
        """CPU time of the process so far, all threads."""
        fields = Path(f'/proc/{self._process.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def resident_mib(self) -> float:
        """Memory of the process."""
        pages = int(Path(f'/proc/{self._process.pid}/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGESIZE') / 2**20

    def check(self) -> None:
        """End the benchmark with the node's own words if it has ended."""
        if self._process.poll() is not None:
            self._log.flush()
            raise SystemExit(f'the node has ended:\n{Path(self._log.name).read_text()[-2000:]}')


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
        pictures = _pictures(source)
        for index in range(5):
            self._answered(self._send(pictures[index % _PICTURES]), wait_s=_TIMEOUT_S)
        latencies_ms, begin_s, cpu_s = [], time.monotonic(), node.cpu_s()
        for index in range(frames):
            stamp_ns = self._send(pictures[index % _PICTURES])
            latency_s = self._answered(stamp_ns, wait_s=_TIMEOUT_S)
            node.check()
            if latency_s is not None:
                latencies_ms.append(1e3 * latency_s)
        return Figures(
            latencies_ms=tuple(latencies_ms),
            sent=frames,
            wall_s=time.monotonic() - begin_s,
            cpu_ms=1e3 * (node.cpu_s() - cpu_s) / frames,
            lost=frames - len(latencies_ms),
        )

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
                self._heard.clear()
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
