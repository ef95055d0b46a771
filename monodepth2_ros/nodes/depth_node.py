# SPDX-License-Identifier: Apache-2.0
"""The depth node: one camera in, depth, cloud and picture out; a managed (lifecycle) node.

The executor's one thread receives and answers services; one worker thread owns the model.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

# Threads of OpenMP spin while they wait, by default for milliseconds: beside other work that takes
# the core from the thread waited for. It must be said before torch is loaded.
os.environ.setdefault('GOMP_SPINCOUNT', '10000')

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from std_srvs.srv import SetBool

from monodepth2_ros import health
from monodepth2_ros.errors import Monodepth2Error
from monodepth2_ros.frame_monitor import FrameMonitor
from monodepth2_ros.nodes import diagnostics
from monodepth2_ros.nodes.depth_session import DepthSession
from monodepth2_ros.nodes.frame_processor import Surroundings
from monodepth2_ros.nodes.interrupts import leave_interrupts_to_ros
from monodepth2_ros.nodes.parameter_server import ParameterServer
from monodepth2_ros.nodes.quality_of_service import QosWatch
from monodepth2_ros.nodes.self_check import SelfCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rclpy.lifecycle import LifecycleState

    from monodepth2_ros.inference.scale_keeper import ScaleKeeper
    from monodepth2_ros.nodes.parameters import NodeParameters

_SUCCESS = TransitionCallbackReturn.SUCCESS
_FAILURE = TransitionCallbackReturn.FAILURE
_POLL_S = 1.0


class DepthNode(LifecycleNode):
    """Depth from one camera; configured by parameters, see ``NodeParameters``.

    Attributes:
        finished: set once the process shall end.
        exit_code: what it shall end with.
        session: what exists between configure and cleanup, else None.
        monitor: the balance of all frames.
    """

    def __init__(self, name: str = 'depth_node', **kwargs: Any) -> None:
        """Declare parameters and start diagnostics; nothing is loaded yet."""
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **kwargs)
        self.finished = threading.Event()
        self.exit_code = 0
        self.session: DepthSession | None = None
        self._active = False
        self._enabled = True
        self._failure: str | None = None
        self._keeper: ScaleKeeper | None = None
        self.monitor = FrameMonitor(time.monotonic())
        self._qos = QosWatch()
        self._self_check = SelfCheck()
        self._server = ParameterServer(
            self, is_configured=lambda: self.session is not None, on_change=self._on_change
        )
        self._status = diagnostics.DiagnosticsPublisher(self, task='depth')
        self._faults = diagnostics.FaultLog(self)
        self.create_service(SetBool, '~/enable', self._on_enable)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        period_s = self._server.current.diagnostics_period_s
        self.create_timer(period_s, self._on_diagnostics, clock=steady)

    @property
    def parameters(self) -> NodeParameters:
        """The parameters in force."""
        return self._server.current

    def autostart(self) -> None:
        """Configure and activate, if the parameter of that name says so."""
        if not self._server.current.autostart:
            return
        if self.trigger_configure() == _SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the model; a bad parameter or file fails with its reason."""
        try:
            parameters = self._server.checked()
            self.session = DepthSession(
                self,
                parameters,
                monitor=self.monitor,
                qos=self._qos,
                surroundings=self._surroundings(),
                keeper=self._keeper,
            )
        except Exception as err:
            return self._fail('configure', err)
        self._failure = None
        self.session.enabled = self._enabled
        self._announce(parameters)
        return _SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the camera."""
        if self.session is None:
            return _FAILURE
        try:
            self.session.open()
        except Exception as err:
            return self._fail('activate', err)
        self._failure = None
        self._active = True
        return _SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and finish the frame in hand."""
        self._active = False
        if self.session is not None:
            self.session.shut()
        return _SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model, its memory and the output topics; what is known of its scale stays."""
        self.release()
        return _SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        self.release()
        return _SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything; the node can be configured again."""
        self.release()
        return _SUCCESS

    def destroy_node(self) -> None:
        """Free everything, and the node itself.

        rclpy forgets a lifecycle node's state machine. It would keep the DDS participant alive,
        and its 128 MiB of shared memory beyond the end of the process.
        """
        self.release()
        self._self_check.close()
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def release(self) -> bool:
        """Free everything; False if a thread was busy and had to be left behind."""
        self._active = False
        session, self.session = self.session, None
        self._qos.clear()
        if session is None:
            return True
        self._keeper = session.processor.keeper
        try:
            return session.close()
        except Exception as err:
            self.get_logger().error(f'not everything could be freed: {type(err).__name__}: {err}')
            return False

    def _fail(self, transition: str, err: Exception) -> TransitionCallbackReturn:
        # Of an error that left a transition rclpy would say nothing.
        name = '' if isinstance(err, Monodepth2Error) else f'{type(err).__name__}: '
        self._failure = f'{transition} failed: {name}{err}'
        if rclpy.ok(context=self.context):
            self.get_logger().error(self._failure)
        return _FAILURE

    def _surroundings(self) -> Surroundings:
        logger, clock = self.get_logger(), self.get_clock()
        return Surroundings(
            now_ns=lambda: clock.now().nanoseconds,
            running=lambda: rclpy.ok(context=self.context),
            warn=lambda text: logger.warning(text),
            give_up=self._give_up,
        )

    def _give_up(self, reason: str) -> None:
        self.get_logger().fatal(f'ending with exit code 1: {reason}')
        self.exit_code = 1
        self.finished.set()

    def _announce(self, parameters: NodeParameters) -> None:
        session = self.session
        if session is None:
            return
        figures = diagnostics.model_figures(session, parameters)
        self.get_logger().info(
            f'model {figures["model"]} on {figures["device"]} ({figures["device reason"]}), '
            f'scale: {figures["scale"]}'
        )

    def _on_change(self, parameters: NodeParameters) -> None:
        if self.session is not None:
            self.session.change(parameters)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = bool(request.data)
        if self.session is not None:
            self.session.enabled = self._enabled
        response.success = True
        response.message = 'computing' if self._enabled else 'paused: frames are dropped'
        return response

    def _on_diagnostics(self) -> None:
        parameters, session = self._server.current, self.session
        report = self.monitor.report(time.monotonic())
        self._qos.refresh(self)
        findings = [health.warning(text) for text in self._qos.mismatches]
        if self._failure is not None:
            findings.append(health.error(self._failure))
        if session is not None and self._active:
            findings += diagnostics.session_findings(session, report, parameters)
            if parameters.middleware_check and report.counts.published:
                self._self_check.begin(session.image_bytes)
        else:
            findings.append(health.remark('inactive' if session else 'unconfigured'))
        findings += self._self_check.findings()
        figures = diagnostics.model_figures(session, parameters) if session else {}
        if session is not None and self._active:
            session.scale.publish()
        self._faults.update(findings)
        self._status.publish(
            findings,
            figures | health.stream_figures(report) | self._self_check.figures(),
            hardware_id=figures.get('device', 'none'),
        )


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the node until it is told to end; exit code 1 asks for a restart of the process."""
    faulthandler.enable()
    leave_interrupts_to_ros()
    node: DepthNode | None = None
    try:
        rclpy.init(args=args)
        node = DepthNode()
        _spin(node)
    except ExternalShutdownException:
        pass
    except RuntimeError:
        # rclpy's calls fail this way once a signal has shut ROS down.
        if rclpy.ok():
            raise
    _leave(node)


def _spin(node: DepthNode) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.autostart()
    # Not spin_until_future_complete, which keeps some 250 bytes of every callback for ever.
    while rclpy.ok() and not node.finished.is_set():
        executor.spin_once(timeout_sec=_POLL_S)


def _leave(node: DepthNode | None) -> NoReturn:
    """End the process without the interpreter's own end, which takes seconds beside torch."""
    exit_code = 0
    if node is not None:
        exit_code = node.exit_code
        node.destroy_node()
    rclpy.try_shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


if __name__ == '__main__':
    main()
