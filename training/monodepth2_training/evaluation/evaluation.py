# SPDX-License-Identifier: Apache-2.0
"""What an evaluation has found: all that its reports are written from, whatever was evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monodepth2_training.evaluation.depth_errors import DepthLimits
from monodepth2_training.evaluation.judgement import Judgement
from monodepth2_training.evaluation.odometry.trajectory import Trajectory
from monodepth2_training.evaluation.scoring import FramePairs

if TYPE_CHECKING:
    from monodepth2_training.report.poses import PoseComparison


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Something that makes the figures worth less, or that a user should know."""

    what: str
    """What was found, with figures."""
    advice: str
    """What to do."""
    urgent: bool
    """Whether the figures should not be believed before it is done."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """The model, or a guess that it has to beat."""

    name: str
    """What tables call it."""
    judgement: Judgement
    """What it scores."""


@dataclass(frozen=True, kw_only=True)
class FrameView:
    """A judged frame as a person sees it."""

    name: str
    """What the frame is called."""
    pictures: Sequence[tuple[str, bytes]]
    """Names and JPEGs, three in a row."""


@dataclass(frozen=True, kw_only=True)
class DepthResult:
    """Predicted depth against truth."""

    limits: DepthLimits
    """The depths that were judged."""
    frames: Sequence[FramePairs]
    """The model's predictions, in order."""
    methods: Sequence[Method]
    """The model first, then the guesses."""
    best: Sequence[FrameView] = ()
    """Frames with the least abs_rel, scaled one by one."""
    worst: Sequence[FrameView] = ()
    """Frames with the most."""


@dataclass(frozen=True, kw_only=True)
class FigureTable:
    """A table of figures under a heading of its own."""

    name: str
    """Key in JSON and anchor on the page: letters and underscores."""
    title: str
    """Heading."""
    header: Sequence[str]
    """Name of each column."""
    rows: Sequence[Sequence[str | float | None]]
    """Cells; None where there is no figure."""
    note: str = ''
    """What to know about it."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Everything that reports say."""

    title: str
    """What was evaluated, in few words."""
    kind: str
    """``bag``, ``kitti``, ``make3d``, ``odometry``: what it was evaluated on."""
    facts: Sequence[tuple[str, str]]
    """Names and values that say what was compared with what: model, recording, truth, crop."""
    doubts: Sequence[Doubt] = ()
    """What to know before believing the figures."""
    depth: DepthResult | None = None
    """None where there is no truth."""
    overlays: Sequence[tuple[str, bytes]] = ()
    """Names and JPEGs that show whether truth fits the pictures."""
    tables: Sequence[FigureTable] = ()
    """More figures, such as those that need no truth."""
    headline: str = ''
    """What to say first where depth was not the question."""
    trajectories: Sequence[Trajectory] = ()
    """Predicted paths against true ones, to be drawn."""
    motion: PoseComparison | None = None
    """Predicted motion against odometry, to be drawn."""

    @property
    def says_anything(self) -> bool:
        """Whether there is more than the reasons why there are no figures."""
        return self.depth is not None or bool(self.tables) or bool(self.headline)
