# SPDX-License-Identifier: Apache-2.0
"""What the book-keeping of a camera stream means: findings with a level, and figures as text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from monodepth2_ros.monitoring import Drop, DurationSummary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monodepth2_ros.frame_monitor import MonitorReport

FAILURES_THAT_MATTER = 10
"""Internal errors in a row after which the model is reloaded."""

LOST_HELP = (
    'large messages get lost in transport: start the camera with '
    'FASTRTPS_DEFAULT_PROFILES_FILE=<config/fastdds_large_messages.xml> '
    '(ROS 2 Kilted and later: FASTDDS_DEFAULT_PROFILES_FILE), see docs/deployment.md'
)
"""What to do when images do not arrive."""


class Level(IntEnum):
    """Severity, with the numbers of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing worth telling the operator."""

    level: Level
    """How bad it is."""
    text: str
    """What it is and what to do."""
    name: str = ''
    """Stays the same while figures in the text change; empty: the text itself."""

    @property
    def key(self) -> str:
        """What tells this finding from others."""
        return self.name or self.text


def error(text: str, *, name: str = '') -> Finding:
    """A finding that stops the node from giving depth."""
    return Finding(level=Level.ERROR, text=text, name=name)


def warning(text: str, *, name: str = '') -> Finding:
    """A finding that makes the depth worse or rarer."""
    return Finding(level=Level.WARN, text=text, name=name)


def remark(text: str) -> Finding:
    """A finding that is no fault."""
    return Finding(level=Level.OK, text=text)


def worst(findings: Iterable[Finding]) -> tuple[Level, str]:
    """The highest level, and the texts from the worst to the mildest."""
    ordered = sorted(findings, key=lambda finding: -finding.level)
    if not ordered:
        return Level.OK, 'giving depth'
    return ordered[0].level, '; '.join(finding.text for finding in ordered)


def stream_findings(
    report: MonitorReport, *, camera_timeout_s: float, source: str = ''
) -> list[Finding]:
    """What is wrong with the stream of an active node.

    Args:
        report: what became of the frames.
        camera_timeout_s: the longest silence that is no fault.
        source: who publishes images on which topic, in words, for a silence; empty if unknown.
    """
    found = []
    if report.silent_s > camera_timeout_s:
        since = 'since the last image' if report.heard else 'since activation without any image'
        who = f' ({source})' if source else ''
        text = f'camera silent: {report.silent_s:.1f} s {since}{who}'
        found.append(error(text, name='camera silent'))
    elif report.fruitless and report.fruitless_s > camera_timeout_s:
        causes = ', '.join(f'{count} x {why.value}' for why, count in report.fruitless.items())
        text = f'no depth for {report.fruitless_s:.1f} s although images come: {causes}'
        found.append(error(text, name='no depth although images come'))
    if report.delivery:
        found.append(warning(f'{report.delivery}: {LOST_HELP}', name='images lost in transport'))
    if report.consecutive_failures >= FAILURES_THAT_MATTER:
        text = f'{report.consecutive_failures} frames in a row failed'
        found.append(error(text, name='frames in a row failed'))
    return found


def stream_figures(report: MonitorReport) -> dict[str, str]:
    """Rates, latencies and counts, by the names that diagnostics show."""
    counts = report.counts
    figures = {
        'input rate (Hz)': f'{report.input_rate_hz:.2f}',
        'output rate (Hz)': f'{report.output_rate_hz:.2f}',
        'age of newest image (s)': f'{report.silent_s:.2f}' if report.heard else 'none yet',
        'age of newest depth (s)': _seconds(report.output_age_s),
        'latency stamp to publish (ms)': _durations(report.stamp_to_publish),
        'latency receive to publish (ms)': _durations(report.receive_to_publish),
    }
    for stage, summary in report.stages.items():
        figures[f'stage {stage} (ms)'] = _durations(summary)
    figures |= {'frames received': str(counts.received), 'frames published': str(counts.published)}
    figures |= {f'dropped: {cause.value}': str(counts.dropped.get(cause, 0)) for cause in Drop}
    figures |= {
        'frames in flight': str(counts.in_flight),
        'images lost in transport (reported)': str(report.transport_lost),
        'stamps went backwards': str(report.backward_jumps),
    }
    return figures


def _durations(summary: DurationSummary | None) -> str:
    if summary is None:
        return 'unknown'
    p50, p95, longest = (1e3 * v for v in (summary.p50_s, summary.p95_s, summary.max_s))
    return f'p50 {p50:.1f}, p95 {p95:.1f}, max {longest:.1f}'


def _seconds(value_s: float | None) -> str:
    return 'none yet' if value_s is None else f'{value_s:.2f}'
