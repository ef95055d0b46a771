# SPDX-License-Identifier: Apache-2.0
"""The loop: its schedule, its randomness, its guard against NaN, and that it can be resumed."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from monodepth2_training import module as training_module
from monodepth2_training.build import batch_describer, build_module
from monodepth2_training.checkpoints import load_checkpoint
from monodepth2_training.config import TrainingConfig
from monodepth2_training.data.augmentation import Views, augment
from monodepth2_training.data.datamodule import TripletDataModule
from monodepth2_training.data.dataset import TripletBatch
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.triplets import TripletSettings, make_split
from monodepth2_training.finite_guard import FiniteGuard
from monodepth2_training.module import MONITOR, TERMS, DepthTraining
from monodepth2_training.run import training
from monodepth2_training.run.keeper import CheckpointKeeper, TrainingInterrupted
from monodepth2_training.run.log import read_metrics
from monodepth2_training.run.progress import RunProgress
from support.tiny_store import write_tiny_store
from support.tiny_training import (
    build_tiny_module,
    tiny_config,
    train_tiny,
    use_tiny_model,
)

from monodepth2_ros.errors import CheckpointError, ConfigError, TrainingError

GOLDEN = Path(__file__).parents[1] / 'golden' / 'training_loss_curve.txt'
STEPS = 6
"""Steps of an epoch on the tiny store in batches of 4."""


@pytest.fixture(scope='module', autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp('store')
    yield write_tiny_store(folder / 'mono', frames=34)
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _leave_no_large_files(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_model(monkeypatch)


def _config(*overrides: str) -> TrainingConfig:
    return tiny_config('optimisation.batch_size=4', *overrides)


def _first_batch(store: Path, size: int = 4) -> TripletBatch:
    opened = FrameStore.open(store)
    split = make_split(opened, mode='mono', settings=TripletSettings())
    data = TripletDataModule(opened, split, batch_size=size)
    return next(iter(data.train_dataloader()))


def _weights(out: Path, name: str) -> dict[str, Any]:
    return load_checkpoint(out / 'checkpoints' / name)


def _assert_equal_state(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Weights, statistics, optimiser and schedule are the same bit for bit."""
    for name, tensor in theirs['state_dict'].items():
        assert torch.equal(ours['state_dict'][name], tensor), name
    left, right = ours['optimizer_states'][0], theirs['optimizer_states'][0]
    assert left['param_groups'] == right['param_groups']
    for number, state in right['state'].items():
        for key, value in state.items():
            assert torch.equal(left['state'][number][key], value), (number, key)
    assert ours['lr_schedulers'] == theirs['lr_schedulers']
    assert (ours['epoch'], ours['global_step']) == (theirs['epoch'], theirs['global_step'])


def _at_step(
    monkeypatch: pytest.MonkeyPatch, step: int, action: Callable[[], object]
) -> list[int]:
    """Do something at the end of a step; gives the steps that were taken."""
    taken: list[int] = []
    original = CheckpointKeeper.on_train_batch_end

    def on_train_batch_end(self: Any, trainer: Any, *rest: Any) -> None:
        taken.append(trainer.global_step)
        if trainer.global_step == step:
            action()
        original(self, trainer, *rest)

    monkeypatch.setattr(CheckpointKeeper, 'on_train_batch_end', on_train_batch_end)
    return taken


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


# The step --------------------------------------------------------------------------------------


def loss_curve(store: Path, patch: pytest.MonkeyPatch) -> list[float]:
    """Three steps on one batch in float64, where rounding cannot turn into another course."""

    def augment_in_float64(*arguments: Any) -> Views:
        views = augment(*arguments)
        images = {f.name: getattr(views, f.name).double() for f in dataclasses.fields(views)}
        return dataclasses.replace(views, **images)

    patch.setattr(training_module, 'augment', augment_in_float64)
    module = build_module(_config()).double().train()
    optimizer = module.configure_optimizers()['optimizer']
    batch = _first_batch(store, 2)
    losses = []
    for step in range(3):
        optimizer.zero_grad()
        loss = module.training_step(batch, step)['loss']
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_the_seeded_loss_curve_is_as_it_was(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [float(line) for line in GOLDEN.read_text().splitlines() if line[0] != '#']
    assert loss_curve(store, monkeypatch) == pytest.approx(expected, rel=1e-6)


def test_depth_is_held_while_motion_learns_and_then_learns_as_well(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[dict[str, torch.Tensor]] = []

    def on_train_batch_start(self: DepthTraining, *_: object) -> None:
        states.append({k: v.detach().clone() for k, v in self.model.named_parameters()})

    monkeypatch.setattr(DepthTraining, 'on_train_batch_start', on_train_batch_start)
    config = _config('optimisation.hold_depth_steps=3', 'optimisation.epochs=1')
    train_tiny(config, store, tmp_path)
    assert len(states) == STEPS
    for number, (before, after) in enumerate(itertools.pairwise(states)):
        moved = {k.partition('.')[0] for k, v in after.items() if not torch.equal(v, before[k])}
        assert moved == ({'pose_net'} if number < 3 else {'depth_net', 'pose_net'})


class _Built(Exception):
    """Ends a run where its networks would be built."""


def _up_to_the_networks(
    config: TrainingConfig, store: Path, out: Path, patch: pytest.MonkeyPatch
) -> tuple[bool, list[str]]:
    """Whether the loss of a run is compiled, and what is said before its networks are built."""
    asked, said = list[bool](), list[str]()

    def build(*_: Any, compile: bool, **__: Any) -> None:
        asked.append(compile)
        raise _Built

    patch.setattr(training, 'build_module', build)
    patch.setattr(RunProgress, 'say', lambda _, text: said.append(text))
    with pytest.raises(_Built):
        train_tiny(config, store, out)
    return asked[0], said


@pytest.mark.parametrize(
    ('held', 'epochs', 'said_so'), [(3, 1, False), (4, 1, True), (90, 1, True), (4, 2, False)]
)
def test_it_is_said_where_depth_is_held_most_of_the_time(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    held: int,
    epochs: int,
    said_so: bool,
) -> None:
    changes = (f'optimisation.hold_depth_steps={held}', f'optimisation.epochs={epochs}')
    _, said = _up_to_the_networks(_config(*changes), store, tmp_path, monkeypatch)
    note = f'depth is held for {min(held, STEPS)} of {STEPS} steps: --epochs or a longer drive'
    assert any(line.startswith(note) for line in said) == said_so


@pytest.mark.parametrize(
    ('choice', 'epochs', 'compiled'),
    [('auto', 1, False), ('auto', 40, True), ('always', 1, True), ('never', 40, False)],
)
def test_the_loss_is_compiled_where_that_pays(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
    epochs: int,
    compiled: bool,
) -> None:
    changes = (f'optimisation.compile={choice}', f'optimisation.epochs={epochs}')
    config = _config(*changes)
    assert _up_to_the_networks(config, store, tmp_path, monkeypatch)[0] == compiled


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    modules = [build_module(_config(f'optimisation.seed={seed}')) for seed in (3, 3, 4)]
    first, again, other = (module.model.depth_net.decoder.state_dict() for module in modules)
    name = next(iter(first))
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])


def test_a_step_draws_by_epoch_batch_and_seed_alone(store: Path) -> None:
    module = build_tiny_module(_config())
    batch = _first_batch(store)
    torch.manual_seed(1)
    first = module.training_step(batch, 3)['loss']
    torch.manual_seed(2)
    assert torch.equal(module.training_step(batch, 3)['loss'], first)
    assert not torch.equal(module.training_step(batch, 4)['loss'], first)
    other = build_tiny_module(_config('optimisation.seed=9'))
    other.load_state_dict(module.state_dict())
    assert not torch.equal(other.training_step(batch, 3)['loss'], first)


def test_validation_varies_nothing_and_draws_the_same_noise_each_time(store: Path) -> None:
    module = build_tiny_module(_config()).eval()
    batch = _first_batch(store)
    views, _, terms = module.judge(batch)
    assert torch.equal(views.target, views.target_input)
    plain = augment(batch, _config().augmentation, None)
    assert torch.equal(views.target, plain.target)
    assert torch.equal(module.judge(batch)[2].total, terms.total)


def test_networks_run_in_bfloat16_and_the_loss_in_float32(store: Path) -> None:
    module = build_tiny_module(_config(), precision=torch.bfloat16)
    seen: list[torch.dtype] = []
    module.model.disparity.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    result = module.training_step(_first_batch(store), 0)
    assert seen == [torch.bfloat16]
    assert {result[name].dtype for name in ('loss', *TERMS)} == {torch.float32}
    result['loss'].backward()
    assert module.model.disparity.weight.grad.dtype == torch.float32


def test_the_whole_step_is_channels_last_float32_and_fused() -> None:
    module = build_module(_config())
    weight = module.model.depth_net.decoder.state_dict()
    convolution = next(tensor for tensor in weight.values() if tensor.ndim == 4)
    assert convolution.is_contiguous(memory_format=torch.channels_last)
    optimizer = module.configure_optimizers()['optimizer']
    assert optimizer.defaults['betas'] == (0.9, 0.999)
    assert (optimizer.defaults['lr'], optimizer.defaults['weight_decay']) == (1e-4, 0)
    assert optimizer.defaults['fused']


# The schedule ----------------------------------------------------------------------------------


def test_fifteen_epochs_run_at_the_full_rate_before_it_drops(tmp_path: Path, tiny: None) -> None:
    short = write_tiny_store(tmp_path / 'short', frames=4)
    train_tiny(_config('optimisation.epochs=17'), short, tmp_path / 'run')
    steps = [e for e in read_metrics(tmp_path / 'run' / 'metrics.jsonl') if e['kind'] == 'step']
    assert [e['epoch'] for e in steps] == list(range(17))
    assert [e['learning_rate'] for e in steps] == pytest.approx([1e-4] * 15 + [1e-5] * 2)


def test_a_resumed_run_follows_a_rate_that_was_changed(
    store: Path, tmp_path: Path, tiny: None
) -> None:
    train_tiny(_config('optimisation.epochs=1'), store, tmp_path)
    changes = ('optimisation.learning_rate=4e-5', 'optimisation.lr_drop_epoch=2')
    train_tiny(_config('optimisation.epochs=4', *changes), store, tmp_path, resume=True)
    rates = {
        e['epoch']: e['learning_rate']
        for e in read_metrics(tmp_path / 'metrics.jsonl')
        if e['kind'] == 'step'
    }
    assert rates == pytest.approx({0: 1e-4, 1: 4e-5, 2: 4e-6, 3: 4e-6})


@pytest.mark.parametrize(('before', 'after', 'expected'), [(1, 5, 1e-4), (15, 1, 1e-6)])
def test_a_resumed_run_has_the_rate_that_a_changed_schedule_gives_its_epoch(
    store: Path, tmp_path: Path, tiny: None, before: int, after: int, expected: float
) -> None:
    schedule = f'optimisation.lr_drop_epoch={before}'
    train_tiny(_config('optimisation.epochs=2', schedule), store, tmp_path)
    schedule = f'optimisation.lr_drop_epoch={after}'
    train_tiny(_config('optimisation.epochs=3', schedule), store, tmp_path, resume=True)
    steps = [e for e in read_metrics(tmp_path / 'metrics.jsonl') if e['kind'] == 'step']
    assert steps[-1]['epoch'] == 2
    assert steps[-1]['learning_rate'] == pytest.approx(expected)


# Resuming --------------------------------------------------------------------------------------


@pytest.mark.parametrize('step', [2, STEPS + 3, STEPS])
def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_one(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    train_tiny(_config(), store, tmp_path / 'whole')
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        before = _at_step(patch, step, _interrupt)
        with pytest.raises(TrainingInterrupted) as stopped:
            train_tiny(_config(), store, tmp_path / 'parts')
    assert signal.getsignal(signal.SIGINT) is handler
    inside = f'epoch_{step // STEPS:04d}_step_{step:08d}.ckpt'
    expected = 'epoch_0001.ckpt' if step == STEPS else inside
    assert stopped.value.checkpoint == tmp_path / 'parts' / 'checkpoints' / expected
    after = _at_step(monkeypatch, -1, _interrupt)
    train_tiny(_config(), store, tmp_path / 'parts', resume=True)
    assert before + after == list(range(1, 3 * STEPS + 1))
    name = 'epoch_0003.ckpt'
    _assert_equal_state(_weights(tmp_path / 'parts', name), _weights(tmp_path / 'whole', name))


def test_figures_are_written_once_whatever_interrupts(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    with monkeypatch.context() as patch:
        _at_step(patch, STEPS + 4, kill)
        with pytest.raises(Killed):
            train_tiny(_config(), store, tmp_path)
    with (tmp_path / 'metrics.jsonl').open('a') as file:
        file.write('{"kind": "st')
    train_tiny(_config(), store, tmp_path, resume=True)
    entries = read_metrics(tmp_path / 'metrics.jsonl')
    steps = [e['step'] for e in entries if e['kind'] == 'step']
    assert steps == list(range(1, 3 * STEPS + 1))
    assert [e['epoch'] for e in entries if e['kind'] == 'epoch'] == [1, 2, 3]
    assert set(TERMS) < set(entries[0])
    assert MONITOR in entries[-1]


def test_a_damaged_checkpoint_is_passed_over_and_said(
    store: Path, tmp_path: Path, tiny: None
) -> None:
    train_tiny(_config('optimisation.epochs=2'), store, tmp_path)
    newest = tmp_path / 'checkpoints' / 'epoch_0002.ckpt'
    newest.write_bytes(newest.read_bytes()[:-200])
    _, said = train_tiny(_config(), store, tmp_path, resume=True)
    assert 'epoch_0002.ckpt is cut off' in said
    assert 'resuming from epoch_0001.ckpt' in said
    assert (tmp_path / 'checkpoints' / 'epoch_0003.ckpt').exists()


def test_what_is_saved_after_damage_stays_and_the_damaged_files_too(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_tiny(_config('optimisation.epochs=1'), store, tmp_path)
    damaged = ('epoch_0007.ckpt', 'epoch_0007_step_00000044.ckpt')
    for name in damaged:
        (tmp_path / 'checkpoints' / name).write_text(name)
    _at_step(monkeypatch, STEPS + 2, _interrupt)
    with pytest.raises(TrainingInterrupted) as stopped:
        train_tiny(_config(), store, tmp_path, resume=True)
    kept = {path.name: path for path in (tmp_path / 'checkpoints').iterdir()}
    saved = f'epoch_0001_step_{STEPS + 2:08d}.ckpt'
    assert set(kept) == {'epoch_0001.ckpt', saved, *(f'{name}.aside1' for name in damaged)}
    assert stopped.value.checkpoint == kept[saved]
    assert all(kept[f'{name}.aside1'].read_text() == name for name in damaged)


def test_a_finished_run_is_not_trained_further(store: Path, tmp_path: Path, tiny: None) -> None:
    first, _ = train_tiny(_config(), store, tmp_path)
    again, _ = train_tiny(_config('optimisation.epochs=2'), store, tmp_path, resume=True)
    assert (again.steps, again.checkpoint) == (first.steps, first.checkpoint)
    assert again.best_validation == first.best_validation


# Keeping ---------------------------------------------------------------------------------------


def test_the_newest_two_and_the_best_are_kept(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([0.4, 0.2, 0.3, 0.5, 0.3])
    original = DepthTraining.on_train_epoch_end

    def on_train_epoch_end(self: DepthTraining) -> None:
        original(self)
        self.trainer.callback_metrics[MONITOR] = torch.tensor(next(errors))

    monkeypatch.setattr(DepthTraining, 'on_train_epoch_end', on_train_epoch_end)
    outcome, _ = train_tiny(_config('optimisation.epochs=5'), store, tmp_path)
    names = sorted(path.name for path in (tmp_path / 'checkpoints').iterdir())
    assert names == ['epoch_0002.ckpt', 'epoch_0004.ckpt', 'epoch_0005.ckpt']
    assert (outcome.epochs, outcome.best_validation) == (2, pytest.approx(0.2))


def test_a_mask_that_hides_everything_is_not_the_best(tmp_path: Path) -> None:
    keeper = CheckpointKeeper(tmp_path, 0.0)
    for epochs, photometric, mask in ((1, 0.12, 0.02), (2, 0.10, 0.02), (3, 0.01, 0.60)):
        found = {'photometric': photometric, 'mask_regularisation': mask, 'total': 0.01}
        keeper.compare(epochs, {f'validation_{name}': value for name, value in found.items()})
    assert (keeper.best_epochs, keeper.best_value) == (2, pytest.approx(0.12))
    keeper.compare(4, {})
    assert keeper.best_epochs == 2


def test_checkpoints_come_within_long_epochs(store: Path, tmp_path: Path, tiny: None) -> None:
    clock = iter(range(0, 10_000, 10))
    keeper = CheckpointKeeper(tmp_path, 25.0, clock_s=lambda: float(next(clock)))
    trainer = _FakeTrainer()
    for _ in range(STEPS):
        keeper.on_train_batch_end(trainer, None, {}, None, 0)  # type: ignore[arg-type]
        trainer.global_step += 1
    assert trainer.saved == ['epoch_0000_step_00000002.ckpt', 'epoch_0000_step_00000005.ckpt']


def test_processes_agree_without_their_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.distributed, 'all_reduce', lambda found, _: found.add_(2))
    trainer = _FakeTrainer()
    trainer.world_size = 2
    # No number can be read of this device.
    trainer.strategy = SimpleNamespace(root_device=torch.device('meta'))  # type: ignore[attr-defined]
    with pytest.raises(TrainingInterrupted):
        CheckpointKeeper(tmp_path, 0.0).on_train_batch_end(trainer, None, {}, None, 0)  # type: ignore[arg-type]
    assert trainer.saved == ['epoch_0000_step_00000000.ckpt']


class _FakeTrainer:
    """What ``CheckpointKeeper`` asks a trainer for within an epoch."""

    is_last_batch = False
    is_global_zero = True
    world_size = 1
    current_epoch = 0

    def __init__(self) -> None:
        self.global_step = 0
        self.saved: list[str] = []

    def save_checkpoint(self, path: Path) -> None:
        self.saved.append(path.name)


def test_a_second_signal_ends_at_once_and_saves_nothing(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _at_step(monkeypatch, 3, lambda: [_interrupt(), _interrupt()])
    with pytest.raises(TrainingInterrupted) as stopped:
        train_tiny(_config(), store, tmp_path)
    assert stopped.value.checkpoint is None
    assert not list((tmp_path / 'checkpoints').glob('*'))


def test_a_signal_during_validation_ends_it_and_keeps_the_epoch(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = DepthTraining.judge
    judged: list[int] = []

    def judge(self: DepthTraining, *arguments: Any) -> Any:
        judged.append(1)
        _interrupt()
        return original(self, *arguments)

    monkeypatch.setattr(DepthTraining, 'judge', judge)
    config = _config('optimisation.batch_size=1', 'triplets.validation=0.3')
    with pytest.raises(TrainingInterrupted) as stopped:
        train_tiny(config, store, tmp_path)
    assert len(judged) == 1
    assert stopped.value.checkpoint == tmp_path / 'checkpoints' / 'epoch_0001.ckpt'
    state = load_checkpoint(stopped.value.checkpoint)['callbacks']['CheckpointKeeper']
    assert state['best_epochs'] == 0
    assert not state['validated']
    assert MONITOR not in read_metrics(tmp_path / 'metrics.jsonl')[-1]


LEARNING = ('optimisation.learning_rate=1e-3', 'triplets.validation=0.3')
"""Each epoch of a tiny run is the best so far, judged in several batches."""


def _in_validation(monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int) -> None:
    """Interrupt the validation of an epoch, counted from 0, before a batch of it is judged."""
    original = DepthTraining.validation_step

    def validation_step(self: DepthTraining, samples: TripletBatch, batch_idx: int) -> None:
        if (self.current_epoch, batch_idx) == (epoch, batch):
            _interrupt()
        original(self, samples, batch_idx)

    monkeypatch.setattr(DepthTraining, 'validation_step', validation_step)


def _figures(out: Path) -> list[dict[str, Any]]:
    """What a run has written down, but for times."""
    times = {'seconds', 'samples_per_s'}
    entries = read_metrics(out / 'metrics.jsonl')
    return [{k: v for k, v in entry.items() if k not in times} for entry in entries]


@pytest.mark.parametrize('epoch', [1, 2])
@pytest.mark.parametrize('in_training', [False, True])
def test_a_validation_that_was_broken_off_is_made_up_for(
    store: Path,
    tmp_path: Path,
    tiny: None,
    monkeypatch: pytest.MonkeyPatch,
    epoch: int,
    in_training: bool,
) -> None:
    config = _config(*LEARNING)
    whole, _ = train_tiny(config, store, tmp_path / 'whole')
    assert whole.epochs == 3
    with monkeypatch.context() as patch, pytest.raises(TrainingInterrupted):
        if in_training:
            _at_step(patch, (epoch + 1) * whole.steps // 3, _interrupt)
        else:
            _in_validation(patch, epoch, 0)
        train_tiny(config, store, tmp_path / 'parts')
    parts, said = train_tiny(config, store, tmp_path / 'parts', resume=True)
    assert f'validating epoch_{epoch + 1:04d}.ckpt first' in said
    assert (parts.epochs, parts.best_validation) == (whole.epochs, whole.best_validation)
    assert _figures(tmp_path / 'parts') == _figures(tmp_path / 'whole')
    ours, theirs = (_weights(tmp_path / run, 'epoch_0003.ckpt') for run in ('parts', 'whole'))
    _assert_equal_state(ours, theirs)
    assert ours['callbacks'] == theirs['callbacks']


def test_a_signal_while_it_is_made_up_for_leaves_that_to_the_next_time(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(*LEARNING, 'optimisation.epochs=1')
    handler = signal.getsignal(signal.SIGINT)
    for resume in (False, True):
        with monkeypatch.context() as patch, pytest.raises(TrainingInterrupted) as stopped:
            _in_validation(patch, 0, 0)
            train_tiny(config, store, tmp_path, resume=resume)
        assert stopped.value.checkpoint == tmp_path / 'checkpoints' / 'epoch_0001.ckpt'
        assert signal.getsignal(signal.SIGINT) is handler
        assert MONITOR not in _figures(tmp_path)[-1]
    outcome, _ = train_tiny(config, store, tmp_path, resume=True)
    assert outcome.best_validation == pytest.approx(_figures(tmp_path)[-1][MONITOR], rel=1e-5)
    _, said = train_tiny(config, store, tmp_path, resume=True)
    assert 'validating' not in said


def test_a_signal_in_the_last_validation_batch_lets_it_count(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config('optimisation.batch_size=100')
    _in_validation(monkeypatch, 0, 0)
    with pytest.raises(TrainingInterrupted) as stopped:
        train_tiny(config, store, tmp_path)
    assert stopped.value.checkpoint is not None
    state = load_checkpoint(stopped.value.checkpoint)['callbacks']['CheckpointKeeper']
    assert (state['validated'], state['best_epochs']) == (True, 1)
    assert MONITOR in _figures(tmp_path)[-1]


def test_only_one_trainer_writes_in_a_run(store: Path, tmp_path: Path, tiny: None) -> None:
    from monodepth2_training.run.folder import RunFolder

    with RunFolder(tmp_path).lock(), pytest.raises(TrainingError, match='by another trainer'):
        train_tiny(_config(), store, tmp_path)
    train_tiny(_config('optimisation.epochs=1'), store, tmp_path)


# Numbers ---------------------------------------------------------------------------------------


def _spoil(
    monkeypatch: pytest.MonkeyPatch, steps: set[int], value: float, *, gradient: bool = False
) -> None:
    """Make the loss, or only its gradient, not finite in some steps."""
    original = DepthTraining.training_step

    def training_step(self: DepthTraining, batch: TripletBatch, batch_idx: int) -> Any:
        result = original(self, batch, batch_idx)
        if self.trainer.global_step + 1 in steps:
            if gradient:
                result['loss'].register_hook(lambda grad: grad * value)
            else:
                result['loss'] = result['loss'] * value
        return result

    monkeypatch.setattr(DepthTraining, 'training_step', training_step)


@pytest.mark.parametrize('gradient', [False, True])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_step_that_is_not_finite_is_skipped_and_names_its_batch(
    store: Path,
    tmp_path: Path,
    tiny: None,
    monkeypatch: pytest.MonkeyPatch,
    value: float,
    gradient: bool,
) -> None:
    _spoil(monkeypatch, {2}, value, gradient=gradient)
    outcome, said = train_tiny(_config('optimisation.epochs=1'), store, tmp_path)
    what = 'the gradient is not finite' if gradient else f'the loss is {value:g}'
    assert f'step 2: {what} for the batch of /camera0 frame ' in said
    assert 'the step is skipped (1 in all)' in said
    assert outcome.skipped_steps == 1
    state = _weights(tmp_path, 'epoch_0001.ckpt')['optimizer_states'][0]['state']
    assert state[0]['step'] == STEPS - 1
    entries = read_metrics(tmp_path / 'metrics.jsonl')
    assert json.dumps(entries, allow_nan=False)


@pytest.mark.parametrize(
    ('loss', 'line'),
    [
        (float('nan'), 'step 7: the loss is nan for the batch of 3; '),
        (1.0, "step 7: this process's loss is finite, another's or the gradient is not; "),
    ],
)
def test_each_process_blames_only_frames_of_its_own(
    monkeypatch: pytest.MonkeyPatch, loss: float, line: str
) -> None:
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    guard = FiniteGuard(5, lambda ids: f'the batch of {int(ids)}')
    guard.note(7, torch.tensor(1.0), torch.tensor(loss), torch.tensor(3))
    assert guard.read(wait=True) == [f'{line}the step is skipped (1 in all)']


def test_a_skipped_step_changes_neither_weights_nor_moments(store: Path) -> None:
    module = build_tiny_module(_config())
    optimizer = module.configure_optimizers()['optimizer']
    batch = _first_batch(store)
    parameters = optimizer.param_groups[0]['params']
    states = []
    for value in (1.0, float('nan')):
        optimizer.zero_grad()
        loss = module.training_step(batch, 0)['loss'] * value
        loss.backward()
        optimizer.found_inf = module.guard.judge(loss, parameters)
        optimizer.step()
        states.append([p.detach().clone() for p in parameters])
    assert all(torch.equal(before, after) for before, after in zip(*states, strict=True))
    assert all(torch.isfinite(state['exp_avg']).all() for state in optimizer.state.values())


def test_a_step_that_was_skipped_just_before_a_checkpoint_is_counted_and_said(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spoil(monkeypatch, {2}, float('nan'))
    lines: list[str] = []
    with monkeypatch.context() as patch, pytest.raises(TrainingInterrupted):
        patch.setattr(RunProgress, 'warn', lambda _, line: lines.append(line))
        _at_step(patch, 2, _interrupt)
        train_tiny(_config('optimisation.epochs=1'), store, tmp_path)
    assert [line.partition(' for ')[0] for line in lines] == ['step 2: the loss is nan']
    assert _weights(tmp_path, 'epoch_0000_step_00000002.ckpt')['skipped_steps'] == 1
    outcome, _ = train_tiny(_config('optimisation.epochs=1'), store, tmp_path, resume=True)
    assert outcome.skipped_steps == 1


def test_the_last_step_of_an_epoch_is_counted_also_where_its_verdict_comes_late(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = FiniteGuard.note

    def note(self: FiniteGuard, *arguments: Any) -> None:
        original(self, *arguments)
        ready: Any = SimpleNamespace(synchronize=lambda: None)
        self._pending.append(dataclasses.replace(self._pending.pop(), ready=ready))

    monkeypatch.setattr(FiniteGuard, 'note', note)
    _spoil(monkeypatch, {STEPS}, float('nan'))
    train_tiny(_config('optimisation.epochs=1'), store, tmp_path)
    assert read_metrics(tmp_path / 'metrics.jsonl')[-1]['skipped_steps'] == 1


def test_too_many_bad_steps_in_a_row_stop_and_leave_the_last_good_checkpoint(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spoil(monkeypatch, set(range(STEPS + 2, 100)), float('nan'))
    config = _config('optimisation.bad_steps=3')
    with pytest.raises(TrainingError, match=r'step 10: the loss is nan .* 3 steps in a row'):
        train_tiny(config, store, tmp_path)
    kept = _weights(tmp_path, 'epoch_0001.ckpt')
    assert all(torch.isfinite(t).all() for t in kept['state_dict'].values())


def test_good_steps_in_between_reset_the_count(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spoil(monkeypatch, {1, 2, 4, 5, 7, 8}, float('nan'))
    outcome, _ = train_tiny(_config('optimisation.bad_steps=3'), store, tmp_path)
    assert outcome.skipped_steps == 6


def test_weights_that_are_not_finite_are_never_written(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = DepthTraining.on_train_epoch_end

    def poison(self: DepthTraining) -> None:
        original(self)
        if self.current_epoch == 1:
            self.model.norm.running_mean.fill_(float('nan'))

    monkeypatch.setattr(DepthTraining, 'on_train_epoch_end', poison)
    with pytest.raises(CheckpointError, match=r'running_mean is not finite'):
        train_tiny(_config(), store, tmp_path)
    assert [path.name for path in (tmp_path / 'checkpoints').iterdir()] == ['epoch_0001.ckpt']


def test_gradients_are_clipped_only_when_asked_to(store: Path) -> None:
    module = build_tiny_module(_config())
    parameters = list(module.parameters())
    norms = []
    for clip in (0.0, 1e-3):
        module.zero_grad()
        loss = module.training_step(_first_batch(store), 0)['loss']
        loss.backward()
        module.guard.judge(loss, parameters, clip)
        norms.append(float(torch.nn.utils.get_total_norm([p.grad for p in parameters])))
    assert norms[0] > 1e-3
    assert norms[1] == pytest.approx(1e-3, rel=1e-3)


# Guards ----------------------------------------------------------------------------------------


def test_fewer_samples_than_a_batch_are_trained_on_and_said(
    store: Path, tmp_path: Path, tiny: None
) -> None:
    config = _config('optimisation.batch_size=100', 'optimisation.epochs=2')
    outcome, said = train_tiny(config, store, tmp_path)
    samples = outcome.training_samples
    assert f'{samples} training samples are fewer than a step of 100' in said
    assert outcome.steps == 2


def test_a_store_of_another_size_is_refused_with_the_fix(store: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r'--set network\.width=64 --set network\.height=64'):
        train_tiny(_config('network.width=128'), store, tmp_path)


def test_an_experiment_that_starts_from_weights_asks_for_them() -> None:
    from monodepth2_training.config_files import read_config

    with pytest.raises(ConfigError, match='train mono_640x192 first and add --init'):
        build_module(read_config('mono_1024x320'))


@pytest.mark.parametrize(
    ('error', 'remedy'),
    [
        (torch.cuda.OutOfMemoryError('CUDA out of memory.'), 'optimisation.batch_size=2'),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 'optimisation.batch_size=2'),
        (MemoryError(), 'optimisation.batch_size=2'),
        (
            RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed.'),
            '--resume --set optimisation.workers=0',
        ),
        (
            RuntimeError('DataLoader worker (pid(s) 7, 9) exited unexpectedly'),
            '--resume --set optimisation.workers=0',
        ),
    ],
)
def test_what_the_machine_lacks_is_said_with_the_fix(
    store: Path,
    tmp_path: Path,
    tiny: None,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    remedy: str,
) -> None:
    def training_step(*_: Any) -> None:
        raise error

    monkeypatch.setattr(DepthTraining, 'training_step', training_step)
    with pytest.raises(TrainingError, match=re.escape(remedy)):
        train_tiny(_config(), store, tmp_path)


@pytest.mark.parametrize(
    'message', ['something else', 'Caught RuntimeError in DataLoader worker process 0.']
)
def test_other_failures_come_through_as_they_are(
    store: Path, tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    def training_step(*_: Any) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(DepthTraining, 'training_step', training_step)
    with pytest.raises(RuntimeError, match=message):
        train_tiny(_config(), store, tmp_path)


def test_a_batch_is_named_by_camera_frame_and_time(store: Path) -> None:
    describe = batch_describer(FrameStore.open(store))
    text = describe(torch.tensor([[0, 3], [0, 11]]))
    assert text == 'the batch of /camera0 frame 3 (0.400 s), /camera0 frame 11 (1.200 s)'


def test_pictures_show_target_depth_warps_and_mask(
    store: Path, tmp_path: Path, tiny: None
) -> None:
    import cv2

    train_tiny(_config('optimisation.epochs=1', 'log.pictures=2'), store, tmp_path)
    picture = cv2.imread(str(tmp_path / 'pictures' / 'epoch_0001.png'))
    assert picture.shape == (2 * 64, 5 * 64, 3)
    target = FrameStore.open(store).image(0, _first_validation(store))
    assert (picture[:64, :64, ::-1].transpose(2, 0, 1) == target).all()
    assert set(picture[:64, 4 * 64 :].flatten().tolist()) <= {0, 255}
    assert list((tmp_path / 'tensorboard').iterdir())


def _first_validation(store: Path) -> int:
    split = make_split(FrameStore.open(store), mode='mono', settings=TripletSettings())
    return split.validation[0].target


def test_the_best_weights_fall_back_to_the_newest_where_they_are_damaged(
    tmp_path: Path, store: Path, tiny: None
) -> None:
    outcome, _ = train_tiny(_config(), store, tmp_path)
    keeper = CheckpointKeeper(tmp_path / 'checkpoints', 0.0)
    keeper.best_epochs = 2
    (tmp_path / 'checkpoints' / 'epoch_0002.ckpt').write_bytes(b'')
    said: list[str] = []
    from monodepth2_training.run.folder import RunFolder

    best = training._best(keeper, RunFolder(tmp_path), said.append)
    assert best.name == 'epoch_0003.ckpt'
    assert 'the best weights cannot be used' in said[0]
    assert outcome.epochs in (1, 2, 3)
