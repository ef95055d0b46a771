# SPDX-License-Identifier: Apache-2.0
"""Batches hold what the store holds, and every run sees the same ones in the same order."""

import multiprocessing
import os
import pickle
import signal
import threading
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from monodepth2_training.config import OptimisationConfig
from monodepth2_training.data.datamodule import BatchLoader, TripletBatch, TripletDataModule
from monodepth2_training.data.dataset import TripletDataset
from monodepth2_training.data.frame_store import FrameStore, StoredCamera
from monodepth2_training.data.frame_store_writer import FrameRecord, open_writer
from monodepth2_training.data.network_unit import stereo_unit_m
from monodepth2_training.data.sampling import EpochSampler, validation_order
from monodepth2_training.data.store_document import Progress, StoreDocument
from monodepth2_training.data.triplets import Split, TripletSettings, make_split

from monodepth2_ros.errors import TrainingError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.model_description import TrainingCamera

WIDTH, HEIGHT, BASELINE_M = 12, 8, 0.54


def camera(number: int, channels: int) -> StoredCamera:
    pinhole = PinholeCamera(
        width=WIDTH, height=HEIGHT, fx_px=10.0 + number, fy_px=11.0, cx_px=6.0, cy_px=4.0
    )
    return StoredCamera(
        name=f'/camera/{number}',
        image_topic=f'/camera/{number}/image_raw',
        camera=pinhole,
        source=TrainingCamera(camera=pinhole),
        position_m=BASELINE_M * number,
        channels=channels,
    )


def write_store(path: Path, *, frames: int = 24, channels: tuple[int, ...] = (3, 3)) -> FrameStore:
    """A store of random pictures at 10 Hz, moving throughout."""
    document = StoreDocument(
        width=WIDTH,
        height=HEIGHT,
        resize='bilinear',
        cameras=tuple(camera(number, c) for number, c in enumerate(channels)),
        sources=('drive',),
        arguments={},
        progress=Progress(frames=(0,) * len(channels)),
    )
    random = np.random.default_rng(0)
    with open_writer(path, document, afresh=False) as writer:
        for index in range(frames):
            for number, count in enumerate(channels):
                pixels = random.integers(0, 256, (count, HEIGHT, WIDTH), np.uint8)
                motion = 0.01 if index else float('nan')
                record = FrameRecord(
                    stamp_ns=index * 100_000_000,
                    part=0,
                    motion=motion,
                    brightness=0.5,
                    clipped=0.0,
                )
                writer.append(number, pixels, record)
        writer.checkpoint(Progress(frames=(frames,) * len(channels), complete=True))
    return FrameStore.open(path)


@pytest.fixture(scope='module')
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return write_store(tmp_path_factory.mktemp('data') / 'pair')


def split_of(store: FrameStore, mode: str = 'mono', validation: float = 0.2) -> Split:
    return make_split(store, mode=mode, settings=TripletSettings(validation=validation))


def module_of(store: FrameStore, **values: Any) -> TripletDataModule:
    return TripletDataModule(store, split_of(store), **{'batch_size': 4, 'seed': 7, **values})


def ids(batches) -> list[list[list[int]]]:
    return [batch.ids.tolist() for batch in batches]


def test_a_batch_holds_the_pictures_of_its_samples(store: FrameStore) -> None:
    samples = split_of(store, 'mono_stereo').training
    batch = TripletDataset(store, samples).__getitems__([5, 0, 9])
    assert batch.target.shape == (3, 3, HEIGHT, WIDTH)
    assert batch.sources.shape == (3, 3, 3, HEIGHT, WIDTH)
    assert batch.target.is_contiguous() and batch.sources.is_contiguous()
    for item, number in enumerate([5, 0, 9]):
        sample = samples[number]
        assert batch.ids[item].tolist() == [sample.camera, sample.target]
        expected = store.image(sample.camera, sample.target)
        np.testing.assert_array_equal(batch.target[item].numpy(), expected)
        for source, frame in zip(batch.sources[item], sample.sources, strict=True):
            np.testing.assert_array_equal(source.numpy(), store.image(*frame))


def test_each_frame_comes_with_its_cameras_intrinsics(store: FrameStore) -> None:
    dataset = TripletDataset(store, split_of(store, 'mono_stereo').training)
    right = dataset[len(dataset) - 1]
    assert right.ids[0, 0] == 1
    assert right.K.dtype == torch.float32
    assert right.K[0].tolist() == [[11.0, 0.0, 6.0], [0.0, 11.0, 4.0], [0.0, 0.0, 1.0]]
    assert right.K_sources[0, :, 0, 0].tolist() == [11.0, 11.0, 10.0]


def test_the_partner_lies_a_tenth_of_a_unit_to_the_right_of_the_left_camera(
    store: FrameStore,
) -> None:
    assert stereo_unit_m(store.cameras) == pytest.approx(10.0 * BASELINE_M)
    dataset = TripletDataset(store, split_of(store, 'stereo').training)
    left, right = dataset[0], dataset[len(dataset) - 1]
    expected = torch.eye(4)
    expected[0, 3] = -0.1
    torch.testing.assert_close(left.T_target_to_cameras[0, 0], expected)
    torch.testing.assert_close(right.T_target_to_cameras[0, 0], expected.inverse())


def test_without_a_partner_the_way_to_it_is_the_identity(store: FrameStore) -> None:
    batch = TripletDataset(store, split_of(store).training)[0]
    assert torch.equal(batch.T_target_to_cameras[0], torch.eye(4).expand(2, 4, 4))


def test_a_grey_recording_gives_three_equal_channels(tmp_path: Path) -> None:
    grey = write_store(tmp_path / 'grey', channels=(1,))
    batch = TripletDataset(grey, split_of(grey).training)[0]
    assert torch.equal(batch.target[0], batch.target[0, :1].expand(3, -1, -1))


def test_a_dataset_travels_to_another_process_without_pixels(store: FrameStore) -> None:
    dataset = TripletDataset(store, split_of(store).training)
    sent = pickle.dumps(dataset)
    assert len(sent) < 5000
    assert torch.equal(pickle.loads(sent)[3].target, dataset[3].target)


def test_an_epoch_has_every_sample_once_but_those_of_an_incomplete_step() -> None:
    sampler = EpochSampler(43, batch_size=4, seed=0)
    order = list(sampler)
    assert len(order) == len(sampler) == len(set(order)) == 40
    assert set(order) < set(range(43))


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(100, batch_size=4, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 3) == order(1, 3)
    assert len({tuple(order(s, e)) for s in range(3) for e in range(3)}) == 9


def test_the_order_is_the_same_in_every_version() -> None:
    assert list(EpochSampler(8, batch_size=2, seed=0)) == [0, 2, 1, 5, 4, 3, 6, 7]


def test_any_number_of_processes_sees_the_same_steps() -> None:
    one = np.reshape(list(EpochSampler(50, batch_size=6, seed=2)), (-1, 6))
    shares = [
        np.reshape(list(EpochSampler(50, batch_size=2, seed=2, rank=r, world_size=3)), (-1, 2))
        for r in range(3)
    ]
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), one)


def test_fewer_samples_than_a_batch_make_one_smaller_batch() -> None:
    sampler = EpochSampler(5, batch_size=12, seed=0)
    assert sampler.batch_size == 5
    assert sorted(sampler) == [0, 1, 2, 3, 4]
    shares = [EpochSampler(5, batch_size=12, seed=0, rank=r, world_size=2) for r in (0, 1)]
    assert [len(list(share)) for share in shares] == [2, 2]
    assert not set(shares[0]) & set(shares[1])


def test_an_epoch_may_be_shorter_and_takes_other_samples_each_time() -> None:
    sampler = EpochSampler(1000, batch_size=6, seed=0, most=100)
    seen = []
    for epoch in range(4):
        sampler.set_epoch(epoch)
        seen.append(list(sampler))
        assert len(seen[-1]) == len(sampler) == 96
        assert len(set(seen[-1])) == 96
    assert len({sample for samples in seen for sample in samples}) > 300
    assert list(EpochSampler(43, batch_size=4, seed=0, most=99)) == list(
        EpochSampler(43, batch_size=4, seed=0)
    )
    assert len(EpochSampler(9, batch_size=4, seed=0, most=1, world_size=2)) == 1


@pytest.mark.parametrize('samples', [2, 5, 23, 24, 100])
@pytest.mark.parametrize('most', [0, 1, 30])
@pytest.mark.parametrize('processes', [1, 2])
def test_a_run_has_the_steps_that_its_configuration_says(
    samples: int, most: int, processes: int
) -> None:
    settings = OptimisationConfig(epochs=7, batch_size=6, epoch_samples=most)
    sampler = EpochSampler(samples, batch_size=6, seed=0, most=most, world_size=processes)
    taken = 7 * len(sampler) // sampler.batch_size
    assert settings.steps(samples, processes) == taken


def test_a_shorter_epoch_thins_validation_alike(store: FrameStore) -> None:
    whole, short = module_of(store), module_of(store, epoch_samples=5)
    everything, fewer = (
        [sample for batch in ids(data.val_dataloader()) for sample in batch]
        for data in (whole, short)
    )
    assert fewer == everything[:: len(split_of(store).training) // 5]
    assert 0 < len(fewer) < len(everything)
    assert len(ids(short.train_dataloader())) == 1


def test_fewer_samples_than_processes_are_refused() -> None:
    with pytest.raises(TrainingError, match=r'1 training sample\(s\) for 2 process\(es\)'):
        EpochSampler(1, batch_size=12, seed=0, world_size=2)


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_validation_leaves_no_sample_out(world_size: int) -> None:
    shares = [validation_order(7, rank=r, world_size=world_size) for r in range(world_size)]
    assert sorted(index for share in shares for index in share) == list(range(7))


def test_a_process_without_a_share_of_validation_repeats_one() -> None:
    assert [list(validation_order(2, rank=r, world_size=3)) for r in range(3)] == [[0], [1], [0]]


def test_validation_gives_all_samples_in_order(store: FrameStore) -> None:
    split = split_of(store)
    given = ids(module_of(store, batch_size=3).val_dataloader())
    assert [i for batch in given for i in batch] == [
        [s.camera, s.target] for s in split.validation
    ]


def test_without_validation_samples_there_is_no_loader(store: FrameStore) -> None:
    module = TripletDataModule(store, split_of(store, validation=0.0), batch_size=4)
    assert module.val_dataloader() == []


def test_worker_processes_give_the_same_batches(store: FrameStore) -> None:
    # First all of one: no thread shall read ahead in this process while others are forked off.
    alone = list(module_of(store, workers=0).train_dataloader())
    helped = module_of(store, workers=2).train_dataloader()
    for one, other in zip(alone, helped, strict=True):
        for name, tensor in one._asdict().items():
            torch.testing.assert_close(
                tensor, getattr(other, name), rtol=0.0, atol=0.0, equal_nan=True, msg=name
            )


class _InterruptedDataset(TripletDataset):
    """Its process gets the signals of Ctrl-C, torchrun and systemd at every batch."""

    def __getitems__(self, indices: list[int]) -> TripletBatch:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        return super().__getitems__(indices)


def test_a_signal_to_all_processes_does_not_end_those_that_read(store: FrameStore) -> None:
    samples = make_split(store, mode='mono', settings=TripletSettings()).training
    dataset = _InterruptedDataset(store, samples)
    loader = BatchLoader(dataset, range(len(samples)), batch_size=4, workers=1)
    assert sum(len(batch.target) for batch in loader) == len(samples)


def test_the_trainer_ends_those_that_are_left_when_it_exits(store: FrameStore) -> None:
    samples = make_split(store, mode='mono', settings=TripletSettings()).training
    before = multiprocessing.active_children()
    loader = BatchLoader(TripletDataset(store, samples), [0, 1], batch_size=1, workers=1)
    assert len(list(loader)) == 2
    (reader,) = set(multiprocessing.active_children()) - set(before)
    reader.terminate()
    reader.join(10.0)
    assert reader.exitcode == 0


def test_what_goes_wrong_while_reading_ahead_comes_through(store: FrameStore) -> None:
    samples = make_split(store, mode='mono', settings=TripletSettings()).training
    loader = BatchLoader(TripletDataset(store, samples), [0, 1, len(samples)], batch_size=1)
    batches = iter(loader)
    assert len([next(batches), next(batches)]) == 2
    with pytest.raises(IndexError):
        next(batches)


@pytest.mark.parametrize(('device', 'pinned'), [('cpu', False), ('cuda:1', True)])
def test_memory_is_pinned_for_a_gpu_alone(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch, device: str, pinned: bool
) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    data = module_of(store, device=torch.device(device))
    loaders = (data.train_dataloader(), data.val_dataloader())
    assert [loader._loader.pin_memory for loader in loaders] == [pinned, pinned]


class _WhereItIsRead(TripletDataset):
    """Notes which thread has read."""

    thread = 0

    def __getitems__(self, indices: list[int]) -> TripletBatch:
        self.thread = threading.get_ident()
        return super().__getitems__(indices)


@pytest.mark.filterwarnings('ignore:.*pin_memory')
def test_the_thread_that_reads_has_the_gpu_of_the_trainer(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: dict[int, torch.device] = {}
    monkeypatch.setattr(
        torch.cuda, 'set_device', lambda device: chosen.update({threading.get_ident(): device})
    )
    dataset, gpu = _WhereItIsRead(store, split_of(store).training), torch.device('cuda', 1)
    assert len(list(BatchLoader(dataset, [0, 1], batch_size=1, device=gpu))) == 2
    assert chosen == {dataset.thread: gpu}


def test_processes_of_a_run_take_different_samples(store: FrameStore) -> None:
    given = []
    for rank in (0, 1):
        module = module_of(store, batch_size=2)
        module.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        given.append(ids(module.train_dataloader()))
    alone = ids(module_of(store, batch_size=4).train_dataloader())
    assert [a + b for a, b in zip(*given, strict=True)] == alone


def test_a_loader_goes_on_where_another_was(store: FrameStore) -> None:
    first = module_of(store).train_dataloader()
    first.sampler.set_epoch(2)
    whole = ids(first)
    batches = iter(first)
    begun = ids(next(batches) for _ in range(3))
    second = module_of(store).train_dataloader()
    second.load_state_dict(first.state_dict())
    second.sampler.set_epoch(2)
    assert begun + ids(second) == whole
    assert len(second) == len(first) == len(whole)
    second.sampler.set_epoch(3)
    assert len(ids(second)) == len(whole)


def test_within_an_epoch_the_batches_cannot_change(store: FrameStore) -> None:
    first = module_of(store, batch_size=2).train_dataloader()
    batches = iter(first)
    next(batches)
    other = module_of(store, batch_size=4).train_dataloader()
    with pytest.raises(
        TrainingError, match=rf'epoch of {len(first)} batches, after 1, .* have {len(other)}: '
    ):
        other.load_state_dict(first.state_dict())
    for _ in batches:
        pass
    other.load_state_dict(first.state_dict())
    assert other.sampler.first_batch == 0


class Stop(Callback):
    """Saves in a hook once a step is done, and ends the run like a kill would."""

    def __init__(self, hook: str, step: int, path: Path) -> None:
        def save_and_stop(trainer: Trainer, *_: object) -> None:
            if trainer.global_step == step:
                trainer.save_checkpoint(path)
                raise KilledError

        setattr(self, hook, save_and_stop)


class KilledError(Exception):
    pass


class Recorder(LightningModule):
    """Learns nothing and writes down what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, int, list[list[int]]]] = []

    def training_step(self, batch: TripletBatch, batch_idx: int) -> torch.Tensor:
        self.seen.append((self.current_epoch, batch_idx, batch.ids.tolist()))
        return self.weight.sum()

    def validation_step(self, batch: TripletBatch, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(data: TripletDataModule, *callbacks: Callback, resume: Path | None = None) -> Recorder:
    module = Recorder()
    trainer = Trainer(
        max_epochs=3,
        accelerator='cpu',
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with suppress(KilledError):
        trainer.fit(module, data, ckpt_path=resume)
    return module


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
    ('hook', 'step'),
    [
        ('on_train_batch_end', 3),
        ('on_train_batch_end', 8),
        ('on_train_batch_end', 9),
        ('on_validation_end', 8),
        ('on_train_epoch_end', 8),
        ('on_train_epoch_end', 16),
    ],
)
def test_a_resumed_run_sees_what_an_uninterrupted_one_sees(
    hook: str, step: int, store: FrameStore, tmp_path: Path
) -> None:
    assert len(module_of(store).train_dataloader()) == 8
    whole = fit(module_of(store)).seen
    saved = tmp_path / 'last.ckpt'
    begun = fit(module_of(store), Stop(hook, step, saved)).seen
    rest = fit(module_of(store), resume=saved).seen
    assert len(begun) == step
    assert begun + rest == whole


@pytest.mark.filterwarnings('ignore')
def test_lightning_trains_without_validation(store: FrameStore) -> None:
    data = TripletDataModule(store, split_of(store, validation=0.0), batch_size=20)
    assert [epoch for epoch, _, _ in fit(data).seen] == [0, 0, 1, 1, 2, 2]
