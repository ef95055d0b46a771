# SPDX-License-Identifier: Apache-2.0
"""Flips take the camera along, and colour jitter reaches the networks' inputs alone."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from monodepth2_training.data.augmentation import AugmentationSettings, Views, augment
from monodepth2_training.data.colour import (
    luminance,
    scale_brightness,
    scale_contrast,
    scale_saturation,
    turn_hue,
)
from monodepth2_training.data.dataset import TripletBatch
from torch import Tensor

from monodepth2_ros.errors import ConfigError

ALWAYS_FLIP = AugmentationSettings(flip=1.0, jitter=0.0)
ALWAYS_JITTER = AugmentationSettings(flip=0.0, jitter=1.0)
WIDTH, HEIGHT = 24, 16


def random_images(*shape: int, seed: int = 0) -> Tensor:
    size = (*shape, 3, HEIGHT, WIDTH)
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)


def random_batch(items: int = 6, sources: int = 2) -> TripletBatch:
    generator = torch.Generator().manual_seed(1)
    K = torch.tensor([[14.0, 0.0, 9.25], [0.0, 15.0, 7.0], [0.0, 0.0, 1.0]])
    T = torch.eye(4).repeat(items, sources, 1, 1)
    angles = torch.randn(items, sources, 3, 3, generator=generator) * 0.1
    T[..., :3, :3] = torch.matrix_exp(angles - angles.transpose(-1, -2))
    T[..., :3, 3] = torch.randn(items, sources, 3, generator=generator)
    return TripletBatch(
        target=random_images(items, seed=2),
        sources=random_images(items, sources, seed=3),
        K=K.repeat(items, 1, 1),
        K_sources=K.repeat(items, sources, 1, 1),
        T_target_to_cameras=T,
        travelled_units=torch.rand(items, sources, generator=generator),
        ids=torch.zeros(items, 2, dtype=torch.int64),
    )


def run(batch: TripletBatch, settings: AugmentationSettings, seed: int = 0) -> Views:
    return augment(batch, settings, torch.Generator().manual_seed(seed))


def assert_same(one: Views, other: Views) -> None:
    for name in vars(one):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0.0, atol=0.0)


def project(points: Tensor, T: Tensor, K: Tensor) -> Tensor:
    seen = torch.einsum('ij,nj->ni', T[:3, :3], points) + T[:3, 3]
    pixels = torch.einsum('ij,nj->ni', K, seen)
    return pixels[:, :2] / pixels[:, 2:]


def test_without_a_generator_views_are_the_batch() -> None:
    batch = random_batch()
    views = augment(batch, AugmentationSettings(flip=1.0, jitter=1.0), None)
    assert torch.equal(views.target, batch.target / 255.0)
    assert torch.equal(views.sources, batch.sources / 255.0)
    assert torch.equal(views.target_input, views.target)
    assert torch.equal(views.sources_input, views.sources)
    assert torch.equal(views.K, batch.K)
    assert torch.equal(views.K_sources, batch.K_sources)
    assert torch.equal(views.T_target_to_cameras, batch.T_target_to_cameras)


def test_a_flip_mirrors_pictures_principal_points_and_the_way_to_the_partner() -> None:
    batch = random_batch()
    views = run(batch, ALWAYS_FLIP)
    assert torch.equal(views.target, batch.target.flip(-1) / 255.0)
    assert torch.equal(views.sources, batch.sources.flip(-1) / 255.0)
    expected = torch.tensor([[14.0, 0.0, WIDTH - 1 - 9.25], [0.0, 15.0, 7.0], [0.0, 0.0, 1.0]])
    assert torch.equal(views.K, expected.expand_as(views.K))
    assert torch.equal(views.K_sources, expected.expand_as(views.K_sources))
    F = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
    assert torch.equal(views.T_target_to_cameras, F @ batch.T_target_to_cameras @ F)


def test_flipping_twice_gives_the_batch_back() -> None:
    batch = random_batch()
    once = run(batch, ALWAYS_FLIP)
    again = batch._replace(
        target=(once.target * 255.0).round().to(torch.uint8),
        sources=(once.sources * 255.0).round().to(torch.uint8),
        K=once.K,
        K_sources=once.K_sources,
        T_target_to_cameras=once.T_target_to_cameras,
    )
    assert_same(run(again, ALWAYS_FLIP), augment(batch, ALWAYS_FLIP, None))


def test_a_point_projects_to_the_mirrored_pixel_after_a_flip() -> None:
    batch = random_batch()
    views = run(batch, ALWAYS_FLIP)
    points = torch.tensor([[1.0, -0.5, 8.0], [-2.0, 0.3, 5.0], [0.2, 0.9, 20.0]])
    mirrored = points * torch.tensor([-1.0, 1.0, 1.0])
    for item in range(len(batch.target)):
        before = project(points, batch.T_target_to_cameras[item, 0], batch.K_sources[item, 0])
        after = project(mirrored, views.T_target_to_cameras[item, 0], views.K_sources[item, 0])
        torch.testing.assert_close(after[:, 0], WIDTH - 1 - before[:, 0], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(after[:, 1], before[:, 1], rtol=1e-5, atol=1e-4)


def test_each_item_is_flipped_by_its_own_draw_with_all_its_frames() -> None:
    batch = random_batch(items=64)
    views = run(batch, AugmentationSettings(jitter=0.0))
    targets = (views.target == batch.target.flip(-1) / 255.0).flatten(1).all(1)
    sources = (views.sources == batch.sources.flip(-1) / 255.0).flatten(1).all(1)
    cameras = views.K[:, 0, 2] != batch.K[:, 0, 2]
    assert 16 < int(targets.sum()) < 48
    assert torch.equal(targets, sources)
    assert torch.equal(targets, cameras)


def test_the_jitter_never_reaches_what_the_loss_compares() -> None:
    batch = random_batch()
    views = run(batch, ALWAYS_JITTER)
    assert torch.equal(views.target, batch.target / 255.0)
    assert torch.equal(views.sources, batch.sources / 255.0)
    assert ((views.target_input - views.target).abs().amax((1, 2, 3)) > 0.01).all()


def test_the_jitter_is_the_same_for_the_frames_of_an_item_and_another_for_each_item() -> None:
    picture = random_images()
    batch = random_batch(items=8)._replace(
        target=picture.expand(8, -1, -1, -1), sources=picture.expand(8, 2, -1, -1, -1)
    )
    views = run(batch, ALWAYS_JITTER)
    torch.testing.assert_close(
        views.sources_input, views.target_input[:, None].expand_as(views.sources_input)
    )
    differences = (views.target_input[:, None] - views.target_input[None]).abs().amax((2, 3, 4))
    assert (differences + torch.eye(8) > 0.01).all()


def test_about_half_of_the_items_are_jittered_and_the_others_stay_as_they_are() -> None:
    batch = random_batch(items=64)
    views = run(batch, AugmentationSettings(flip=0.0))
    same = (views.target_input == views.target).flatten(1).all(1)
    assert 16 < int(same.sum()) < 48
    assert torch.equal(views.sources_input[same], views.sources[same])


def test_inputs_stay_between_0_and_1() -> None:
    strong = replace(ALWAYS_JITTER, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.5)
    views = run(random_batch(items=16), strong)
    assert views.target_input.min() >= 0.0
    assert views.target_input.max() <= 1.0


def test_gray_pictures_stay_gray() -> None:
    batch = random_batch(items=8)
    gray = batch._replace(
        target=batch.target[:, :1].expand(-1, 3, -1, -1),
        sources=batch.sources[:, :, :1].expand(-1, -1, 3, -1, -1),
    )
    views = run(gray, ALWAYS_JITTER)
    spread = views.target_input.amax(1) - views.target_input.amin(1)
    assert spread.max() < 1e-6


def test_a_seed_gives_the_same_views_and_advances_the_generator_alike_for_all_settings() -> None:
    batch = random_batch()
    assert_same(run(batch, AugmentationSettings(), 5), run(batch, AugmentationSettings(), 5))
    states = []
    for settings in (AugmentationSettings(), AugmentationSettings(flip=0.0, jitter=0.0)):
        generator = torch.Generator().manual_seed(5)
        augment(batch, settings, generator)
        states.append(generator.get_state())
    assert torch.equal(*states)


def test_the_order_of_the_operations_changes_from_batch_to_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    batch = random_batch(items=1)
    pale = replace(ALWAYS_JITTER, brightness=1.0, hue=0.0)
    results = {float(augment(batch, pale, generator).target_input.mean()) for _ in range(8)}
    assert len(results) == 8


def test_the_global_random_state_is_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    run(random_batch(), AugmentationSettings())
    assert torch.equal(torch.rand(4), expected)


def colour(*channels: float) -> Tensor:
    return torch.tensor(channels)[:, None, None]


def test_colour_changes_have_their_hand_values() -> None:
    image = torch.cat([colour(0.2, 0.4, 0.6), colour(0.8, 0.0, 0.0)], dim=-1)
    gray = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6
    mean = (gray + 0.299 * 0.8) / 2
    brighter = scale_brightness(image, torch.tensor(1.5))
    torch.testing.assert_close(brighter[:, :, :1], colour(0.3, 0.6, 0.9))
    torch.testing.assert_close(brighter[:, :, 1:], colour(1.0, 0.0, 0.0))
    contrast = scale_contrast(image, torch.tensor(0.5))[:, :, :1]
    torch.testing.assert_close(contrast, colour(*((mean + c) / 2 for c in (0.2, 0.4, 0.6))))
    saturation = scale_saturation(image, torch.tensor(0.5))[:, :, :1]
    torch.testing.assert_close(saturation, colour(*((gray + c) / 2 for c in (0.2, 0.4, 0.6))))
    turned = turn_hue(image, torch.tensor(1.0 / 3.0))
    torch.testing.assert_close(turned[:, :, :1], colour(0.6, 0.2, 0.4))
    torch.testing.assert_close(turned[:, :, 1:], colour(0.0, 0.8, 0.0))


@pytest.mark.parametrize('turns', [-0.5, -0.1, 0.0, 0.037, 0.5])
def test_a_hue_turn_is_that_of_hsv(turns: float) -> None:
    image = random_images() / 255.0
    turned = turn_hue(image, torch.tensor(turns)).permute(1, 2, 0).reshape(-1, 3).numpy()
    for before, after in zip(image.permute(1, 2, 0).reshape(-1, 3).tolist(), turned, strict=True):
        h, s, v = colorsys.rgb_to_hsv(*before)
        np.testing.assert_allclose(after, colorsys.hsv_to_rgb((h + turns) % 1.0, s, v), atol=2e-6)


def test_colour_changes_agree_with_torchvision() -> None:
    reference = pytest.importorskip('torchvision.transforms.functional')
    images = random_images(4) / 255.0
    for ours, theirs, amount in (
        (scale_brightness, reference.adjust_brightness, 1.17),
        (scale_contrast, reference.adjust_contrast, 0.83),
        (scale_saturation, reference.adjust_saturation, 1.2),
        (turn_hue, reference.adjust_hue, -0.08),
    ):
        # torchvision weighs red by 0.2989, so that gray loses one part in ten thousand.
        torch.testing.assert_close(
            ours(images, torch.tensor(amount)), theirs(images, amount), rtol=0.0, atol=3e-5
        )


def test_luminance_of_gray_is_gray() -> None:
    values = torch.linspace(0.0, 1.0, 256)
    torch.testing.assert_close(luminance(values.expand(3, 1, 256))[0, 0], values)


@pytest.mark.parametrize(
    ('name', 'value'),
    [('flip', 1.1), ('jitter', -0.1), ('brightness', float('nan')), ('hue', 0.6)],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f'^{name} .* is out of range: expected 0 to'):
        AugmentationSettings(**{name: value})
