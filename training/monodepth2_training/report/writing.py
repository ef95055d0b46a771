# SPDX-License-Identifier: Apache-2.0
"""Writes a run's report: looks at what the run left, at what its networks see, and advises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.errors import Monodepth2Error, TrainingError
from monodepth2_training.data.guards import check_store
from monodepth2_training.module import validation_error
from monodepth2_training.report import pictures, sections
from monodepth2_training.report.advice import advise
from monodepth2_training.report.facts import Facts, PoseFacts
from monodepth2_training.report.observation import Observation, choose, observe
from monodepth2_training.report.page import Section, render_page
from monodepth2_training.report.poses import LEAST_STEPS, PoseComparison, compare_poses
from monodepth2_training.report.record import RunRecord, read_run
from monodepth2_training.report.trained_model import load_trained
from monodepth2_training.report.verdict import verdict

if TYPE_CHECKING:
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.data.triplets import Sample
    from monodepth2_training.model.depth_pose import DepthPoseModel

REPORT = 'report.html'
"""Name of the report in the run's folder."""


def write_report(run_folder: Path) -> Path:
    """Write the report of a run, finished or not; an existing one is replaced.

    Args:
        run_folder: what ``monodepth2 train`` wrote.

    Returns:
        the report: one HTML file that needs no other file and no network.

    Raises:
        TrainingError: nobody has trained there, or the report cannot be written.
        ConfigError: the run's configuration is unusable.
    """
    record = read_run(run_folder)
    missing = list(record.missing)
    look = _look(record, missing)
    page = _page(record, look, missing)
    path = run_folder / REPORT
    try:
        write_atomically(path, page.encode())
    except OSError as err:
        raise TrainingError(f'{path} cannot be written: {err.strerror}') from err
    return path


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the trained networks make of a run's frames."""

    model: DepthPoseModel
    """The networks."""
    origin: str
    """Where their weights come from, in words."""
    store: FrameStore
    """The frames."""
    unseen: bool
    """Whether ``observation`` is of validation's frames, for want of which it is of training's."""
    observation: Observation
    """Depth and motion of some of those."""
    comparisons: dict[str, PoseComparison]
    """Motion against odometry, by camera, over the whole recording and where it is unseen."""

    @property
    def pose(self) -> PoseFacts | None:
        """The comparison with most steps."""
        if not self.comparisons:
            return None
        best = max(self.comparisons.values(), key=lambda c: len(c.ratio))
        return PoseFacts(
            residual_deg=float(np.median(best.residual_deg)),
            offset_deg=best.offset_deg,
            scale=best.scale,
            scale_spread=best.scale_spread,
            path_drift=best.path_error_m / best.path_length_m,
        )


def _look(record: RunRecord, missing: list[str]) -> Look | None:
    """Run the trained networks; None, with the reason in ``missing``, where that cannot be."""
    if record.store is None or record.split is None:
        return None
    try:
        model, origin = load_trained(record)
    except Monodepth2Error as err:
        missing.append(str(err))
        return None
    store, split = record.store, record.split
    every = sorted(split.training + split.validation, key=lambda s: (s.camera, s.target))
    drive = observe(model, store, choose(every, stretches=2, length=60))
    observation = drive
    if split.validation:
        observation = observe(model, store, choose(split.validation, stretches=2, length=30))
    return Look(
        model=model,
        origin=origin,
        store=store,
        unseen=bool(split.validation),
        observation=observation,
        comparisons=_compare(store, drive, '')
        | (_compare(store, observation, ', never trained on') if split.validation else {}),
    )


def _compare(store: FrameStore, observation: Observation, note: str) -> dict[str, PoseComparison]:
    """Motion against odometry, by name of the camera and a note."""
    found = {}
    for number, camera in enumerate(store.cameras):
        frames, steps = store.frames(number), observation.steps_of(number)
        compared = compare_poses(steps, frames.odometry, frames.stamps_ns)
        if compared is not None:
            found[f'{camera.name}{note}'] = compared
    return found


def _page(record: RunRecord, look: Look | None, missing: list[str]) -> str:
    """The whole report."""
    facts = _facts(record, look)
    parts = [
        sections.data_section(record),
        sections.scale_section(sections.scale_of(record), facts.pose),
        sections.curves_section(record),
        *_look_sections(record, look, facts.scale),
        *_guard_sections(record),
        sections.advice_section(advise(facts)),
        sections.use_section(record, facts),
    ]
    if missing:
        parts.append(sections.missing_note(missing))
    title = f'{record.config.name}: {record.folder.path.resolve().name}'
    notes = [record.config.about] if record.config.about else []
    return render_page(title, verdict=verdict(facts), notes=notes, sections=parts)


def _look_sections(record: RunRecord, look: Look | None, scale: float | None) -> list[Section]:
    """Pictures, motion and depth."""
    if look is None:
        return []
    grids = [
        (
            _name(look.store, item),
            pictures.draw_sample(look.model, look.store, item, record.config.loss),
        )
        for item in pictures.choose(look.observation.samples)
    ]
    return [
        sections.pictures_section(
            grids, look.origin, unseen=look.unseen, masked=record.config.loss.automasking
        ),
        sections.poses_section(
            look.comparisons,
            _why_no_poses(look),
            knew_lengths=record.config.loss.velocity > 0.0,
        ),
        sections.depth_section(look.observation, scale),
    ]


def _guard_sections(record: RunRecord) -> list[Section]:
    """What the checks of the recording say, where there is one."""
    if record.store is None:
        return []
    config = record.config
    found = check_store(
        record.store, batch_size=config.optimisation.batch_size, triplets=config.triplets
    )
    return [sections.guards_section(found)]


def _facts(record: RunRecord, look: Look | None) -> Facts:
    """The figures that the verdict and the advice are made of."""
    split, shares = record.split, record.per_epoch('validation_moving_share')
    shares = shares or record.step_mean_per_epoch('moving_share')
    skipped, scale = record.per_epoch('skipped_steps'), sections.scale_of(record)
    return Facts(
        epochs=len(record.epochs),
        planned=record.config.optimisation.epochs,
        training=record.step_mean_per_epoch('photometric'),
        validation=tuple(e for e in map(validation_error, record.epochs) if e is not None),
        samples=0 if split is None else len(split.training),
        validation_samples=0 if split is None else len(split.validation),
        cameras=0 if split is None else len({sample.camera for sample in split.training}),
        kept_share=shares[-1] if shares and record.config.loss.automasking else None,
        skipped_steps=int(skipped[-1]) if skipped else 0,
        scale=None if scale is None else scale.value,
        scale_by_odometry=record.config.mode == 'mono' and record.config.loss.velocity > 0.0,
        depth_contrast=None if look is None else _contrast(look.observation),
        pose=None if look is None else look.pose,
        run=str(record.folder.path),
    )


def _contrast(observation: Observation) -> float:
    """Far over near depth of a picture, in the median."""
    return float(np.median(observation.depth[:, 2] / observation.depth[:, 0]))


def _why_no_poses(look: Look) -> str:
    """Why there is nothing to compare."""
    if not look.observation.steps:
        return 'Nothing to compare: with both cameras of a pair, motion is not predicted.'
    tables = [look.store.frames(number) for number in range(len(look.store.cameras))]
    if all(np.isnan(table.odometry).all() for table in tables):
        return 'Nothing to compare: the recording has no odometry.'
    return f'Nothing to compare: fewer than {LEAST_STEPS} steps have odometry and move.'


def _name(store: FrameStore, item: Sample) -> str:
    """A sample in words."""
    stamps = store.frames(item.camera).stamps_ns
    seconds = (stamps[item.target] - stamps.min()) / 1e9
    return f'{store.cameras[item.camera].name}, picture {item.target}, {seconds:.1f} s'
