# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from monodepth2_training.checkpoints import save_checkpoint
from monodepth2_training.config_files import read_config
from monodepth2_training.data.triplets import Sample
from monodepth2_training.model.depth_pose import DepthPoseModel
from monodepth2_training.report import write_report
from monodepth2_training.report.advice import RULES, advise
from monodepth2_training.report.curves import MOST_POINTS, thinned
from monodepth2_training.report.facts import Facts, PoseFacts
from monodepth2_training.report.observation import choose
from monodepth2_training.report.poses import PredictedStep, compare_poses
from monodepth2_training.report.record import read_run
from monodepth2_training.report.sections import live_command
from monodepth2_training.report.trend import FALLING, LEVEL, RISING, SHORT, trend
from monodepth2_training.report.verdict import verdict
from support.finished_run import write_finished_run
from support.tiny_encoder import use_tiny_encoder

from monodepth2_ros.errors import TrainingError
from monodepth2_ros.geometry.poses import pose_matrices

SECTIONS = [
    'data',
    'scale',
    'curves',
    'pictures',
    'poses',
    'depth',
    'guards',
    'next',
    'use',
]
VOID = {'meta', 'img', 'br', 'link'}
GOOD = Facts(
    epochs=12,
    planned=12,
    training=(0.11, 0.10, 0.095, 0.0949, 0.0948, 0.0948),
    validation=(0.12, 0.105, 0.1, 0.0999, 0.0998, 0.0998),
    samples=514,
    validation_samples=60,
    cameras=2,
    kept_share=0.8,
    skipped_steps=0,
    scale=5.37,
    depth_contrast=8.0,
    pose=PoseFacts(
        residual_deg=1.0, offset_deg=2.0, scale=5.4, scale_spread=0.04, path_drift=0.02
    ),
)
STILL_FALLING = (0.12, 0.11, 0.10, 0.09)


class _Page(HTMLParser):
    """Checks that tags are closed in order, and keeps what matters of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == 'section':
            self.sections.append(given['id'] or '')
        if 'id' in given:
            self.ids.append(given['id'] or '')
        names = ('src', 'href', 'xlink:href', 'srcset', 'data')
        self.links += [given[name] or '' for name in names if name in given]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)


def _report(path: Path) -> tuple[_Page, str]:
    text = write_report(path).read_text(encoding='utf-8')
    return _Page(text), text


@pytest.fixture(scope='module', autouse=True)
def _tiny_networks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_encoder(patch)
        yield


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_finished_run(tmp_path_factory.mktemp('run') / 'night <drive>')


@pytest.fixture(scope='module')
def report(run: Path) -> tuple[_Page, str]:
    return _report(run)


def test_the_report_has_every_section_in_the_order_of_the_questions(
    report: tuple[_Page, str],
) -> None:
    page, _ = report
    assert page.sections == SECTIONS
    assert page.open == []


def test_the_report_needs_no_other_file_and_no_network(report: tuple[_Page, str]) -> None:
    page, text = report
    assert len(page.links) > 20
    assert all(link.startswith(('data:image/jpeg;base64,', '#')) for link in page.links)
    assert not re.search(r'https?://|@import|<script|url\((?!#)', text)
    assert len(text) < 3_000_000


def test_names_inside_the_charts_are_unique_and_every_reference_is_there(
    report: tuple[_Page, str],
) -> None:
    page, text = report
    assert len(page.ids) == len(set(page.ids))
    used = {link[1:] for link in page.links if link[0] == '#'}
    used |= set(re.findall(r'url\(#([^)]+)\)', text))
    assert used <= set(page.ids)


def test_names_from_outside_cannot_become_tags(report: tuple[_Page, str]) -> None:
    _, text = report
    assert '<drive>' not in text
    assert 'night &lt;drive&gt;' in text


def test_the_report_says_what_happened_and_how_to_use_the_model(
    run: Path, report: tuple[_Page, str]
) -> None:
    _, text = report
    assert 'Trained 3 epochs on' in text
    assert 'fell from 0.1200 to 0.0900 and is still falling: train longer.' in text
    assert 'tiny_drive' in text
    assert 'Depth is relative' in text
    assert 'ros2 launch monodepth2_ros depth.launch.py model:=' in text
    assert 'monodepth2 predict --model' in text
    assert '/camera0/image_raw' in text
    assert 'rectified and cropped' not in text


@pytest.mark.parametrize(
    ('topic', 'words'),
    [
        ('/camera/image_raw', 'image:=/camera/image_raw rviz:=true'),
        ('/camera/image_raw/compressed', 'image:=/camera/image_raw image_transport:=compressed'),
        (
            '/CAM_FRONT/image_rect_compressed',
            '-p image_transport:=compressed -r image/compressed:=/CAM_FRONT/image_rect_compressed '
            '-r camera_info:=/CAM_FRONT/camera_info',
        ),
    ],
)
def test_the_live_command_listens_to_the_cameras_own_topic(topic: str, words: str) -> None:
    assert words in live_command(Path('m.safetensors'), topic)


def test_the_same_run_gives_the_same_report(run: Path, report: tuple[_Page, str]) -> None:
    assert write_report(run).read_text(encoding='utf-8') == report[1]


def test_motion_is_compared_where_there_is_odometry(report: tuple[_Page, str]) -> None:
    _, text = report
    assert '/camera0, never trained on' in text
    assert 'Nothing to compare' not in text


@pytest.mark.parametrize('masked', [True, False])
def test_pictures_say_whether_the_auto_mask_was_on(tmp_path: Path, masked: bool) -> None:
    setting = f'loss.automasking={str(masked).lower()}'
    _, text = _report(write_finished_run(tmp_path / 'run', setting))
    assert ('Blue pixels are left out by the auto-mask' in text) is masked
    assert ('what the auto-mask keeps' in text) is masked
    assert ('Blue pixels would be left out by the auto-mask' in text) is not masked
    assert ('what the auto-mask would keep' in text) is not masked


def test_a_recording_without_odometry_says_so(tmp_path: Path) -> None:
    page, text = _report(write_finished_run(tmp_path / 'run', odometry=False))
    assert page.sections == SECTIONS
    assert 'the recording has no odometry' in text
    assert 'METRES_PER_UNIT' in text


def test_a_stereo_run_has_metres_and_no_predicted_motion(tmp_path: Path) -> None:
    path = write_finished_run(tmp_path / 'run', 'mode=stereo', stereo=True, model=False)
    _save_newest(path)
    _, text = _report(path)
    assert 'Depth is metric: 5 m a network unit, by stereo baseline of 0.5 m' in text
    assert 'motion is not predicted' in text


def test_metres_of_a_pair_come_from_its_baseline_also_where_odometry_teaches_motion(
    tmp_path: Path,
) -> None:
    changes = ('mode=mono_stereo', 'loss.velocity=0.05')
    _, text = _report(write_finished_run(tmp_path / 'run', *changes, stereo=True))
    assert 'by stereo baseline of 0.5 m' in text
    assert 'Check the baseline in P[0, 3] of the right camera_info' in text
    assert 'Steps of the pose network are often some percent short' not in text


def test_a_run_that_was_interrupted_is_reported_by_its_newest_checkpoint(tmp_path: Path) -> None:
    path = write_finished_run(tmp_path / 'run', validation=(0.1,), model=False)
    _save_newest(path)
    page, text = _report(path)
    assert page.sections == [*SECTIONS, 'missing']
    assert '1 of 3 epochs are done.' in text
    assert f'monodepth2 train --out {path} --resume' in text
    assert 'one epoch tells no trend' in text
    assert 'epoch_0001.ckpt' in text
    assert 'There is no model file yet' in text


def test_a_run_that_ended_at_once_still_gets_a_report(tmp_path: Path) -> None:
    path = write_finished_run(tmp_path / 'run', validation=(), model=False)
    page, text = _report(path)
    assert 'Stopped within the first epoch' in text
    assert 'pictures' not in page.sections
    assert 'holds no usable checkpoint: none was written yet' in text


def test_a_run_whose_frames_are_gone_is_reported_by_its_figures(tmp_path: Path) -> None:
    path = write_finished_run(tmp_path / 'run')
    (path / 'frames' / 'store.json').unlink()
    page, text = _report(path)
    assert {'curves', 'next', 'missing'} <= set(page.sections)
    assert 'is no frame store' in text


def test_a_line_cut_off_by_a_kill_does_not_matter(tmp_path: Path) -> None:
    path = write_finished_run(tmp_path / 'run', model=False)
    with (path / 'metrics.jsonl').open('a') as file:
        file.write('{"kind": "step", "epo')
    assert 'Trained 3 epochs' in _report(path)[1]


def test_without_validation_the_training_error_is_judged(tmp_path: Path) -> None:
    path = write_finished_run(tmp_path / 'run', 'triplets.validation=0')
    lines = (path / 'metrics.jsonl').read_text().splitlines()
    entries = [
        {k: v for k, v in json.loads(line).items() if not k.startswith('validation_')}
        for line in lines
    ]
    (path / 'metrics.jsonl').write_text(''.join(f'{json.dumps(e)}\n' for e in entries))
    text = _report(path)[1]
    assert 'training photometric error fell from 0.1300 to 0.1000' in text
    assert 'for want of validation frames' in text


def test_each_step_of_an_epoch_counts_alike_however_many_a_line_stands_for(
    tmp_path: Path,
) -> None:
    path = write_finished_run(tmp_path / 'run', model=False)
    lines = [(1, 20, 0.2), (1, 25, 0.1), (2, 45, 0.1), (2, 50, 0.05)]
    entries: list[dict[str, float | str]] = [
        {'kind': 'step', 'epoch': epoch - 1, 'step': step, 'photometric': value}
        for epoch, step, value in lines
    ]
    entries += [{'kind': 'epoch', 'epoch': epoch, 'step': 25 * epoch} for epoch in (1, 2)]
    (path / 'metrics.jsonl').write_text(''.join(f'{json.dumps(e)}\n' for e in entries))
    assert read_run(path).step_mean_per_epoch('photometric') == pytest.approx((0.18, 0.09))


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r'holds no run .* "monodepth2 train" wrote'):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ((), SHORT),
        ((0.1,), SHORT),
        ((0.1, 0.09), FALLING),
        (STILL_FALLING, FALLING),
        ((0.12, 0.1, 0.0999, 0.0998, 0.0997), LEVEL),
        ((0.12, 0.08, 0.09, 0.095, 0.1), RISING),
        ((0.12, 0.10, 0.08, 0.085), LEVEL),
    ],
)
def test_a_trend_is_told_by_the_last_epochs(values: tuple[float, ...], expected: str) -> None:
    assert trend(values) == expected


def test_a_good_run_gets_no_advice_but_that_it_has_levelled_off() -> None:
    assert [advice.finding for advice in advise(GOOD)] == ['The error has levelled off.']


@pytest.mark.parametrize(
    ('rule', 'change', 'word'),
    [
        ('interrupted', {'epochs': 5}, '--resume'),
        ('still_falling', {'validation': STILL_FALLING}, '--epochs 24'),
        ('rising', {'validation': (0.1, 0.08, 0.09, 0.09, 0.095)}, 'after epoch 2'),
        ('levelled_off', {}, 'more recordings'),
        ('mask_keeps_little', {'kept_share': 0.2}, 'keeps 20%'),
        ('flat_depth', {'depth_contrast': 1.1}, 'the same all over'),
        ('direction_poor', {'pose': replace(GOOD.pose, residual_deg=25.0)}, '25 degrees'),
        ('camera_looks_elsewhere', {'pose': replace(GOOD.pose, offset_deg=179.0)}, '179'),
        ('path_drifts', {'pose': replace(GOOD.pose, path_drift=0.55)}, '55% of its length'),
        ('metres_differ', {'scale': 10.74}, 'Check the baseline'),
        ('metres_differ', {'scale': 10.74, 'scale_by_odometry': True}, '0.503 m'),
        ('metres_differ', {'scale': 10.74, 'scale_by_odometry': True}, 'scale --method all'),
        ('scale_unknown', {'scale': None}, '5.4 m for each network unit'),
        ('scale_unknown', {'scale': None, 'pose': None}, 'Measure the distance'),
        ('scale_unsteady', {'pose': replace(GOOD.pose, scale_spread=0.3)}, '30%'),
        ('steps_skipped', {'skipped_steps': 1}, '1 step gave'),
        ('few_validate', {'validation_samples': 3}, '3 samples'),
    ],
)
def test_a_rule_speaks_up_when_its_figure_is_off(
    rule: str, change: dict[str, object], word: str
) -> None:
    ask = {r.__name__: r for r in RULES}[rule]
    advice = ask(replace(GOOD, **change))  # type: ignore[arg-type]
    assert advice is not None
    assert word in advice.finding + advice.action
    assert ask(GOOD) is None or rule == 'levelled_off'


def test_every_rule_has_a_test() -> None:
    source = Path(__file__).read_text()
    assert [r.__name__ for r in RULES if f"('{r.__name__}', " not in source] == []


def test_urgent_advice_comes_first() -> None:
    found = advise(replace(GOOD, epochs=3, depth_contrast=1.0))
    assert [advice.urgent for advice in found][:2] == [True, False]


def test_a_mask_that_is_switched_off_is_not_judged() -> None:
    assert not any('auto-mask' in a.finding for a in advise(replace(GOOD, kept_share=None)))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({}, 'Trained 12 epochs on 514 samples of 2 cameras; validation'),
        ({'cameras': 1}, '1 camera;'),
        ({'validation': STILL_FALLING}, 'from 0.1200 to 0.0900 and is still falling'),
        ({'validation': (0.1, 0.08, 0.09, 0.09, 0.095)}, 'best, 0.0800, after epoch 2'),
        ({'validation': (), 'training': (0.2, 0.1)}, 'training photometric error fell'),
        ({'validation': (), 'training': ()}, 'nothing was measured'),
    ],
)
def test_the_verdict_names_work_and_course(change: dict[str, object], words: str) -> None:
    assert words in verdict(replace(GOOD, **change))  # type: ignore[arg-type]


OPTICAL_TO_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def _drive(count: int = 40, *, optical: bool = False) -> np.ndarray:
    """Odometry [count, 8] of a vehicle on a winding road, anywhere in its parent frame."""
    rows = np.zeros((count, 8))
    yaw, place = 0.7, np.array([100.0, -40.0, 3.0])
    for index in range(count):
        rows[index, :3] = place
        turn = _about_z(yaw) @ (OPTICAL_TO_BODY if optical else np.eye(3))
        rows[index, 3:7] = _quaternion(turn)
        place = place + (0.5 + 0.01 * index) * np.array([np.cos(yaw), np.sin(yaw), 0.0])
        yaw += 0.05 * np.cos(0.2 * index)
    return rows


def _about_z(angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _quaternion(R: np.ndarray) -> np.ndarray:
    """Quaternion x y z w of a rotation, by the eigenvector of Bar-Itzhack's matrix."""
    (a, b, c), (d, e, f), (g, h, i) = R
    upper = np.array(
        [
            [a - e - i, b + d, c + g, h - f],
            [b + d, e - a - i, f + h, c - g],
            [c + g, f + h, i - a - e, d - b],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    return np.linalg.eigh(upper)[1][:, -1]


def _predictions(
    rows: np.ndarray, *, unit_m: float, mounting: np.ndarray | None = None, optical: bool = False
) -> list[PredictedStep]:
    """What a perfect network says, in units of ``unit_m``, seen by a turned camera."""
    axes = np.eye(4)
    if not optical:
        axes[:3, :3] = OPTICAL_TO_BODY
    turned = np.eye(4)
    turned[:3, :3] = np.eye(3) if mounting is None else mounting
    poses = pose_matrices(rows) @ axes @ turned
    steps = []
    for begin in range(len(rows) - 1):
        T = np.linalg.inv(poses[begin]) @ poses[begin + 1]
        T[:3, 3] /= unit_m
        steps.append(PredictedStep(begin=begin, end=begin + 1, T_end_to_begin=T))
    return steps


def _stamps(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64) * 100_000_000


@pytest.mark.parametrize('optical', [False, True], ids=['body frame', 'optical frame'])
def test_perfect_motion_has_no_error_and_the_true_ratio(optical: bool) -> None:
    rows = _drive(optical=optical)
    steps = _predictions(rows, unit_m=5.37, optical=optical)
    found = compare_poses(steps, rows, _stamps(len(rows)))
    assert found is not None
    np.testing.assert_allclose(found.direction_deg, 0.0, atol=1e-6)
    np.testing.assert_allclose(found.residual_deg, 0.0, atol=1e-6)
    np.testing.assert_allclose(found.turn_deg, 0.0, atol=1e-6)
    assert found.offset_deg == pytest.approx(0.0, abs=1e-6)
    assert (found.scale, found.scale_spread) == pytest.approx((5.37, 0.0), abs=1e-9)
    assert found.path_error_m == pytest.approx(0.0, abs=1e-9)
    lengths = np.linalg.norm(np.diff(rows[:, :3], axis=0), axis=1)
    assert found.path_length_m == pytest.approx(lengths.sum())


def test_the_path_goes_forward_and_left_as_the_vehicle_does() -> None:
    rows = _drive(30)
    found = compare_poses(_predictions(rows, unit_m=2.0), rows, _stamps(30))
    assert found is not None
    wanted = (rows[:, :2] - rows[0, :2]) @ _about_z(0.7)[:2, :2]
    np.testing.assert_allclose(found.path_odometry_m, wanted, atol=1e-9)
    np.testing.assert_allclose(found.path_predicted_m, wanted, atol=1e-9)


@pytest.mark.parametrize('angle_deg', [8.0, 180.0])
def test_a_turned_camera_shows_as_what_all_steps_share(angle_deg: float) -> None:
    angle = np.radians(angle_deg)
    cosine, sine = np.cos(angle), np.sin(angle)
    mounting = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
    rows = _drive()
    rows[:, :3] = rows[0, :3] + np.cumsum(
        pose_matrices(rows)[:, :3, :3] @ np.array([0.5, 0.0, 0.0]), axis=0
    )
    found = compare_poses(
        _predictions(rows, unit_m=1.0, mounting=mounting), rows, _stamps(len(rows))
    )
    assert found is not None
    assert found.offset_deg == pytest.approx(angle_deg, abs=1e-3)
    np.testing.assert_allclose(found.residual_deg, 0.0, atol=1e-3)
    assert found.path_error_m == pytest.approx(0.0, abs=1e-3)


def test_backward_frames_show_as_an_opposite_direction() -> None:
    rows = _drive()
    steps = [
        replace(step, T_end_to_begin=np.linalg.inv(step.T_end_to_begin))
        for step in _predictions(rows, unit_m=1.0)
    ]
    found = compare_poses(steps, rows, _stamps(len(rows)))
    assert found is not None
    assert np.median(found.direction_deg) > 170.0


def test_steps_at_rest_and_without_odometry_do_not_count() -> None:
    rows = _drive()
    steps = _predictions(rows, unit_m=2.0)
    rows[5] = np.nan
    rows[20:, :3] = rows[19, :3]
    found = compare_poses(steps, rows, _stamps(len(rows)))
    assert found is not None
    assert len(found.ratio) == 17
    assert len(found.path_odometry_m) == 14


def test_too_few_steps_are_not_compared() -> None:
    rows = _drive(3)
    assert compare_poses(_predictions(rows, unit_m=1.0), rows, _stamps(3)) is None
    assert compare_poses([], rows, _stamps(3)) is None


def test_the_spread_of_the_scale_is_its_relative_deviation() -> None:
    rng = np.random.default_rng(0)
    rows = np.zeros((4001, 8))
    rows[:, 6] = 1.0
    rows[1:, 0] = np.cumsum(rng.normal(1.0, 0.1, 4000))
    steady = rows.copy()
    steady[:, 0] = np.arange(4001)
    found = compare_poses(_predictions(steady, unit_m=4.0), rows, _stamps(4001))
    assert found is not None
    assert (found.scale, found.scale_spread) == pytest.approx((4.0, 0.1), rel=0.05)


def test_a_long_curve_is_drawn_by_means() -> None:
    x = np.arange(30.0 * MOST_POINTS)
    thin_x, thin_y = thinned(x, 2.0 * x)
    assert len(thin_x) == MOST_POINTS
    np.testing.assert_allclose(thin_y, 2.0 * thin_x)
    assert thin_y.mean() == pytest.approx(2.0 * x.mean())


def test_what_is_looked_at_is_spread_over_the_recording_in_stretches() -> None:
    samples = [Sample(camera=0, target=i, sources=()) for i in range(1000)]
    targets = [s.target for s in choose(samples, stretches=3, length=20)]
    assert targets == [*range(20), *range(490, 510), *range(980, 1000)]
    assert choose(samples[:60], stretches=3, length=20) == tuple(samples[:60])


def _save_newest(path: Path) -> None:
    """A checkpoint of networks that have learnt nothing."""
    config = read_config(str(path / 'config.yaml'))
    torch.manual_seed(4)
    sources = ('partner',) if config.mode == 'stereo' else ('previous', 'next')
    state = DepthPoseModel(config.network, sources=sources).state_dict()
    weights = {f'model.{name}': tensor for name, tensor in state.items()}
    save_checkpoint(path / 'checkpoints' / 'epoch_0001.ckpt', {'state_dict': weights})
