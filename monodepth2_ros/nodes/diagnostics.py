# SPDX-License-Identifier: Apache-2.0
"""What the node says about itself on /diagnostics, and the same faults once each in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from monodepth2_ros import health
from monodepth2_ros.health import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rclpy.node import Node

    from monodepth2_ros.frame_monitor import MonitorReport
    from monodepth2_ros.nodes.depth_session import DepthSession
    from monodepth2_ros.nodes.parameters import NodeParameters

UNKNOWN_SCALE = 'relative depth: scale unknown'
"""Said for a model without scale: depths are right up to one common factor."""

_LEVELS = {
    Level.OK: DiagnosticStatus.OK,
    Level.WARN: DiagnosticStatus.WARN,
    Level.ERROR: DiagnosticStatus.ERROR,
}


class DiagnosticsPublisher:
    """Publishes one status of one node."""

    def __init__(self, node: Node, *, task: str) -> None:
        self._node = node
        self._name = f'{node.get_fully_qualified_name().lstrip("/")}: {task}'
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)

    def publish(
        self, findings: Iterable[Finding], figures: Mapping[str, str], *, hardware_id: str
    ) -> None:
        """Send the status: worst level, all findings in words, all figures."""
        level, text = health.worst(findings)
        status = DiagnosticStatus(name=self._name, message=text, hardware_id=hardware_id)
        status.level = _LEVELS[level]
        status.values = [KeyValue(key=key, value=value) for key, value in figures.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)


class FaultLog:
    """Logs when a fault begins and when it is over, once each."""

    def __init__(self, node: Node) -> None:
        self._logger = node.get_logger()
        self._current: set[str] = set()

    def update(self, findings: Iterable[Finding]) -> None:
        """Take all findings of this moment; those of level OK are no faults."""
        faults = {finding.key: finding for finding in findings if finding.level > Level.OK}
        for key in faults.keys() - self._current:
            self._say(faults[key])
        for key in self._current - faults.keys():
            self._logger.info(f'over: {key}')
        self._current = set(faults)

    def _say(self, finding: Finding) -> None:
        if finding.level is Level.ERROR:
            self._logger.error(finding.text)
        else:
            self._logger.warning(finding.text)


def session_findings(
    session: DepthSession, report: MonitorReport, parameters: NodeParameters
) -> list[Finding]:
    """What there is to tell about an active node."""
    found = health.stream_findings(
        report, camera_timeout_s=parameters.camera_timeout_s, source=session.source
    )
    said = session.calibrations.fault, *session.processor.notes
    found += [health.warning(text) for text in said if text]
    if not session.enabled:
        found.append(health.remark('disabled by service'))
    keeper = session.processor.keeper
    found += [health.warning(text) for text in keeper.differences]
    if not keeper.reading.is_known:
        found.append(health.remark(UNKNOWN_SCALE))
    return found


def model_figures(session: DepthSession, parameters: NodeParameters) -> dict[str, str]:
    """The model, its device and its scale, by the names that diagnostics show."""
    estimator = session.processor.estimator
    return {
        'model': parameters.model,
        'model sha256': estimator.model_sha256,
        'device': estimator.engine.device_name,
        'device reason': estimator.device_reason,
        'engine': estimator.engine.name,
        'memory (MiB)': f'{estimator.engine.memory_bytes() / 2**20:.0f}',
        'scale': scale_text(session),
        'camera mounting': _mounting_text(session),
        'calibration': session.calibrations.origin,
        'enabled': str(session.enabled).lower(),
    }


def _mounting_text(session: DepthSession) -> str:
    """How the camera is mounted by tf, in words."""
    mounting = session.processor.keeper.mounting
    return f'{mounting.height_m:.3f} m above {mounting.ground}' if mounting else 'not known by tf'


def scale_text(session: DepthSession) -> str:
    """Where metres come from, in words."""
    reading = session.processor.keeper.reading
    if not reading.is_known and not reading.frozen:
        return UNKNOWN_SCALE
    return reading.text() if reading.is_known else f'{UNKNOWN_SCALE} ({reading.text()})'
