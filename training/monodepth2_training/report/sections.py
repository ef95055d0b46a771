# SPDX-License-Identifier: Apache-2.0
"""The sections of a report in the order in which a vehicle's owner asks: each a small function."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from monodepth2_training.data.triplets import learns_motion
from monodepth2_training.report.curves import draw_depths, draw_error, draw_progress
from monodepth2_training.report.facts import counted
from monodepth2_training.report.page import (
    Section,
    bullets,
    commands,
    facts_table,
    figure,
    findings,
    note,
    paragraph,
    picture_grid,
    table,
)
from monodepth2_training.report.pose_charts import draw_poses
from monodepth2_training.run.metric import trained_scale
from monodepth2_training.run.odometry import read_run_odometry

if TYPE_CHECKING:
    from pathlib import Path

    from monodepth2_ros.geometry.camera import PinholeCamera
    from monodepth2_ros.model_description import Scale
    from monodepth2_training.data.guards import Finding
    from monodepth2_training.report.advice import Advice
    from monodepth2_training.report.facts import Facts, PoseFacts
    from monodepth2_training.report.observation import Observation
    from monodepth2_training.report.poses import PoseComparison
    from monodepth2_training.report.record import RunRecord

_MODES = {
    'mono': 'one camera, neighbouring frames',
    'stereo': 'the two cameras of a pair',
    'mono_stereo': 'neighbouring frames and both cameras of a pair',
    'trinocular': 'a camera and those on both sides of it',
}
_COMPRESSED = '/compressed'


def data_section(record: RunRecord) -> Section:
    """What was learnt from."""
    rows = [('learnt from', _MODES[record.config.mode])]
    store = record.store
    if store is not None:
        counts = [len(store.frames(camera)) for camera in range(len(store.cameras))]
        rows.append(('recordings', ', '.join(store.sources)))
        rows += [
            (
                f'camera {camera.name}',
                f'{count} pictures of {camera.image_topic}, seen as {store.width}x{store.height} '
                f'with fx {camera.camera.fx_px:.1f} px; {_size_of(camera.source.camera)}',
            )
            for camera, count in zip(store.cameras, counts, strict=True)
        ]
        tally = ', '.join(f'{n} {outcome}' for outcome, n in store.tally.items() if n)
        notes = [text for text in (tally, *store.document.progress.notes) if text]
        rows += [('images', '; '.join(notes))] if notes else []
    if record.split is not None:
        rows.append(('samples', '; '.join(record.split.notes)))
    rows.append(('network', _network(record)))
    seconds = sum(record.per_epoch('seconds'))
    if seconds:
        rows.append(('time', f'{_duration(seconds)} for {counted(len(record.epochs), "epoch")}'))
    return Section(name='data', title='What it learnt from', body=facts_table(rows))


def scale_section(scale: Scale | None, pose: PoseFacts | None) -> Section:
    """Whether depth is in metres."""
    if scale is None:
        text = (
            'Depth is relative: right up to one factor that this model does not know. One camera '
            'alone cannot tell a small near street from a large far one.'
        )
    else:
        spread = f', spread {scale.spread:.1%}' if scale.spread else ''
        text = f'Depth is metric: {scale.value:.4g} m a network unit, by {scale.method}{spread}.'
    if pose is not None:
        text += (
            f' By the odometry of the recording a network unit is {pose.scale:.4g} m, and that '
            f'varies by {pose.scale_spread:.0%} over the frames.'
        )
    return Section(name='scale', title='Metres or not', body=paragraph(text))


def curves_section(record: RunRecord) -> Section:
    """How training went."""
    body = paragraph('Nothing was written down: the run ended within its first steps.')
    if record.steps:
        off = '' if record.config.loss.automasking else ' Auto-masking is off: every pixel counts.'
        caption = (
            'Lower is better. Validation frames are never trained on and not augmented, so that '
            'their error may well lie below that of training.'
        )
        body = figure(draw_error(record), caption) + figure(draw_progress(record), off.strip())
    return Section(name='curves', title='How training went', body=body)


def pictures_section(
    grids: Sequence[tuple[str, list[tuple[str, bytes]]]],
    origin: str,
    *,
    unseen: bool,
    masked: bool,
) -> Section:
    """What the networks make of some frames."""
    which = 'never trained on' if unseen else 'from training, for want of validation frames'
    hidden = 'are' if masked else 'would be'
    lead = note(
        f'Frames {which}, as {origin} sees them. Near is bright in the disparity. Blue pixels '
        f'{hidden} left out by the auto-mask, because they look as much alike without motion. '
        'Errors: black is none; with depth and motion there should be less than without.'
    )
    body = lead + ''.join(picture_grid(title, pictures) for title, pictures in grids)
    return Section(name='pictures', title='What it sees', body=body)


def poses_section(
    comparisons: Mapping[str, PoseComparison], reason: str, *, knew_lengths: bool
) -> Section:
    """Predicted motion against odometry.

    Args:
        comparisons: by camera.
        reason: why there is nothing to compare, where there is nothing.
        knew_lengths: whether training was told how long the steps are.
    """
    title = 'Motion against odometry'
    if not comparisons:
        return Section(name='poses', title=title, body=paragraph(reason))
    rows = [
        (
            name,
            str(len(c.ratio)),
            f'{np.median(c.direction_deg):.1f}°',
            f'{c.offset_deg:.1f}°',
            f'{np.median(c.residual_deg):.1f}°',
            f'{np.median(c.turn_deg):.2f}°',
            f'{c.scale:.4g} ± {c.scale_spread:.0%}',
            f'{c.path_error_m:.1f} of {c.path_length_m:.0f} m',
        )
        for name, c in comparisons.items()
    ]
    header = (
        'camera',
        'steps',
        'direction',
        'in common',
        'remaining',
        'turn',
        'm per unit',
        'path',
    )
    longest = max(comparisons.values(), key=lambda c: len(c.ratio))
    seen = (
        'Training was told how long the steps are, never where they go. '
        if knew_lengths
        else 'The networks have never seen odometry, so that all of the recording may be '
        'compared. '
    )
    caption = (
        f'{seen}Medians over steps. Direction: error of where a step goes, the camera taken to '
        'look straight ahead; in common: the angle that all steps share, which a pitched, turned '
        'or rear camera explains; remaining: without that. Turn: error of the rotation in a step. '
        'Metres per unit, and how much they vary (middle 68 % of the frames), are what a metric '
        'scale would be made of. Path: root mean square distance of both paths.'
    )
    body = table(header, rows) + figure(draw_poses(longest), caption)
    return Section(name='poses', title=title, body=body)


def depth_section(observation: Observation, scale: float | None) -> Section:
    """How far things are said to be; in metres if ``scale`` says how long a network unit is."""
    unit, depth = ('network units', observation.depth)
    if scale is not None:
        unit, depth = 'm', scale * observation.depth
    near, middle, far = np.median(depth, axis=0)
    text = (
        f'In the median over {len(depth)} pictures, half of a picture is nearer than '
        f'{middle:.3g} {unit}, a tenth nearer than {near:.3g} and a tenth farther than {far:.3g}.'
    )
    body = paragraph(text) + figure(draw_depths(depth[:, 1], unit))
    return Section(name='depth', title='Depth', body=body)


def guards_section(found: Sequence[Finding]) -> Section:
    """What the checks of the recording found."""
    lines = [(f'{f.what}.', f'Fix: {f.fix}.', f.severity == 'error') for f in found]
    clean = 'Nothing wrong: calibration, number of frames, motion and exposure are as they should.'
    body = findings(lines) if lines else paragraph(clean)
    return Section(name='guards', title='Checks of the recording', body=body)


def advice_section(advice: Sequence[Advice]) -> Section:
    """What to do next."""
    items = [(a.finding, a.action, a.urgent) for a in advice]
    body = findings(items) if items else paragraph('Nothing stands out: use the model.')
    return Section(name='next', title='What to do next', body=body)


def use_section(record: RunRecord, facts: Facts) -> Section:
    """The commands that use the model."""
    model = record.folder.model.resolve()
    if not record.folder.model.is_file():
        body = paragraph('There is no model file yet: it is written when training ends.')
        return Section(name='use', title='Use it', body=body)
    topic = record.store.cameras[0].image_topic if record.store else '/camera/image_raw'
    factor = '' if facts.scale is not None else f' --scale {_scale_text(facts)}'
    lines = [
        ('Live, from the camera:', live_command(model, topic)),
        (
            'On a recording, a video or pictures:',
            f'monodepth2 predict --model {model} --image RECORDING --out depth{factor}',
        ),
    ]
    if facts.scale is None:
        lines.insert(
            1, ('Metres by hand:', f'ros2 param set /depth_node scale {_scale_text(facts)}')
        )
    return Section(name='use', title='Use it', body=commands(lines))


def live_command(model: Path, topic: str) -> str:
    """The command that runs a model on a camera's topic.

    The launch file knows compressed images as ``IMAGE/compressed`` alone; under other names, such
    as ``/CAM_FRONT/image_rect_compressed``, the node's own topics are remapped.
    """
    namespace, _, name = topic.rpartition('/')
    if 'compressed' in name and not topic.endswith(_COMPRESSED):
        return (
            f'ros2 run monodepth2_ros depth_node --ros-args -p model:={model} '
            f'-p image_transport:=compressed -r image/compressed:={topic} '
            f'-r camera_info:={namespace}/camera_info'
        )
    transport = ' image_transport:=compressed' if topic.endswith(_COMPRESSED) else ''
    return (
        f'ros2 launch monodepth2_ros depth.launch.py model:={model} '
        f'image:={topic.removesuffix(_COMPRESSED)}{transport} rviz:=true'
    )


def missing_note(missing: Sequence[str]) -> Section:
    """What the report could not look at."""
    return Section(name='missing', title='What this report lacks', body=bullets(missing))


def scale_of(record: RunRecord) -> Scale | None:
    """The scale as the model file has it, or would have it; None if unknown."""
    if record.description is not None:
        return record.description.scale
    if record.store is None or record.split is None:
        return None
    odometry = read_run_odometry(record.config, record.store, record.split)
    samples = len(record.split.training)
    return trained_scale(record.config, record.store, odometry, samples=samples)


def _scale_text(facts: Facts) -> str:
    """The scale by odometry, or a placeholder."""
    return 'METRES_PER_UNIT' if facts.pose is None else f'{facts.pose.scale:.4g}'


def _network(record: RunRecord) -> str:
    """The networks in words."""
    config = record.config
    network = config.network
    pose = f', pose network {network.pose}' if learns_motion(config.mode) else ''
    return (
        f'{network.encoder} at {network.width}x{network.height}{pose}, begun with '
        f'{network.weights} weights; {config.name}, seed {config.optimisation.seed}'
    )


def _size_of(camera: PinholeCamera) -> str:
    """The size that the model file states for the camera."""
    return f'pinhole pictures of {camera.width}x{camera.height} before'


def _duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 120:
        return f'{seconds:.0f} s'
    minutes = math.floor(seconds / 60)
    return f'{minutes} min' if minutes < 120 else f'{minutes / 60:.1f} h'
