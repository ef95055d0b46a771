# SPDX-License-Identifier: Apache-2.0
"""What a run's figures call for: one small rule a finding, each with what to do next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from monodepth2_training.report.facts import Facts, counted
from monodepth2_training.report.trend import FALLING, LEVEL, RISING, trend

LITTLE_KEPT = 0.3
"""Auto-masks that keep less of the picture point at standing still or steps too small."""
POOR_DIRECTION_DEG = 10.0
"""Median error of the translation's direction above which the poses are not trusted."""
FAR_OFFSET_DEG = 30.0
"""A common error of the direction that no usual mounting explains."""
FAR_DRIFT = 0.1
"""Distance of the predicted path from the odometry's, as a share of its length, that turns or
speeds that are not learnt explain and noise does not."""
UNSTEADY_SCALE = 0.2
"""Relative spread of the scale above which one factor does not fit all frames."""
OTHER_METRES = 0.1
"""Deviation of a model's metres from the odometry's that is no noise."""
FLAT_DEPTH = 1.3
"""Far over near depth in a picture below which the network shows next to nothing."""
FEW_VALIDATE = 10
"""Fewer validation samples say little."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One finding and what to do."""

    finding: str
    """What the figures say."""
    action: str
    """What to do, or why nothing has to be done."""
    urgent: bool = False
    """Whether the model should not be used before."""


def advise(facts: Facts) -> tuple[Advice, ...]:
    """What all rules say, the urgent first."""
    found = [advice for rule in RULES if (advice := rule(facts)) is not None]
    return tuple(sorted(found, key=lambda advice: not advice.urgent))


def interrupted(facts: Facts) -> Advice | None:
    """Fewer epochs than planned."""
    if facts.epochs >= facts.planned:
        return None
    return Advice(
        finding=f'{facts.epochs} of {counted(facts.planned, "epoch")} are done.',
        action=f'Go on with: monodepth2 train --out {facts.run} --resume',
    )


def still_falling(facts: Facts) -> Advice | None:
    """The error still falls when training ends."""
    values = facts.validation or facts.training
    if trend(values) != FALLING or facts.epochs < facts.planned:
        return None
    return Advice(
        finding='The error was still falling when training ended.',
        action=f'Train longer: monodepth2 train --out {facts.run} --resume --epochs '
        f'{2 * facts.planned}',
    )


def rising(facts: Facts) -> Advice | None:
    """Validation gets worse while training goes on."""
    if trend(facts.validation) != RISING:
        return None
    best = facts.validation.index(min(facts.validation)) + 1
    return Advice(
        finding=f'The validation error is lowest after epoch {best} and rises since.',
        action='The model file holds that best epoch, so more epochs do not help. Record more, '
        'and other, streets.',
    )


def levelled_off(facts: Facts) -> Advice | None:
    """Nothing is gained any more."""
    values = facts.validation or facts.training
    if trend(values) != LEVEL or len(values) < 3:
        return None
    return Advice(
        finding='The error has levelled off.',
        action='More epochs of the same give little. What helps now: more recordings, a larger '
        'input (mono_1024x320), or weights from another drive to begin with.',
    )


def mask_keeps_little(facts: Facts) -> Advice | None:
    """The auto-mask leaves hardly anything to learn from."""
    if facts.kept_share is None or facts.kept_share >= LITTLE_KEPT:
        return None
    return Advice(
        finding=f'The auto-mask keeps {facts.kept_share:.0%} of the pixels: most look the same '
        'without motion.',
        action='The vehicle stands still, is too slow for the frame rate, or the pictures have no '
        'texture. Raise triplets.min_motion, leave triplets.keep_standstill off, record driving.',
        urgent=True,
    )


def flat_depth(facts: Facts) -> Advice | None:
    """The network shows one depth for everything."""
    if facts.depth_contrast is None or facts.depth_contrast >= FLAT_DEPTH:
        return None
    return Advice(
        finding='Depth is nearly the same all over each picture: the network has not learnt to '
        'see it.',
        action='Begin with weights (network.weights: imagenet), train longer, or see in the '
        'checks above whether the camera moves enough.',
        urgent=True,
    )


def direction_poor(facts: Facts) -> Advice | None:
    """Predicted motion points elsewhere than the odometry."""
    if facts.pose is None or facts.pose.residual_deg < POOR_DIRECTION_DEG:
        return None
    return Advice(
        finding=f'Predicted motion is off by {facts.pose.residual_deg:.0f} degrees in the median.',
        action='If training was long enough: check that the frames are in order, that the camera '
        'is rectified with its own calibration, and that odometry and images share a clock.',
        urgent=True,
    )


def camera_looks_elsewhere(facts: Facts) -> Advice | None:
    """All directions are off by the same large angle."""
    pose = facts.pose
    if pose is None or pose.offset_deg < FAR_OFFSET_DEG or pose.residual_deg >= POOR_DIRECTION_DEG:
        return None
    return Advice(
        finding=f'All motion is turned by the same {pose.offset_deg:.0f} degrees.',
        action='Right for a camera that looks that far from where the vehicle drives. If it '
        'looks ahead, the frames are in the wrong order or the calibration is not its own.',
    )


def path_drifts(facts: Facts) -> Advice | None:
    """Steps point the right way, and still do not add up to the path."""
    pose = facts.pose
    if pose is None or pose.path_drift < FAR_DRIFT or pose.residual_deg >= POOR_DIRECTION_DEG:
        return None
    return Advice(
        finding=f'The predicted path leaves that of the odometry by {pose.path_drift:.0%} of its '
        'length.',
        action='Turns or changes of speed are not learnt yet: train longer, and record more of '
        'them.',
    )


def scale_unknown(facts: Facts) -> Advice | None:
    """Depth is not in metres."""
    if facts.scale is not None:
        return None
    if facts.pose is None or facts.pose.residual_deg >= POOR_DIRECTION_DEG:
        return Advice(
            finding='The scale is unknown: depth is right up to one factor.',
            action='Measure the distance to something, divide it by the depth shown there, and '
            'pass the quotient as the scale of the node and of predict.',
        )
    return Advice(
        finding='The scale is not in the model file: depth is right up to one factor.',
        action=f'The odometry says {facts.pose.scale:.4g} m for each network unit: pass that as '
        'the scale of the node and of predict.',
    )


def scale_unsteady(facts: Facts) -> Advice | None:
    """One factor does not fit all frames."""
    if facts.pose is None or facts.pose.scale_spread < UNSTEADY_SCALE:
        return None
    return Advice(
        finding=f'The scale varies by {facts.pose.scale_spread:.0%} over the frames.',
        action='Metres made with one factor are off by about as much. Train longer; if it stays, '
        'check the odometry, and record more turns and fewer empty roads.',
    )


def metres_differ(facts: Facts) -> Advice | None:
    """The model's metres are not those of the odometry."""
    if facts.scale is None or facts.pose is None:
        return None
    ratio = facts.pose.scale / facts.scale
    if abs(ratio - 1.0) < max(OTHER_METRES, facts.pose.scale_spread):
        return None
    finding = f'A metre of this model is {ratio:.3g} m by the odometry.'
    if facts.scale_by_odometry:
        return Advice(
            finding=finding,
            action='Steps of the pose network are often some percent short, depth less so: '
            'compare with monodepth2 scale --method all. If it says the same, train longer.',
        )
    return Advice(
        finding=finding,
        action='Check the baseline in P[0, 3] of the right camera_info, and the odometry.',
        urgent=True,
    )


def steps_skipped(facts: Facts) -> Advice | None:
    """Some steps were not finite."""
    if not facts.skipped_steps:
        return None
    return Advice(
        finding=f'{counted(facts.skipped_steps, "step")} gave no finite number; skipped.',
        action='A few do no harm. Should there be many: halve optimisation.learning_rate, or '
        'set optimisation.precision to float32.',
    )


def few_validate(facts: Facts) -> Advice | None:
    """Validation says little."""
    if facts.validation_samples >= FEW_VALIDATE:
        return None
    return Advice(
        finding=f'{counted(facts.validation_samples, "sample")} to validate with: best epoch and '
        'trend are little more than chance.',
        action='Record longer, or raise triplets.validation.',
    )


RULES: tuple[Callable[[Facts], Advice | None], ...] = (
    interrupted,
    still_falling,
    rising,
    levelled_off,
    mask_keeps_little,
    flat_depth,
    direction_poor,
    camera_looks_elsewhere,
    path_drifts,
    metres_differ,
    scale_unknown,
    scale_unsteady,
    steps_skipped,
    few_validate,
)
"""All rules, in the order in which their advice is given."""
