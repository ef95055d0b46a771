# SPDX-License-Identifier: Apache-2.0
"""Runs player, depth node and recorder until the drive is over, or something has failed."""

from __future__ import annotations

import math
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from demo.model import Model
from demo.options import Options
from demo.problems import DemoError
from demo.processes import Node, Nodes
from demo.source import Source

COLORMAP = 'magma'
"""Colours of the depth pictures, the node's and the true ones."""

_STORED_BYTES = 3e8
_WIDE = 800
_START_S = 180.0
_END_S = 30.0
_IDLE_S = 3.0
# DDS announces its participants every 3 s: by then the recorder hears the node as well.
_SETTLE_S = 3.5
_CAMERA_TIMEOUT_S = 10.0
_POLL_S = 0.1
_ALARMS = ('[WARN]', '[ERROR]', '[FATAL]')
_FAILURES = ('configure failed:', 'activate failed:', 'ending with exit code')


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run leaves on disk."""

    bag: Path
    """Bag of camera, outputs and diagnostics."""
    figures: Path
    """JSON with the recorder's figures."""
    keep_every: int
    """Every so many frames are in the bag."""


@dataclass(frozen=True, kw_only=True)
class _Cast:
    """The processes of a run."""

    player: Node
    """Plays the drive."""
    depth: Node
    """Turns images into depth."""
    recorder: Node
    """Records and measures."""


def run(source: Source, model: Model, options: Options) -> Outcome:
    """Play the source through the node in real time.

    Raises:
        DemoError: a process died or no frame came through.
    """
    outcome = Outcome(
        bag=options.out / 'outputs',
        figures=options.out / 'logs' / 'recorder.json',
        keep_every=options.keep_every or _keep_every(source),
    )
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Nodes(options.out / 'logs', options.domain) as nodes:
            print(f'  ROS_DOMAIN_ID={nodes.domain}, this machine only', flush=True)
            _watch(_start(nodes, source, model, options, outcome))
    finally:
        signal.signal(signal.SIGTERM, previous)
    return outcome


def cloud_stride(source: Source) -> int:
    """Every so many pixels become a point."""
    return 4 if source.width > _WIDE else 2


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _keep_every(source: Source) -> int:
    pixel_bytes = 3 + 4 + 3 + 32 / cloud_stride(source) ** 2
    return math.ceil(source.frames * source.width * source.height * pixel_bytes / _STORED_BYTES)


def _start(
    nodes: Nodes, source: Source, model: Model, options: Options, outcome: Outcome
) -> _Cast:
    image = 'image/compressed' if source.compressed else 'image'
    outputs = ['depth/image', 'depth/camera_info', 'depth/points', 'depth/image_color']
    recorder = {
        'bag': outcome.bag,
        'summary': outcome.figures,
        'topics': [image, 'camera_info', *outputs, '/diagnostics'],
        'keep_every': outcome.keep_every,
        'idle_s': _IDLE_S,
    }
    depth = {
        'model': model.path,
        'device': options.device,
        'image_transport': 'compressed' if source.compressed else 'raw',
        'cloud_stride': cloud_stride(source),
        'colormap': COLORMAP,
        'camera_timeout_s': _CAMERA_TIMEOUT_S,
    }
    player = {
        'recording': source.path,
        'camera': source.camera,
        'calibration_url': options.calibration or '',
        'fps': options.fps,
        'duration_s': options.seconds,
        'wait_for_subscribers': 2,
        'settle_s': _SETTLE_S,
    }
    return _Cast(
        recorder=nodes.start('recorder_node', recorder),
        depth=nodes.start('depth_node', depth),
        player=nodes.start('player_node', player),
    )


def _watch(cast: _Cast) -> None:
    print('  waiting for the node to load the model', flush=True)
    started_s, shown, ended_s = time.monotonic(), 0, math.inf
    while cast.recorder.status is None:
        time.sleep(_POLL_S)
        _check(cast)
        shown = _show(cast.recorder, shown)
        now_s = time.monotonic()
        if not shown and now_s - started_s > _START_S:
            raise DemoError(_silence(cast))
        if cast.player.status == 0:
            ended_s = min(ended_s, now_s)
        if now_s - ended_s > _END_S:
            cast.recorder.send(signal.SIGINT)
    _show(cast.recorder, shown)
    if cast.recorder.status:
        raise DemoError(f'the recorder failed:\n{cast.recorder.last_words()}')
    for line in cast.depth.text().splitlines():
        if line.startswith(_ALARMS):
            print(f'  {line}')


def _show(recorder: Node, shown: int) -> int:
    lines = recorder.text().splitlines()
    for line in lines[shown:]:
        print(f'  {line}', flush=True)
    return len(lines)


def _check(cast: _Cast) -> None:
    if cast.depth.status is not None:
        raise DemoError(
            f'depth_node died with status {cast.depth.status}:\n{cast.depth.last_words()}'
        )
    if any(failure in cast.depth.text() for failure in _FAILURES):
        raise DemoError(f'depth_node could not start:\n{cast.depth.last_words()}')
    if cast.player.status:
        raise DemoError(f'the player failed:\n{cast.player.last_words()}')


def _silence(cast: _Cast) -> str:
    return (
        f'no frame came through in {_START_S:.0f} s\n  depth_node:\n{cast.depth.last_words()}\n'
        f'  player_node:\n{cast.player.last_words()}'
    )
