# SPDX-License-Identifier: Apache-2.0
"""One frame from the mailbox to the output topics, on the worker's thread.

No frame can end it: a bad frame is dropped, counted by cause and warned about at most once a
second. Ten internal errors in a row reload the model, which keeps what was learnt about its scale;
three reloads in vain, or a lost GPU, end the process so that its supervisor starts it afresh.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monodepth2_ros.errors import ImageError, UnsupportedEncodingError
from monodepth2_ros.health import FAILURES_THAT_MATTER
from monodepth2_ros.inference.camera_match import CameraMismatchError
from monodepth2_ros.monitoring import Drop, LogThrottle
from monodepth2_ros.nodes import messages

if TYPE_CHECKING:
    from monodepth2_ros.frame_monitor import FrameMonitor
    from monodepth2_ros.inference.estimator import DepthEstimator
    from monodepth2_ros.inference.pipeline import FramePipeline, Settings
    from monodepth2_ros.inference.scale_keeper import ScaleKeeper
    from monodepth2_ros.nodes.inputs import Frame
    from monodepth2_ros.nodes.outputs import Outputs

MAX_RELOADS = 3
"""Reloads without a single answer in between before the process gives up."""


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model that is ready to answer, and the pipeline around it."""

    estimator: DepthEstimator
    """Owns the network and its device memory."""
    pipeline: FramePipeline
    """Turns one message into everything that is published about it."""
    keeper: ScaleKeeper
    """Keeps the scale of its depth."""

    def close(self) -> None:
        """Free the network and all that was made of it; may be called again."""
        self.pipeline.close()
        self.estimator.close()


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a processor may ask of its node."""

    now_ns: Callable[[], int]
    """The node's clock, which also makes the stamps."""
    running: Callable[[], bool]
    """False once ROS has been shut down."""
    warn: Callable[[str], None]
    """Log a warning."""
    give_up: Callable[[str], None]
    """End the process with an error."""


class FrameProcessor:
    """Answers frames with the pipeline it holds."""

    def __init__(
        self,
        *,
        load: Callable[[ScaleKeeper | None], LoadedModel],
        outputs: Outputs,
        monitor: FrameMonitor,
        surroundings: Surroundings,
        depth_encoding: str,
    ) -> None:
        """Load the model, now and after repeated failures.

        Args:
            load: gets the keeper of the model before, None at first.
            outputs: where answers go.
            monitor: is told what became of each frame.
            surroundings: the node.
            depth_encoding: 32FC1 or 16UC1.
        """
        self._load = load
        self._outputs = outputs
        self._monitor = monitor
        self._around = surroundings
        self._throttle = LogThrottle()
        self._reloads = 0
        self._notes: tuple[str, ...] = ()
        self._model = load(None)
        self.depth_encoding = depth_encoding

    @property
    def estimator(self) -> DepthEstimator:
        """The model in use."""
        return self._model.estimator

    @property
    def keeper(self) -> ScaleKeeper:
        """What keeps the scale of the model in use."""
        return self._model.keeper

    @property
    def notes(self) -> tuple[str, ...]:
        """What the pipeline remarked on the last frame."""
        return self._notes

    def change(self, settings: Settings, *, depth_encoding: str) -> None:
        """Take over live parameters for the frames to come."""
        self._model.pipeline.settings = settings
        self.depth_encoding = depth_encoding

    def answer(self, frame: Frame) -> None:
        """Compute what is listened to, and publish it."""
        waited_s = time.monotonic() - frame.received_s
        wanted = self._outputs.wanted()
        if wanted is None:
            self._monitor.dropped(Drop.NO_SUBSCRIBER)
            return
        self._model.keeper.stamp_ns = messages.stamp_ns(frame.header)
        products = self._model.pipeline.process(frame.image, frame.calibration, wanted)
        self._notes = products.notes
        begin_s = time.monotonic()
        if not self._outputs.publish(products, frame.header, depth_encoding=self.depth_encoding):
            self._monitor.dropped(Drop.NO_CALIBRATION)
            return
        self._reloads = 0
        now_s = time.monotonic()
        age_ns = self._around.now_ns() - messages.stamp_ns(frame.header)
        stages_s = {
            'receive': waited_s,
            **vars(products.timings_s),
            'publish': now_s - begin_s,
        }
        self._monitor.published(
            now_s, received_s=frame.received_s, stamp_age_s=age_ns / 1e9, stages_s=stages_s
        )

    def refuse(self, err: Exception) -> None:
        """Drop the frame that raised ``err``, for a reason that is counted and said."""
        self._notes = ()
        if not self._around.running():
            self._monitor.dropped(Drop.INACTIVE)
            return
        cause = _cause(err)
        failures = self._monitor.dropped(cause)
        self._warn(cause, err)
        if cause is not Drop.FAILED:
            return
        if _is_device_lost(err):
            self._around.give_up(f'the GPU is lost to this process ({err})')
        elif failures % FAILURES_THAT_MATTER == 0:
            self._recover(err)

    def close(self) -> None:
        """Free the model and its memory."""
        self._model.close()

    def _warn(self, cause: Drop, err: Exception) -> None:
        held = self._throttle.admit(cause.value, time.monotonic())
        if held is None:
            return
        name = '' if isinstance(err, ImageError) else f'{type(err).__name__}: '
        more = f' ({held} more like this since the last line)' if held else ''
        self._around.warn(f'frame dropped, {cause.value}: {name}{err}{more}')

    def _recover(self, err: Exception) -> None:
        self._reloads += 1
        if self._reloads > MAX_RELOADS:
            self._around.give_up(f'{MAX_RELOADS} reloads of the model did not help ({err})')
            return
        self._around.warn(f'{FAILURES_THAT_MATTER} frames in a row failed: reloading the model')
        before = self._model
        try:
            before.close()
            self._model = self._load(before.keeper)
        except Exception as reason:
            self._around.warn(
                f'the model cannot be loaded again: {reason}; it is tried anew after '
                f'{FAILURES_THAT_MATTER} more frames'
            )
            return
        # They may have changed while the model was loaded.
        self._model.pipeline.settings = before.pipeline.settings


def _cause(err: Exception) -> Drop:
    if isinstance(err, UnsupportedEncodingError):
        return Drop.UNSUPPORTED_ENCODING
    if isinstance(err, CameraMismatchError):
        return Drop.CAMERA_REFUSED
    return Drop.BAD_IMAGE if isinstance(err, ImageError) else Drop.FAILED


def _is_device_lost(err: Any) -> bool:
    """Whether CUDA reports an error that stays until the process ends."""
    return 'CUDA error' in str(err) and 'out of memory' not in str(err)
