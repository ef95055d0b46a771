# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from monodepth2_training.loss.config import LossConfig
from monodepth2_training.loss.kernels import Kernels
from monodepth2_training.loss.photometric import l1_error, photometric_error, reference
from monodepth2_training.loss.ssim import (
    fold_rim,
    mirror_rim,
    scatter_windows,
    ssim,
    window_moments,
)
from support.slow_loss import slow_dissimilarity, slow_error


def _pair(
    *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.rand(2, *shape, generator=generator, dtype=torch.float64).to(dtype)
    return first, second


def test_l1_averages_absolute_differences_over_the_channels() -> None:
    black = torch.zeros(1, 3, 3, 3)
    colour = torch.tensor([0.3, 0.6, 0.0]).view(1, 3, 1, 1).expand_as(black)
    assert torch.allclose(l1_error(colour, black), torch.full((1, 3, 3), 0.3))


def test_flat_images_differ_by_their_means_alone() -> None:
    # SSIM of constants a, b is (2ab + C1) / (a^2 + b^2 + C1).
    bright, dark = torch.full((1, 1, 4, 4), 0.6), torch.full((1, 1, 4, 4), 0.2)
    expected = (2 * 0.12 + 1e-4) / (0.36 + 0.04 + 1e-4)
    assert torch.allclose(ssim(bright, dark), torch.full((1, 1, 4, 4), expected))
    error = photometric_error(bright, reference(dark))
    assert torch.allclose(error, torch.full((1, 4, 4), 0.85 * (1 - expected) / 2 + 0.15 * 0.4))


def test_moments_of_a_single_bright_pixel() -> None:
    image = torch.zeros(1, 1, 5, 5)
    image[..., 2, 2] = 0.9
    mean, variance = window_moments(mirror_rim(image))
    assert mean[0, 0, 1, 1] == pytest.approx(0.1)
    assert variance[0, 0, 1, 1] == pytest.approx(0.81 / 9 - 0.01)
    assert mean[0, 0, 0, 0] == 0.0


def test_the_rim_sees_the_image_mirrored_at_its_outermost_pixels() -> None:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    mean, _ = window_moments(mirror_rim(image))
    assert mean[0, 0, 0, 0] == pytest.approx((4 * 4 + 2 * (3 + 1) + 0) / 9)


def test_an_image_is_like_itself() -> None:
    image, _ = _pair(2, 3, 6, 7)
    assert torch.equal(photometric_error(image, reference(image)), torch.zeros(2, 6, 7).double())


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float64, 1e-14), (torch.float32, 1e-6)])
def test_photometric_error_equals_the_pooled_formula(dtype: torch.dtype, tolerance: float) -> None:
    prediction, target = _pair(2, 3, 9, 11, dtype=dtype)
    fast = photometric_error(prediction, reference(target))
    slow = slow_error(prediction.double(), target.double(), LossConfig())[:, 0]
    assert (fast.double() - slow).abs().max() < tolerance


def test_float32_keeps_the_similarity_of_bright_faint_texture() -> None:
    # Bright images of faint texture are where E[x^2] - E[x]^2 cancels.
    generator = torch.Generator().manual_seed(0)
    faint = 0.95 + 3e-3 * torch.rand(2, 1, 1, 32, 32, generator=generator, dtype=torch.float64)
    x, y = faint.float()
    exact = 1 - 2 * slow_dissimilarity(x.double(), y.double())
    pooled = 1 - 2 * slow_dissimilarity(x, y)
    assert (ssim(x, y).double() - exact).abs().max() < 1e-6
    assert (pooled.double() - exact).abs().max() > 1e-5


def test_the_derivative_by_hand_is_the_derivative() -> None:
    prediction, target = _pair(2, 3, 5, 6)
    prepared = reference(target)
    assert torch.autograd.gradcheck(
        lambda image: photometric_error(image, prepared), prediction.requires_grad_()
    )


def test_the_derivative_is_finite_for_flat_and_for_equal_images() -> None:
    for prediction, target in (
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)),
        (torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)),
    ):
        prediction.requires_grad_()
        photometric_error(prediction, reference(target)).sum().backward()
        assert prediction.grad is not None
        assert torch.isfinite(prediction.grad).all()


def test_folding_the_rim_and_scattering_windows_are_adjoint_to_mirroring_and_summing() -> None:
    image, weights = _pair(1, 1, 5, 6)
    image.requires_grad_()
    (9.0 * window_moments(mirror_rim(image)).mean * weights).sum().backward()
    assert image.grad is not None
    assert torch.allclose(fold_rim(scatter_windows(weights)), image.grad)


def test_error_is_between_0_and_1() -> None:
    black, white = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    stripes = (torch.arange(8) % 2).float().expand(1, 3, 8, 8)
    for prediction, target in ((black, white), (stripes, 1.0 - stripes)):
        error = photometric_error(prediction, reference(target))
        assert error.min() >= 0.0
        assert error.max() <= 1.0


def test_a_missing_compiler_is_named_once_and_the_loss_stays(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def no_compiler(function: object) -> object:
        def fail(*_: object) -> None:
            raise TorchDynamoException('No working C++ compiler found')

        return fail

    monkeypatch.setattr(torch, 'compile', no_compiler)
    prediction, target = _pair(1, 3, 5, 6)
    kernels = Kernels(compile=True)
    for _ in range(3):
        error = photometric_error(prediction, reference(target), kernels)
        assert torch.equal(error, photometric_error(prediction, reference(target)))
    assert [record.levelname for record in caplog.records] == ['WARNING']
    assert 'No working C++ compiler found' in caplog.text
    assert 'g++' in caplog.text


def test_an_error_of_the_loss_itself_is_not_taken_for_a_missing_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError('out of memory')

    monkeypatch.setattr(torch, 'compile', lambda function: broken)
    with pytest.raises(RuntimeError, match='out of memory'):
        Kernels(compile=True)(window_moments)(torch.zeros(1, 1, 5, 5))
