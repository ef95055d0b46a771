# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 train`` as its user meets it: real processes, signals and kills."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from monodepth2_training import cli
from monodepth2_training.build import build_module
from monodepth2_training.checkpoints import (
    checkpoint_name,
    load_checkpoint,
    newest_good,
    remove_unfinished,
    save_checkpoint,
)
from monodepth2_training.config_files import read_config
from monodepth2_training.data.datamodule import TripletDataModule
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.network_unit import BASELINE_UNITS, NEAREST_STEPS
from monodepth2_training.data.sampling import EpochSampler
from monodepth2_training.data.triplets import make_split
from monodepth2_training.module import MONITOR, DepthTraining
from monodepth2_training.run.log import read_metrics
from support import warm_processes
from support.tiny_encoder import use_tiny_encoder
from support.tiny_store import BASELINE_M, write_tiny_store
from support.tiny_training import LIGHT, tiny_config

from monodepth2_ros.inference.estimator import DepthEstimator
from monodepth2_ros.model_file import Model, load_model

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

PATIENCE_S = 120.0
STEREO = ('mode=stereo', 'triplets.validation=0', 'optimisation.batch_size=3')
"""No pose network and no validation: a step of this takes a fraction of a second."""
STEPS = 6
"""Steps of an epoch of it."""


@pytest.fixture(scope='module', autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _leave_no_large_files(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture
def _no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report of a run in this process is not written: it takes as long as the training."""
    monkeypatch.setattr('monodepth2_training.commands.train._write_report', lambda *_: '')


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of this process are tiny."""
    use_tiny_encoder(monkeypatch)


@pytest.fixture(scope='module')
def _warm() -> None:
    warm_processes.warm_up()


@pytest.fixture(scope='module')
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp('store')
    yield write_tiny_store(folder / 'pair', frames=9, stereo=True)
    shutil.rmtree(folder)


def _arguments(out: Path, *sources: Path, settings: tuple[str, ...] = ()) -> list[str]:
    """The command line of a run from its beginning."""
    changes = (*LIGHT, 'log.pictures=0', *settings)
    return [
        *('train', *map(str, sources), '--out', str(out), '--config', 'smoke', '--device', 'cpu'),
        *(part for change in changes for part in ('--set', change)),
    ]


def _wait_for(condition: Callable[[], bool], process: ForkServerProcess, said: Path) -> None:
    """Wait until something is true; a process that ends before fails the test with its words."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        if process.exitcode is not None or time.monotonic() > deadline_s:
            process.kill()
            pytest.fail(f'ended with {process.exitcode}: {said.read_text()}')
        time.sleep(0.02)


def _steps(out: Path) -> int:
    """The last step that a run has written down."""
    entries = read_metrics(out / 'metrics.jsonl')
    return int(entries[-1]['step']) if entries else 0


def _files(out: Path) -> list[str]:
    return sorted(path.name for path in (out / 'checkpoints').iterdir())


@pytest.mark.usefixtures('_no_report', '_warm')
def test_ctrl_c_kill_and_resume_end_in_the_weights_of_an_undisturbed_run(
    store: Path, tmp_path: Path
) -> None:
    settings = (*STEREO, 'optimisation.epochs=2')
    assert cli.main(_arguments(tmp_path / 'whole', store, settings=settings)) == 0
    out = tmp_path / 'parts'

    said = tmp_path / 'said.txt'
    process = warm_processes.start(_arguments(out, store, settings=settings), said)
    _wait_for(lambda: _steps(out) >= 2, process, said)
    os.kill(process.pid, signal.SIGINT)
    process.join(PATIENCE_S)
    assert process.exitcode == 130
    assert f'go on with: monodepth2 train --out {out} --resume' in said.read_text()
    (left,) = _files(out)
    assert left.startswith('epoch_0000_step_')

    resume = ['train', '--out', str(out), '--resume', '--device', 'cpu']
    process = warm_processes.start(resume, said)
    _wait_for(lambda: _steps(out) >= STEPS + 2, process, said)
    process.kill()
    process.join(PATIENCE_S)
    assert 'epoch_0001.ckpt' in _files(out)

    assert cli.main(resume) == 0
    whole, parts = (load_model(run / 'model.safetensors') for run in (tmp_path / 'whole', out))
    assert whole.sha256 == parts.sha256
    _assert_metric(whole)
    steps = [e['step'] for e in read_metrics(out / 'metrics.jsonl') if e['kind'] == 'step']
    assert steps == list(range(1, 2 * STEPS + 1))


def _assert_metric(model: Model) -> None:
    """A model from a pair has no pose network and says how long its unit is."""
    assert not model.pose_state
    scale = model.description.scale
    assert scale is not None
    assert scale.value * BASELINE_UNITS == pytest.approx(BASELINE_M)
    assert scale.frames == 18
    assert f'{BASELINE_M:g} m' in scale.method


def _save_for_ever(folder: Path) -> None:
    """Write checkpoint after checkpoint, until killed."""
    torch.set_num_threads(1)
    weights = torch.rand(1_000_000)
    for epochs in range(1, 10_000):
        save_checkpoint(folder / checkpoint_name(epochs), {'epoch': epochs, 'weights': weights})
        (folder / checkpoint_name(epochs - 2)).unlink(missing_ok=True)


def test_a_kill_in_the_middle_of_a_save_never_costs_the_checkpoint_before(tmp_path: Path) -> None:
    context, drawn = multiprocessing.get_context('fork'), random.Random(0)
    save_checkpoint(tmp_path / checkpoint_name(0), {'epoch': 0})
    cut = 0
    for _ in range(25):
        process = context.Process(target=_save_for_ever, args=(tmp_path,))
        process.start()
        time.sleep(drawn.uniform(0.02, 0.12))
        process.kill()
        process.join()
        found, faults = newest_good(tmp_path)
        assert found is not None
        assert not faults
        assert load_checkpoint(found)['epoch'] == int(found.stem.partition('_')[2])
        cut += remove_unfinished(tmp_path)
    assert cut > 5


@pytest.mark.usefixtures('_warm')
def test_two_processes_compute_the_mean_of_the_gradients_of_their_halves(
    store: Path, tmp_path: Path
) -> None:
    samples = 18
    settings = (*STEREO[:2], f'optimisation.batch_size={samples // 2}', 'optimisation.epochs=1')
    out = tmp_path / 'run'
    arguments = [*_arguments(out, store, settings=settings), '--json']
    assert warm_processes.start_two(arguments, tmp_path) == {0: 0, 1: 0}
    first, second = ((tmp_path / f'{rank}.out').read_text() for rank in range(2))
    assert json.loads(first)['steps'] == 1
    assert not second
    # After one step Adam's first moment is (1 - beta1) = 0.1 times the gradient.
    checkpoint = load_checkpoint(out / 'checkpoints' / 'epoch_0001.ckpt')
    moments = checkpoint['optimizer_states'][0]['state']
    both = [moments[number]['exp_avg'] / 0.1 for number in sorted(moments)]
    config = read_config(str(out / 'config.yaml'))
    halves = [_gradient(config, store, rank) for rank in range(2)]
    for ours, first, second in zip(both, *halves, strict=True):
        mean = 0.5 * (first + second)
        assert float((ours - mean).norm()) <= 1e-4 * float(mean.norm()) + 1e-9


def _signal_in_the_last_step() -> None:
    """Let the second of two processes alone get a signal in the first epoch's last step."""
    original = DepthTraining.training_step

    def training_step(self: DepthTraining, batch: Any, batch_idx: int) -> Any:
        if self.global_rank == 1 and self.trainer.is_last_batch and not self.current_epoch:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, batch_idx)

    DepthTraining.training_step = training_step  # type: ignore[method-assign]


def _signal_in_validation() -> None:
    """Let the second of two processes alone get a signal with the first batch to validate."""
    original = DepthTraining.validation_step

    def validation_step(self: DepthTraining, batch: Any, batch_idx: int) -> None:
        if (self.global_rank, self.current_epoch, batch_idx) == (1, 0, 0):
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, batch, batch_idx)

    DepthTraining.validation_step = validation_step  # type: ignore[method-assign]


@pytest.mark.usefixtures('_warm')
@pytest.mark.parametrize('prepare', [_signal_in_the_last_step, _signal_in_validation])
def test_a_signal_to_one_of_two_processes_ends_both_alike(
    tmp_path: Path, prepare: Callable[[], None]
) -> None:
    store, out = write_tiny_store(tmp_path / 'store', frames=33), tmp_path / 'run'
    sizes = ('optimisation.batch_size=1', 'optimisation.epoch_samples=12')
    settings = ('triplets.validation=0.2', *sizes, 'optimisation.epochs=2')
    config = tiny_config(*settings)
    split = make_split(FrameStore.open(store), mode='mono', settings=config.triplets)
    assert len(split.validation) == 5, 'batches: three of the first process, two of the second'
    arguments = _arguments(out, store, settings=settings)
    assert warm_processes.start_two(arguments, tmp_path, prepare) == {0: 130, 1: 130}
    keeper = load_checkpoint(out / 'checkpoints' / 'epoch_0001.ckpt')['callbacks']
    assert keeper['CheckpointKeeper']['best_epochs'] == 0
    assert MONITOR not in read_metrics(out / 'metrics.jsonl')[-1]

    resume = ['train', '--out', str(out), '--resume', '--device', 'cpu']
    assert warm_processes.start_two(resume, tmp_path) == {0: 0, 1: 0}
    epochs = [e for e in read_metrics(out / 'metrics.jsonl') if e['kind'] == 'epoch']
    found = [e[MONITOR] for e in epochs]
    keeper = load_checkpoint(out / 'checkpoints' / 'epoch_0002.ckpt')['callbacks']
    assert len(found) == 2
    assert keeper['CheckpointKeeper']['best_value'] == pytest.approx(min(found), rel=1e-5)


@pytest.mark.parametrize(('device', 'current'), [('cpu', []), ('auto', ['cuda:1'])])
def test_a_gpu_becomes_the_current_one_where_it_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, current: list[str]
) -> None:
    place = {'RANK': 1, 'LOCAL_RANK': 1, 'WORLD_SIZE': 2, 'LOCAL_WORLD_SIZE': 2}
    for name, value in (place | {'TORCHELASTIC_RUN_ID': 'run'}).items():
        monkeypatch.setenv(name, str(value))
    for name in ('init_process_group', 'destroy_process_group', 'barrier'):
        monkeypatch.setattr(torch.distributed, name, lambda *_, **__: None)
    monkeypatch.setattr(
        'monodepth2_ros.inference.engines.device.choose_device',
        lambda request: (torch.device(request), 'as in this test'),
    )
    found: list[str] = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'set_device', lambda device: found.append(str(device)))
    assert cli.main(['train', '--out', str(tmp_path / 'none'), '--device', device]) != 0
    assert found == current


def _gradient(config: Any, store: Path, rank: int) -> list[torch.Tensor]:
    """What one of two processes computes in its first step, computed in this one."""
    opened = FrameStore.open(store)
    split = make_split(opened, mode=config.mode, settings=config.triplets)
    data = TripletDataModule(opened, split, batch_size=config.optimisation.batch_size)
    loader = data.train_dataloader()
    order = EpochSampler(
        len(split.training),
        batch_size=config.optimisation.batch_size,
        seed=config.optimisation.seed,
        rank=rank,
        world_size=2,
    )
    batch = loader._loader.dataset.__getitems__(list(order))  # type: ignore[attr-defined]
    module = build_module(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DepthTraining, 'global_rank', rank)
        module.training_step(batch, 0)['loss'].backward()
    return [p.grad for p in module.model.parameters() if p.grad is not None]


def test_a_bag_becomes_a_model_file_that_the_node_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive = tmp_path / 'drive'
    size = ('--width', '96', '--height', '64')
    assert cli.main(['generate', str(drive), '--frames', '12', *size]) == 0
    out = tmp_path / 'run'
    settings = ('triplets.min_motion=0', 'optimisation.epochs=1', 'log.pictures=2')
    capsys.readouterr()
    assert cli.main(_arguments(out, drive, settings=settings)) == 0
    text = capsys.readouterr().out
    model = out / 'model.safetensors'
    assert f'ros2 launch monodepth2_ros depth.launch.py model:={model}' in text
    assert {'config.yaml', 'frames', 'metrics.jsonl', 'report.html', 'run.json'} <= {
        path.name for path in out.iterdir()
    }
    description = load_model(model).description
    assert description.camera is not None
    assert (description.camera.camera.width, description.camera.camera.height) == (96, 64)
    assert description.scale is None
    assert description.provenance['recordings'] == 'drive'
    assert description.provenance['experiment'] == 'smoke'
    assert cli.main(['info', str(model)]) == 0
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    depth = DepthEstimator.load(model, device='cpu').infer(picture)
    assert depth.shape == (64, 96)
    assert np.isfinite(depth).all()


@pytest.mark.usefixtures('_no_report', '_tiny')
def test_odometry_in_the_bag_makes_a_model_in_metres(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive, out = tmp_path / 'drive', tmp_path / 'run'
    size = ('--frames', '10', '--width', '64', '--height', '64')
    assert cli.main(['generate', str(drive), *size, '--json']) == 0
    step_m = json.loads(capsys.readouterr().out)['distance_m'] / 9
    settings = ('triplets.min_motion=0', 'optimisation.epochs=1', 'loss.velocity=0.05')
    assert cli.main(_arguments(out, drive, settings=settings)) == 0
    description = load_model(out / 'model.safetensors').description
    scale, nearest_units = description.scale, description.depth_range.min_depth_m
    assert scale is not None
    assert scale.value * nearest_units == pytest.approx(NEAREST_STEPS * step_m, rel=0.1)
    assert 'velocity term' in scale.method


@pytest.mark.parametrize(
    ('arguments', 'status', 'message'),
    [
        (['--resume'], 1, 'holds no run that could be resumed'),
        ([], 1, '0 sources with 0 frame store'),
        (['STORE', 'STORE'], 1, '2 sources with 2 frame store'),
        (['nowhere.mcap'], 1, 'nowhere.mcap'),
        (['STORE', '--config', 'somke'], 2, "did you mean 'smoke'"),
        (['STORE', '--config', 'mono_1024x320'], 1, 'extract them at that size'),
        (['STORE', '--set', 'optimisation.epoch=2'], 2, "did you mean 'epochs'"),
        (['STORE', '--epochs', '0'], 2, 'expected 1 or more'),
        (['STORE', '--device', 'gpu'], 2, "device 'gpu' is not known"),
        (['STORE', '--config', 'smoke', '--weights', __file__], 1, 'add --set network.width=64'),
        (['STORE', '--weights', 'imagnet'], 1, 'imagnet is no file, and none of demo, imagenet'),
        (['STORE', '--weights', '.'], 1, '. is no file'),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    given = [str(store) if argument == 'STORE' else argument for argument in arguments]
    assert cli.main(['train', *given, '--out', str(tmp_path / 'run')]) == status
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_run_is_neither_overwritten_nor_changed_by_resuming(
    store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from monodepth2_training.run import training

    class Reached(Exception):
        pass

    def train(*_: Any, **__: Any) -> None:
        save_checkpoint(tmp_path / 'checkpoints' / checkpoint_name(1), {'epoch': 1})
        raise Reached

    (tmp_path / 'checkpoints').mkdir()
    monkeypatch.setattr(training, 'train', train)
    out = ('--out', str(tmp_path))
    assert cli.main(_arguments(tmp_path, store)) == 1
    assert 'Reached' in capsys.readouterr().err
    assert cli.main(['train', str(store), *out]) == 1
    assert 'holds a run already: add --resume' in capsys.readouterr().err
    for change in (
        ['--config', 'smoke'],
        ['--set', 'loss.ssim=false'],
        ['--weights', 'random'],
        ['--camera', '/left'],
        ['--calibration', 'camera.yaml'],
        ['--fps', '5'],
    ):
        assert cli.main(['train', *out, '--resume', *change]) == 2
        assert 'a resumed run keeps its sources' in capsys.readouterr().err
    assert cli.main(['train', *out, '--resume', '--epochs', '9']) == 1
    assert read_config(str(tmp_path / 'config.yaml')).optimisation.epochs == 9
    assert tiny_config().network == read_config(str(tmp_path / 'config.yaml')).network
