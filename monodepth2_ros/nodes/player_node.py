# SPDX-License-Identifier: Apache-2.0
"""Plays bags, videos and image folders as ROS topics at their recorded pace.

Messages are published as the bytes that were recorded. Due times follow from the start on a steady
clock, so that lateness never adds up.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos_overriding_options import QoSOverridingOptions
from rosgraph_msgs.msg import Clock

from monodepth2_ros.errors import Monodepth2Error, RecordingError
from monodepth2_ros.geometry.calibration_file import load_calibration
from monodepth2_ros.nodes.declaration import read_once
from monodepth2_ros.nodes.interrupts import ignore_interrupts
from monodepth2_ros.nodes.message_types import message_class, playing_qos
from monodepth2_ros.nodes.player_parameters import PlayerParameters
from monodepth2_ros.recordings import Recording, camera_report, open_recording
from monodepth2_ros.recordings.playback import Clip, Route, make_clip
from monodepth2_ros.recordings.progress import Progress, Tally
from monodepth2_ros.recordings.timeline import Timeline

_CLOCK = '/clock'
_SPIN_FROM_S = 0.005
_CLOCK_PERIOD_S = 0.01
_ACK_TIMEOUT_S = 5.0
_LONE_FRAME_S = 0.1
_CAMERA_OF = '--camera-of'


class PlayerNode(Node):
    """Publishes a clip of a recording."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            'player_node', automatically_declare_parameters_from_overrides=True, **options
        )
        self.parameters = read_once(self, PlayerParameters)
        self.tally = Tally(time.monotonic())
        self._said: set[str] = set()
        self._spinner = SingleThreadedExecutor(context=self.context)
        self._spinner.add_node(self)
        self._recording = _open(self.parameters)
        try:
            self.clip = self._make_clip(self._recording)
            self._outputs = self._make_publishers(self.clip)
        except BaseException:
            self._recording.close()
            raise
        wants_clock = self.parameters.clock
        self._clock_publisher = self.create_publisher(Clock, _CLOCK, 10) if wants_clock else None

    def run(self) -> None:
        """Play until the end, or for ever when looping; returns early when ROS shuts down.

        Raises:
            RecordingError: the recording is damaged; what precedes the damage has been played.
        """
        try:
            self._play()
        except Monodepth2Error:
            raise
        except Exception:
            # A shutdown from outside pulls the handles from under a wait or a publication.
            if self.context.ok():
                raise

    def _play(self) -> None:
        self._wait_for_subscribers()
        self.tally = Tally(time.monotonic())
        while self.context.ok():
            before = self.tally.frames
            self._play_once()
            self._say_notes(self._recording)
            if not self.parameters.loop:
                break
            self._spin_for(self._pause_s(self.tally.frames - before))
        self._wait_until_received()

    def _pause_s(self, frames: int) -> float:
        """From the last of a pass's frames to the first of the next: their mean interval."""
        lone = frames < 2 or self.clip.duration_s == 0.0
        recorded_s = _LONE_FRAME_S if lone else self.clip.duration_s / (frames - 1)
        return recorded_s / self.parameters.rate

    def destroy_node(self) -> None:
        """Close the recording, then the node."""
        self._recording.close()
        self._spinner.shutdown(timeout_sec=0.0)
        super().destroy_node()

    def _make_clip(self, recording: Recording) -> Clip:
        clip = make_clip(
            recording,
            camera=self.parameters.camera,
            topics=self.parameters.topics,
            start_s=self.parameters.start_s,
            duration_s=self.parameters.duration_s,
        )
        self._say_notes(recording)
        if clip.camera is not None:
            self.get_logger().info(f'camera: {clip.camera.image}')
        return self._without_clock(clip) if self.parameters.clock else clip

    def _without_clock(self, clip: Clip) -> Clip:
        """Leave out a recorded clock: with ours, time would leap to and fro."""
        if _CLOCK not in clip.routes:
            return clip
        self.get_logger().info(f'{_CLOCK} is published anew, not as recorded')
        routes = {name: route for name, route in clip.routes.items() if name != _CLOCK}
        return replace(clip, routes=routes)

    def _say_notes(self, recording: Recording) -> None:
        """Warn of what is lost or odd, once each; playing may find more."""
        for note in recording.notes:
            if note not in self._said:
                self._said.add(note)
                self.get_logger().warning(note)

    def _make_publishers(self, clip: Clip) -> dict[str, Publisher]:
        made = {name: self._make_publisher(route) for name, route in clip.routes.items()}
        publishers = {name: publisher for name, publisher in made.items() if publisher}
        if not publishers:
            raise RecordingError(f'{clip.recording.path}: none of its message types is installed')
        return publishers

    def _make_publisher(self, route: Route) -> Publisher | None:
        kind = message_class(route.type)
        if kind is None:
            self.get_logger().warning(f'{route.topic} is left out: {route.type} is not installed')
            return None
        return self.create_publisher(
            kind,
            route.topic,
            playing_qos(latched=route.latched, depth=route.depth),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _awaited(self) -> list[Publisher]:
        images = [self._outputs[name] for name in self.clip.image_topics & set(self._outputs)]
        return images or list(self._outputs.values())

    def _wait_for_subscribers(self) -> None:
        wanted = self.parameters.wait_for_subscribers
        awaited = self._awaited()
        said_s = time.monotonic()
        while self.context.ok() and wanted:
            lacking = [item for item in awaited if item.get_subscription_count() < wanted]
            if not lacking:
                # Who has found the images is about to find the rest.
                self._spin_for(self.parameters.settle_s)
                return
            if time.monotonic() - said_s > 5.0:
                said_s = time.monotonic()
                names = ', '.join(item.topic_name for item in lacking)
                self.get_logger().info(f'waiting for {wanted} subscribers on {names}')
            self._spinner.spin_once(timeout_sec=0.05)

    def _spin_for(self, duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while self.context.ok() and (left_s := end_s - time.monotonic()) > 0.0:
            self._spinner.spin_once(timeout_sec=left_s)

    def _play_once(self) -> None:
        images, period_s = self.clip.image_topics, self.parameters.progress_period_s
        timeline = self._timeline()
        progress = Progress(self.clip, self.tally, period_s, clock_s=timeline.start_clock_s)
        for message in self.clip.messages():
            publisher = self._outputs.get(message.topic)
            if publisher is None:
                continue
            late_s = self._wait_until(timeline, timeline.due_s(message.stamp_ns))
            if not self.context.ok():
                return
            publisher.publish(timeline.played_bytes(message))
            now_s = time.monotonic()
            frame = message.topic in images
            self.tally.add(message.topic, now_s, frame=frame, late_s=late_s)
            line = progress.line(message.stamp_ns, now_s)
            if line:
                self.get_logger().info(line)

    def _timeline(self) -> Timeline:
        return Timeline(
            start_ns=self.clip.start_ns,
            start_clock_s=time.monotonic(),
            rate=self.parameters.rate,
            played_ns=time.time_ns() if self.parameters.stamps == 'now' else None,
        )

    def _wait_until(self, timeline: Timeline, due_s: float) -> float:
        """Wait for a steady clock reading; give how late it is then, in seconds."""
        while True:
            now_s = time.monotonic()
            self._publish_clock(timeline.stamp_at(min(now_s, due_s)), timeline)
            if due_s <= now_s or not self.context.ok():
                return now_s - due_s
            remaining_s = due_s - now_s
            if self._clock_publisher is not None:
                remaining_s = min(remaining_s, _CLOCK_PERIOD_S)
            if remaining_s > _SPIN_FROM_S:
                self._spinner.spin_once(timeout_sec=remaining_s - _SPIN_FROM_S / 2)
            else:
                time.sleep(remaining_s)

    def _publish_clock(self, stamp_ns: int, timeline: Timeline) -> None:
        if self._clock_publisher is None:
            return
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(timeline.played_stamp(stamp_ns), 10**9)
        self._clock_publisher.publish(message)

    def _wait_until_received(self) -> None:
        deadline_s = time.monotonic() + _ACK_TIMEOUT_S
        for publisher in self._outputs.values():
            if not self.context.ok():
                return
            remaining_s = max(0.0, deadline_s - time.monotonic())
            if not publisher.wait_for_all_acked(Duration(seconds=remaining_s)):
                name = publisher.topic_name
                self.get_logger().warning(f'the last messages on {name} were not acknowledged')


def _open(parameters: PlayerParameters) -> Recording:
    url = parameters.calibration_url
    calibration = load_calibration(url) if url else None
    return open_recording(parameters.recording, calibration=calibration, fps=parameters.fps)


def main(args: Sequence[str] | None = None) -> int:
    """Play a recording; 0 when it was played, 1 when it or a parameter is bad.

    With ``--camera-of RECORDING [CAMERA]`` nothing is played: a line of JSON says which camera
    would be.
    """
    words = sys.argv if args is None else args
    if _CAMERA_OF in words[1:2]:
        return camera_report.main(words[2:])
    rclpy.init(args=args)
    node = None
    try:
        node = PlayerNode()
        node.run()
    except Monodepth2Error as err:
        print(f'player_node: {err}', file=sys.stderr, flush=True)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        ignore_interrupts()
        if node is not None:
            print(f'player_node: {node.tally.summary()}', file=sys.stderr, flush=True)
            node.destroy_node()
        rclpy.try_shutdown()
        # ROS has put back the handler that it found.
        ignore_interrupts()
    return 0


if __name__ == '__main__':
    sys.exit(main())
