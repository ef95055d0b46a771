# SPDX-License-Identifier: Apache-2.0
"""The report of an evaluation as one HTML file, in the look of the report of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monodepth2_training.evaluation.depth_errors import METRICS
from monodepth2_training.evaluation.documents import cell_text, error_cells
from monodepth2_training.evaluation.verdict import SCALING_TITLES, verdict
from monodepth2_training.report.evaluation_charts import (
    draw_calibration,
    draw_frames,
    draw_ranges,
    draw_scatter,
)
from monodepth2_training.report.page import (
    Section,
    facts_table,
    figure,
    findings,
    note,
    picture_grid,
    render_page,
    table,
    wide_pictures,
)
from monodepth2_training.report.pose_charts import draw_poses
from monodepth2_training.report.trajectory_charts import draw_trajectories

if TYPE_CHECKING:
    from monodepth2_training.evaluation.evaluation import DepthResult, Evaluation

_LEAST_FOR_CURVES = 3


def evaluation_page(evaluation: Evaluation) -> str:
    """The whole page."""
    sections = []
    if evaluation.doubts:
        sections.append(_doubts(evaluation))
    if evaluation.depth is not None:
        sections += [
            _accuracy(evaluation.depth),
            _frames(evaluation.depth),
            _parts(evaluation.depth),
            _charts(evaluation.depth),
        ]
    if evaluation.overlays:
        sections.append(_overlays(evaluation))
    if evaluation.trajectories:
        paths = figure(draw_trajectories(evaluation.trajectories))
        sections.append(Section(name='trajectories', title='Paths from above', body=paths))
    for more in evaluation.tables:
        rows = [[cell_text(cell) for cell in row] for row in more.rows]
        body = table(more.header, rows) + (note(more.note) if more.note else '')
        sections.append(Section(name=more.name, title=more.title, body=body))
    if evaluation.motion is not None:
        sections.append(
            Section(name='path', title='The path', body=figure(draw_poses(evaluation.motion)))
        )
    facts = facts_table(evaluation.facts)
    sections.append(Section(name='facts', title='What was compared', body=facts))
    return render_page(
        evaluation.title,
        verdict=verdict(evaluation),
        notes=[],
        sections=sections,
        kind='Evaluation',
    )


def _doubts(evaluation: Evaluation) -> Section:
    body = findings((d.what, d.advice, d.urgent) for d in evaluation.doubts)
    return Section(name='doubts', title='Before you believe it', body=body)


def _accuracy(depth: DepthResult) -> Section:
    """All errors of all methods, a table for each scaling."""
    body = note(
        f'Truth between {depth.limits.min_depth_m:g} and {depth.limits.max_depth_m:g} m. '
        'Lower is better but for delta, the share of pixels within a factor of 1.25, 1.25² and '
        '1.25³. sq_rel and rmse are in metres, silog in percent. The guesses never look at the '
        'picture: a model must beat them to have learnt anything.'
    )
    for scaling, title in SCALING_TITLES.items():
        methods = [m for m in depth.methods if scaling in m.judgement.scores]
        if scaling not in depth.methods[0].judgement.scores:
            body += f'<h3>{title}</h3>' + note('The model file does not say how long its unit is.')
            continue
        rows = [[m.name, *error_cells(m.judgement.scores[scaling].mean)] for m in methods]
        body += f'<h3>{title}</h3>' + table(('', *METRICS), rows)
    return Section(name='accuracy', title='How good it is', body=body)


def _frames(depth: DepthResult) -> Section:
    """The best and the worst frames."""
    body = note(
        'Points on the camera picture are the truth. In depth, near is bright. Errors of each '
        'frame scaled to its truth: blue is too near, red too far, strongest at a factor of 1.5.'
    )
    for name, views in (('Worst', depth.worst), ('Best', depth.best)):
        body += ''.join(picture_grid(f'{name}: {view.name}', view.pictures) for view in views)
    return Section(name='frames', title='Worst and best frames', body=body)


def _parts(depth: DepthResult) -> Section:
    """Errors by depth and by region."""
    judgement = depth.methods[0].judgement
    rows = [
        [part.name, f'{part.share:.1%}', *error_cells(part.errors)]
        for part in judgement.ranges['frame']
    ]
    cells = [
        f'{cell_text(part.errors.abs_rel)} ({part.share:.0%})'
        for part in judgement.regions['frame']
    ]
    regions = [
        [name, *cells[3 * row : 3 * row + 3]]
        for row, name in enumerate(('top', 'middle', 'bottom'))
    ]
    body = (
        figure(draw_ranges(depth))
        + table(('true depth', 'pixels', *METRICS), rows)
        + '<h3>abs_rel by place in the picture, and its share of the judged pixels</h3>'
        + table(('', 'left', 'centre', 'right'), regions)
    )
    return Section(name='parts', title='Where it is good', body=body)


def _charts(depth: DepthResult) -> Section:
    """Pixel by pixel, by distance, over the frames."""
    body = figure(draw_scatter(depth), 'All judged pixels; on the line they are right.')
    body += figure(
        draw_calibration(depth),
        'Median and middle four fifths: above 1 it sees things too far away, below 1 too near.',
    )
    if len(depth.frames) >= _LEAST_FOR_CURVES:
        body += figure(draw_frames(depth))
    return Section(name='charts', title='Prediction against truth', body=body)


def _overlays(evaluation: Evaluation) -> Section:
    """Whether truth fits the pictures."""
    body = note(
        'Jumps in true depth, drawn onto the picture: they must lie on the rims of cars, poles '
        'and walls.'
    )
    body += wide_pictures(evaluation.overlays)
    return Section(name='overlays', title='Does truth fit the picture', body=body)
