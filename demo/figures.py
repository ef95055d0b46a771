# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: frames in, out and dropped by cause, rates, latency, and depth errors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from demo.accuracy import Accuracy, measure
from demo.model import Model
from demo.run import Outcome
from demo.source import Source
from monodepth2_ros.recordings import cdr, open_recording

_DROPPED = 'dropped: '


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a run has shown."""

    frames_played: int
    """Images in the played stretch, by the recording."""
    camera_frames: int
    """Images that reached the recorder."""
    depth_frames: int
    """Depth images that reached the recorder."""
    node_received: int | None
    """Images that reached the node, by its diagnostics; None without any."""
    node_published: int | None
    """Frames that it answered."""
    node_dropped: dict[str, int] = field(default_factory=dict)
    """Frames that it gave up, by cause."""
    camera_hz: float
    """Mean rate of the images."""
    depth_hz: float
    """Mean rate of the depth images."""
    latency_ms: dict[str, float | None]
    """Receipt of an image to receipt of its depth in a third process: p50, p95, max."""
    node_says: str
    """The node's last diagnostic message."""
    device: str
    """What the network ran on, by the diagnostics."""
    model: str
    """Name of the model file."""
    accuracy: Accuracy | None
    """Errors against true depth; None if the recording has none."""


def collect(source: Source, model: Model, outcome: Outcome) -> Figures:
    """Gather the figures of a finished run."""
    heard = json.loads(outcome.figures.read_text(encoding='utf-8'))
    status = _last_status(outcome.bag)
    return Figures(
        frames_played=source.frames,
        camera_frames=heard['camera_frames'],
        depth_frames=heard['depth_frames'],
        node_received=_count(status, 'frames received'),
        node_published=_count(status, 'frames published'),
        node_dropped=_dropped(status),
        camera_hz=heard['camera_hz'],
        depth_hz=heard['depth_hz'],
        latency_ms={name: heard[f'latency_{name}_ms'] for name in ('p50', 'p95', 'max')},
        node_says=status.get('', 'no diagnostics'),
        device=status.get('device', 'unknown'),
        model=model.path.name,
        accuracy=measure(outcome.bag, source, metric=model.metric)
        if heard['depth_frames']
        else None,
    )


def write(figures: Figures, path: Path) -> None:
    """Write the figures as JSON."""
    path.write_text(json.dumps(asdict(figures), indent=2) + '\n', encoding='utf-8')


def text(figures: Figures) -> str:
    """The figures for people."""
    latency = ', '.join(f'{name} {_ms(value)}' for name, value in figures.latency_ms.items())
    causes = ', '.join(f'{count} {cause}' for cause, count in figures.node_dropped.items())
    lines = [
        f'frames    {figures.frames_played} played, {figures.node_received} reached the node, '
        f'{figures.node_published} answered, {figures.depth_frames} depth images received',
        f'dropped   {causes or "none"}',
        f'rate      camera {figures.camera_hz:.1f} Hz, depth {figures.depth_hz:.1f} Hz',
        f'latency   {latency} (image to depth, seen by a third process)',
        f'device    {figures.device}',
        *_accuracy_lines(figures),
    ]
    return '\n' + '\n'.join(f'  {line}' for line in lines)


def headline(figures: Figures) -> str:
    """The figures that a picture is judged by, in one line."""
    facts = [f'image to depth {_ms(figures.latency_ms["p50"])}', figures.device]
    accuracy = figures.accuracy
    if accuracy is not None:
        metric = accuracy.metric_abs_rel
        ours = f'{accuracy.abs_rel:.3f}, scaled' if metric is None else f'{metric:.3f} in metres'
        constant = f'{accuracy.constant_abs_rel:.3f} for one depth everywhere'
        facts = [f'abs_rel {ours} ({constant})', *facts]
    return '   '.join(facts)


def _accuracy_lines(figures: Figures) -> list[str]:
    accuracy = figures.accuracy
    if accuracy is None:
        return ['accuracy  not measured: the recording holds no true depth of this view']
    metric = accuracy.metric_abs_rel
    in_metres = [] if metric is None else [f'{metric:.3f} in metres']
    ours = [*in_metres, f'{accuracy.abs_rel:.3f} with each frame scaled to the true median']
    return [
        f'accuracy  abs_rel {", ".join(ours)} ({accuracy.frames} frames)',
        f'          abs_rel {accuracy.constant_abs_rel:.3f} for one constant depth in each frame',
    ]


def _ms(value: float | None) -> str:
    return 'unknown' if value is None else f'{value:.0f} ms'


def _last_status(bag: Path) -> dict[str, str]:
    with open_recording(bag) as recording:
        last: Any = None
        for message in recording.messages(['/diagnostics']):
            last = cdr.parse(message)
    statuses = last.status if last else []
    found = (status for status in statuses if status.name.startswith('depth_node'))
    status = next(found, None)
    if status is None:
        return {}
    return {'': status.message, **{item.key: item.value for item in status.values}}


def _count(status: dict[str, str], name: str) -> int | None:
    return int(status[name]) if name in status else None


def _dropped(status: dict[str, str]) -> dict[str, int]:
    counts = {
        name.removeprefix(_DROPPED): int(value)
        for name, value in status.items()
        if name.startswith(_DROPPED)
    }
    return {cause: count for cause, count in counts.items() if count}
