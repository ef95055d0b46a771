# SPDX-License-Identifier: Apache-2.0
"""Everything that lives between configure and cleanup: worker, model, topics, calibration."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros import memory
from monodepth2_ros.errors import ConfigError
from monodepth2_ros.inference.device_frames import device_frames
from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.inference.pipeline import FramePipeline, Settings
from monodepth2_ros.inference.scale_keeper import ScaleKeeper
from monodepth2_ros.mailbox import RateLimiter, Worker
from monodepth2_ros.monitoring import Drop, LogThrottle
from monodepth2_ros.nodes import messages
from monodepth2_ros.nodes.calibration_source import CalibrationSource
from monodepth2_ros.nodes.cv_bridge_decoder import load_decoder
from monodepth2_ros.nodes.frame_processor import FrameProcessor, LoadedModel, Surroundings
from monodepth2_ros.nodes.inputs import Frame, Inputs
from monodepth2_ros.nodes.outputs import Outputs
from monodepth2_ros.nodes.quality_of_service import QosWatch
from monodepth2_ros.nodes.scale_topics import ScaleTopics
from monodepth2_ros.yields import ignore_yields

if TYPE_CHECKING:
    from collections.abc import Callable

    from rclpy.node import Node
    from sensor_msgs.msg import CameraInfo
    from std_msgs.msg import Header

    from monodepth2_ros.frame_monitor import FrameMonitor
    from monodepth2_ros.images import CompressedImage, RawImage
    from monodepth2_ros.nodes.parameters import NodeParameters

_STOP_TIMEOUT_S = 1.5


def pipeline_settings(parameters: NodeParameters) -> Settings:
    """The part of the parameters that the pipeline works by."""
    return Settings(
        rectify=parameters.rectify,
        min_depth_m=parameters.min_depth_m,
        max_depth_m=parameters.max_depth_m,
        scale=parameters.scale,
        colormap=parameters.colormap,
        color_min_depth_m=parameters.color_min_depth_m,
        color_max_depth_m=parameters.color_max_depth_m,
        cloud_stride=parameters.cloud_stride,
        cloud_fields=parameters.cloud_fields,
        depth_size=parameters.depth_size,
        reduced_decode=parameters.reduced_decode,
        max_pixels=parameters.max_pixels,
    )


def load(parameters: NodeParameters, known: ScaleKeeper | None = None) -> LoadedModel:
    """Load and warm up the model; keep the garbage collector away from what it made.

    Args:
        parameters: name the model file and how to run it.
        known: what was learnt about the scale before; goes on if it is of the same file.

    Raises:
        Monodepth2Error: the model file or the device cannot be used.
    """
    estimator = DepthEstimator.load(
        Path(parameters.model).expanduser(),
        engine=parameters.engine,
        device=parameters.device,
        precision=parameters.precision,
        flip=parameters.flip,
        threads=parameters.threads,
    )
    estimator.warm_up()
    sha256, chosen = estimator.model_sha256, parameters.scale_settings()
    if known is None or known.model_sha256 != sha256:
        keeper = ScaleKeeper(estimator.description, chosen, model_sha256=sha256)
    else:
        keeper = known
        keeper.change(chosen)
    pipeline = FramePipeline(
        estimator,
        pipeline_settings(parameters),
        decoder=load_decoder(),
        keeper=keeper,
        device_frames=device_frames(estimator, jpeg_decoder=parameters.jpeg_decoder),
    )
    memory.settle()
    return LoadedModel(estimator=estimator, pipeline=pipeline, keeper=keeper)


class DepthSession:
    """A configured node: idle after construction, receiving between ``open`` and ``shut``.

    Attributes:
        enabled: whether frames are answered.
        image_bytes: payload of the latest image message.
        calibrations: the camera's calibration.
        processor: answers frames on the worker's thread.
        scale: topics about the scale of depth.
    """

    def __init__(
        self,
        node: Node,
        parameters: NodeParameters,
        *,
        monitor: FrameMonitor,
        qos: QosWatch,
        surroundings: Surroundings,
        keeper: ScaleKeeper | None = None,
    ) -> None:
        """Load the model on the worker's thread and create the output topics.

        Args:
            node: whose topics they are.
            parameters: in force.
            monitor: is told what becomes of each frame.
            qos: is told of partners that cannot be matched.
            surroundings: what the worker may ask of the node.
            keeper: what an earlier session learnt about the scale.

        Raises:
            Monodepth2Error: model, device or calibration cannot be used; nothing is left behind.
        """
        parameters.require_model()
        self._node, self._monitor, self._qos, self._around = node, monitor, qos, surroundings
        self._parameters = parameters
        self._limiter, self._throttle = RateLimiter(), LogThrottle()
        self._inputs: Inputs | None = None
        self.enabled = True
        self.image_bytes = 0
        self.calibrations = CalibrationSource(url=parameters.calibration_url)
        self._outputs = Outputs(node, qos_name=parameters.output_qos, watch=qos)
        self._worker: Worker[Frame] = Worker(self._answer, on_error=self._refuse, name='depth')
        try:
            self.processor = self._worker.run(
                lambda: self._load(keeper), keep_waiting=surroundings.running
            )
            self.scale = ScaleTopics(node, lambda: self.processor.keeper)
        except BaseException:
            self._end()
            raise

    def _load(self, keeper: ScaleKeeper | None) -> FrameProcessor:
        # Before the engine starts threads of its own from here.
        ignore_yields()
        return FrameProcessor(
            load=lambda before: load(self._parameters, before or keeper),
            outputs=self._outputs,
            monitor=self._monitor,
            surroundings=self._around,
            depth_encoding=self._parameters.depth_encoding,
        )

    def _answer(self, frame: Frame) -> None:
        self.processor.answer(frame)

    def _refuse(self, err: Exception) -> None:
        self.processor.refuse(err)

    def open(self) -> None:
        """Subscribe to the camera.

        Raises:
            ConfigError: a qos_overrides parameter is unusable.
        """
        self._monitor.restart(time.monotonic())
        try:
            self._inputs = Inputs(
                self._node,
                transport=self._parameters.image_transport,
                qos_name=self._parameters.image_qos,
                watch=self._qos,
                on_image=self._on_image,
                on_camera_info=self._on_camera_info,
                on_lost=self._monitor.lost_in_transport,
            )
        except (RuntimeError, ValueError) as err:
            raise ConfigError(f'the camera topics cannot be subscribed to: {err}') from err
        self._follow_odometry()

    @property
    def source(self) -> str:
        """Who publishes images on which topic, in words; empty while not receiving."""
        return self._inputs.source if self._inputs is not None else ''

    def shut(self) -> None:
        """Unsubscribe and finish the frame in hand."""
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None
        self._follow_odometry()
        if self._worker.clear() is not None:
            self._monitor.dropped(Drop.INACTIVE)
        self._on_worker(lambda: None)

    def close(self) -> bool:
        """Free everything; False if the worker was still busy and had to be left behind."""
        try:
            self.shut()
            self.scale.close()
            self._on_worker(self.processor.close)
        finally:
            ended = self._end()
        return ended

    def _on_worker(self, job: Callable[[], None]) -> None:
        """Run a job after the frame in hand, unless ROS is shut down or will be meanwhile."""
        if self._around.running():
            with suppress(TimeoutError):
                self._worker.run(job, keep_waiting=self._around.running)

    def _end(self) -> bool:
        ended = self._worker.stop(_STOP_TIMEOUT_S)
        self._outputs.close()
        if self._around.running():
            memory.give_back()
        return ended

    def change(self, parameters: NodeParameters) -> None:
        """Take over live parameters."""
        self._parameters = parameters
        settings = pipeline_settings(parameters)
        self.processor.change(settings, depth_encoding=parameters.depth_encoding)
        self.processor.keeper.change(parameters.scale_settings())
        self._follow_odometry()

    def _follow_odometry(self) -> None:
        """Listen to it only while images come and the scale is measured by it."""
        receives = self._inputs is not None
        self.scale.follow_odometry(receives and self._parameters.scale_source == 'odometry')

    def _on_image(self, header: Header, image: RawImage | CompressedImage) -> None:
        now_s = time.monotonic()
        self.image_bytes = len(image.data)
        self.scale.camera_frame(header.frame_id)
        if self._monitor.received(now_s, stamp_ns=messages.stamp_ns(header)):
            self._say_backwards(now_s)
        cause = self._refusal(now_s)
        if cause is None:
            frame = Frame(
                header=header,
                image=image,
                calibration=self.calibrations.current,
                received_s=now_s,
            )
            cause = Drop.REPLACED if self._worker.offer(frame) is not None else None
        if cause is not None:
            self._monitor.dropped(cause)

    def _refusal(self, now_s: float) -> Drop | None:
        if not self.enabled:
            return Drop.DISABLED
        if self._outputs.wanted() is None:
            return Drop.NO_SUBSCRIBER
        if not self._limiter.admits(now_s, self._parameters.max_rate_hz):
            return Drop.RATE_LIMITED
        return None

    def _say_backwards(self, now_s: float) -> None:
        if self._throttle.admit('backwards', now_s) is not None:
            self._around.warn('image stamps went backwards: a looped bag or a clock set back')

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._monitor.camera_info(time.monotonic())
        self.calibrations.update(message)
