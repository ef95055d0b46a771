# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
import torchvision
from monodepth2_training.data.augmentation import Views
from monodepth2_training.data.triplets import source_names
from monodepth2_training.model.depth_pose import TEMPORAL, DepthPoseModel, ModelConfig
from monodepth2_training.model.pose import invert_rigid, rigid_transform
from monodepth2_training.model.pose_net import POSE_VARIANTS, MotionHead, PoseCnn, PoseNet
from torch.nn import functional

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.geometry.depth import DepthRange

LITE0 = 'efficientnet_lite0'
WIDTH, HEIGHT = 96, 64


def _model(pose: str = 'separate', **rest: object) -> DepthPoseModel:
    torch.manual_seed(6)
    config = ModelConfig(
        encoder=LITE0, pose_encoder=LITE0, width=WIDTH, height=HEIGHT, pose=pose, weights='random'
    )
    return DepthPoseModel(config, **rest).eval()


def _frames(number: int, *, items: int = 2) -> torch.Tensor:
    """Frames float [number, items, 3, H, W], all different."""
    generator = torch.Generator().manual_seed(8)
    return torch.rand(number, items, 3, HEIGHT, WIDTH, generator=generator)


def _views(target: torch.Tensor, sources: list[torch.Tensor]) -> Views:
    """Views of which the networks must see only the inputs."""
    items = len(target)
    K = torch.eye(3).expand(items, 3, 3)
    T = torch.eye(4).repeat(items, len(sources), 1, 1)
    T[..., 0, 3] = torch.arange(-0.54, len(sources) - 0.6)
    stacked = torch.stack(sources, dim=1)
    return Views(
        target=torch.full_like(target, torch.nan),
        sources=torch.full_like(stacked, torch.nan),
        target_input=target,
        sources_input=stacked,
        K=K,
        K_sources=K[:, None].expand(items, len(sources), 3, 3),
        T_target_to_cameras=T,
        travelled_units=torch.full((items, len(sources)), torch.nan),
    )


def _loud(model: DepthPoseModel) -> DepthPoseModel:
    """The model with motions that differ visibly between pairs."""
    heads = [m for m in model.modules() if isinstance(m, MotionHead)]
    for head in heads:
        torch.nn.init.normal_(head.weight, std=20.0)
        torch.nn.init.normal_(head.bias, std=5.0)
    return model


@pytest.mark.parametrize('pose', POSE_VARIANTS)
def test_every_variant_predicts_disparity_poses_and_masks_of_the_stated_shapes(pose: str) -> None:
    model = _model(pose, sources=(*TEMPORAL, 'partner'), predictive_mask=True)
    target, *sources = _frames(4)
    with torch.no_grad():
        prediction = model(_views(target, sources))
    sizes = [(HEIGHT >> s, WIDTH >> s) for s in range(4)]
    assert [tuple(d.shape) for d in prediction.disparities] == [(2, 1, *size) for size in sizes]
    assert prediction.masks is not None
    assert [tuple(m.shape) for m in prediction.masks] == [(2, 3, *size) for size in sizes]
    assert all(m.min() > 0.0 and m.max() < 1.0 for m in prediction.masks)
    assert prediction.T_target_to_sources.shape == (2, 3, 4, 4)
    assert prediction.T_target_to_sources.dtype == torch.float32


@pytest.mark.parametrize('pose', ['separate', 'shared', 'posecnn'])
def test_a_pair_has_one_motion_and_its_inverse_in_the_other_role(pose: str) -> None:
    model = _loud(_model(pose))
    a, b, other = _frames(3)
    with torch.no_grad():
        a_to_b = model(_views(a, [other, b])).T_target_to_sources[:, 1]
        b_to_a = model(_views(b, [a, other])).T_target_to_sources[:, 0]
    # The translation of posecnn is in units of the mean depth of either target.
    sides = slice(3) if pose == 'posecnn' else slice(4)
    torch.testing.assert_close(
        invert_rigid(b_to_a)[:, :3, sides], a_to_b[:, :3, sides], rtol=1e-4, atol=1e-5
    )
    assert not torch.allclose(a_to_b, torch.eye(4), atol=1e-2)


@pytest.mark.parametrize('pose', ['separate', 'separate_all'])
def test_networks_see_frames_in_temporal_order_and_only_the_way_back_is_inverted(
    pose: str,
) -> None:
    model = _loud(_model(pose))
    before, target, after = _frames(3)
    net = model.pose_net
    assert isinstance(net, PoseNet)
    with torch.no_grad():
        T = model(_views(target, [before, after])).T_target_to_sources
        if pose == 'separate':
            motions = torch.cat((net((before, target)), net((target, after))), dim=1)
        else:
            motions = net((before, target, after))
    expected = rigid_transform(motions[..., :3], motions[..., 3:])
    torch.testing.assert_close(T[:, 0], invert_rigid(expected[:, 0]))
    torch.testing.assert_close(T[:, 1], expected[:, 1])


@pytest.mark.parametrize('pose', POSE_VARIANTS)
def test_the_order_of_the_sources_does_not_matter(pose: str) -> None:
    before, target, after, partner = _frames(4)
    one, other = _loud(_model(pose)), _model(pose, sources=('partner', 'next', 'previous'))
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        expected = one(_views(target, [before, after])).T_target_to_sources
        got = other(_views(target, [partner, after, before])).T_target_to_sources
    torch.testing.assert_close(got[:, 1:], expected.flip(1))


@pytest.mark.parametrize('sources', [('partner',), source_names('trinocular')])
def test_poses_of_cameras_beside_are_the_given_ones_and_need_no_network(
    sources: tuple[str, ...],
) -> None:
    model = _model(sources=sources)
    target, *others = _frames(1 + len(sources))
    views = _views(target, others)
    assert model.pose_net is None
    assert model.pose_state() == {}
    with torch.no_grad():
        prediction = model(views)
    assert torch.equal(prediction.T_target_to_sources, views.T_target_to_cameras)
    assert prediction.masks is None


def test_posecnn_translates_in_units_of_the_mean_inverse_depth() -> None:
    depth_range = DepthRange(min_depth_m=0.5, max_depth_m=50.0)
    model = _loud(_model('posecnn', depth_range=depth_range))
    before, target, after = _frames(3)
    with torch.no_grad():
        prediction = model(_views(target, [before, after]))
        motion = model.pose_net((target, after))[:, 0]
    inverse_depth = 0.02 + 1.98 * prediction.disparities[0].mean((1, 2, 3))
    T = prediction.T_target_to_sources[:, 1]
    torch.testing.assert_close(T[:, :3, 3], motion[:, 3:] * inverse_depth[:, None])
    torch.testing.assert_close(T, rigid_transform(motion[:, :3], T[:, :3, 3]))


def test_the_shared_variant_reads_the_depth_encoders_features() -> None:
    model = _loud(_model('shared'))
    before, target, after = _frames(3)
    with torch.no_grad():
        T = model(_views(target, [before, after])).T_target_to_sources
        features = [model.depth_net.encoder(x)[-1] for x in (before, target, after)]
        motion = model.pose_net(features[1:])[:, 0]
    torch.testing.assert_close(T[:, 1], rigid_transform(motion[:, :3], motion[:, 3:]))
    assert not any(name.startswith('encoder') for name in model.pose_state())


def test_the_motion_head_equals_a_convolution_averaged_over_the_image() -> None:
    head = MotionHead(5, 2).double()
    x = torch.rand(3, 5, 4, 6, dtype=torch.float64)
    everywhere = functional.conv2d(x, head.weight, head.bias)
    expected = 0.01 * everywhere.mean((2, 3)).reshape(3, 2, 6)
    torch.testing.assert_close(head(x), expected, rtol=0.0, atol=1e-15)


def test_posecnn_has_the_published_layers() -> None:
    layers = [(c.out_channels, c.kernel_size[0], c.stride[0]) for c in PoseCnn().layers]
    assert layers == [
        *((16, 7, 2), (32, 5, 2), (64, 3, 2)),
        *((128, 3, 2), (256, 3, 2), (256, 3, 2), (256, 3, 2)),
    ]


@pytest.mark.parametrize('encoder', ['resnet18', 'resnet34', 'resnet50'])
def test_any_resnet_can_be_the_pose_encoder(encoder: str) -> None:
    net = PoseNet(encoder).eval()
    with torch.no_grad():
        assert net(list(_frames(2, items=1))).shape == (1, 1, 6)
    published = getattr(torchvision.models, encoder)(weights=None).state_dict()
    trunk = {f'encoder.{name}' for name in published if not name.startswith('fc.')}
    layers = ('squeeze', 'hidden.0', 'hidden.1', 'motion')
    decoder = {f'decoder.{layer}.{kind}' for layer in layers for kind in ('weight', 'bias')}
    assert set(net.state_dict()) == trunk | decoder


@pytest.mark.parametrize('pose', POSE_VARIANTS)
def test_gradients_reach_every_weight(pose: str) -> None:
    model = _model(pose, predictive_mask=True).train()
    before, target, after = _frames(3)
    prediction = model(_views(target, [before, after]))
    terms = [prediction.T_target_to_sources[..., :3, :].square(), *prediction.disparities]
    sum(term.mean() for term in (*terms, *prediction.masks)).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_under_autocast_disparity_masks_and_poses_are_float32_and_close() -> None:
    model = _model(predictive_mask=True)
    before, target, after = _frames(3)
    views = _views(target, [before, after])
    with torch.no_grad():
        exact = model(views)
        with torch.autocast('cpu', torch.bfloat16):
            rough = model(views)
    assert rough.masks is not None
    maps = (*rough.disparities, *rough.masks, rough.T_target_to_sources)
    assert {x.dtype for x in maps} == {torch.float32}
    finest = rough.disparities[0]
    assert not torch.equal(finest, finest.bfloat16().float())
    torch.testing.assert_close(finest, exact.disparities[0], rtol=0.05, atol=0.01)
    torch.testing.assert_close(
        rough.T_target_to_sources, exact.T_target_to_sources, rtol=0.02, atol=1e-4
    )


@pytest.mark.parametrize(
    'sources',
    [
        (),
        ('previous',),
        ('next', 'partner'),
        ('previous', 'previous'),
        ('left',),
        ('left', 'partner'),
    ],
)
def test_sources_that_no_mode_has_are_refused(sources: tuple[str, ...]) -> None:
    message = 'expected previous and next, partner, all three, or left and right'
    with pytest.raises(ConfigError, match=message):
        _model(sources=sources)


def test_an_unknown_variant_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'seperate' is not known: did you mean 'separate'"):
        ModelConfig(pose='seperate')
    with pytest.raises(ConfigError, match="encoder 'resnet19' is not known"):
        ModelConfig(pose_encoder='resnet19')


@pytest.mark.parametrize('disparity', [0.5, 0.1])
def test_new_heads_begin_at_the_initial_disparity(disparity: float) -> None:
    config = ModelConfig(encoder=LITE0, width=96, height=64, initial_disparity=disparity)
    torch.manual_seed(6)
    model = DepthPoseModel(config, sources=('partner',)).eval()
    for predicted in model(_views(_frames(1)[0], [_frames(1)[0]])).disparities:
        assert float(predicted.detach().mean()) == pytest.approx(disparity, rel=0.5)


@pytest.mark.parametrize('disparity', [0.0, 1.0, float('nan')])
def test_an_initial_disparity_that_is_none_is_refused(disparity: float) -> None:
    with pytest.raises(ConfigError, match=r'initial_disparity .* between 0 and 1'):
        ModelConfig(initial_disparity=disparity)
