# SPDX-License-Identifier: Apache-2.0
"""A store of generated drives is read like one of recordings, and its pictures are the drives'."""

import pickle
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from monodepth2_training.build import build_module
from monodepth2_training.checkpoints import save_checkpoint
from monodepth2_training.config import OptimisationConfig, TrainingConfig
from monodepth2_training.data.augmentation import Views
from monodepth2_training.data.datamodule import TripletDataModule
from monodepth2_training.data.dataset import TripletDataset, frame_indices
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.generated_settings import GeneratedSettings
from monodepth2_training.data.generated_store import generate_store
from monodepth2_training.data.picture_motion import motion, small_picture
from monodepth2_training.data.rendered_pictures import PictureMemory
from monodepth2_training.data.travel import travelled_m
from monodepth2_training.data.triplets import Sample, TripletSettings, make_split
from monodepth2_training.loss.config import LossConfig
from monodepth2_training.model.depth_pose import ModelConfig
from monodepth2_training.run.metric import checked_scale
from monodepth2_training.run.odometry import read_run_odometry
from monodepth2_training.run.source import choose_source, open_source
from monodepth2_training.scale import by_odometry
from monodepth2_training.world.drive import Drive, DriveSettings
from monodepth2_training.world.rig import fleet_rig

from monodepth2_ros.errors import ConfigError, RecordingError, TrainingError
from monodepth2_ros.inference.preprocess import resized

WIDTH, HEIGHT = 96, 64
CPU = torch.device('cpu')


def settings(**values: object) -> GeneratedSettings:
    return GeneratedSettings(**{'drives': 3, 'frames': 8, 'first_seed': 5, **values})


def twice_as_large(seed: int) -> Drive:
    settings = DriveSettings(frames=8, width=2 * WIDTH, height=2 * HEIGHT, seed=seed, variety=True)
    return Drive(settings, CPU)


def shrunk(rgb: np.ndarray) -> np.ndarray:
    return resized(rgb, width=WIDTH, height=HEIGHT, resize='bilinear')[0].numpy()


@pytest.fixture(scope='module')
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    path = tmp_path_factory.mktemp('generated') / 'store'
    return generate_store(path, settings(), width=WIDTH, height=HEIGHT)


def test_store_holds_an_index_and_no_pixels(store: FrameStore):
    assert store.is_generated
    names = sorted(p.name for p in store.path.rglob('*') if p.is_file())
    assert names == ['index.bin'] * 3 + ['store.json']
    assert [len(store.frames(camera)) for camera in range(3)] == [8, 8, 8]


def test_pictures_are_those_of_the_drives_without_distortion(store: FrameStore):
    expected = shrunk(twice_as_large(6).picture(3, straight=True))
    np.testing.assert_array_equal(store.image(1, 3), expected)
    np.testing.assert_array_equal(store.image(1, 3), expected)
    assert store.cameras[1].source.camera == fleet_rig(6, 2 * WIDTH, 2 * HEIGHT).lens.camera
    np.testing.assert_allclose(
        store.cameras[1].camera.K, fleet_rig(6, WIDTH, HEIGHT).lens.camera.K
    )


def test_odometry_is_exact_and_drives_are_no_neighbours(store: FrameStore):
    drive = Drive(DriveSettings(frames=8, width=WIDTH, height=HEIGHT, seed=7, variety=True), CPU)
    rows = store.frames(2).odometry
    frame = drive.frame(4)
    np.testing.assert_allclose(rows[4, :3], frame.T_base_to_odom[:3, 3], atol=1e-9)
    assert rows[4, 7] == pytest.approx(frame.twist.linear_m_s[0])
    several = generate_store(store.path / 'plain', settings(variety=False), width=96, height=64)
    table = several.frames(0)
    assert table.part.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert (np.diff(table.stamps_ns) > 0).all()


def test_motion_is_about_that_of_the_pictures(tmp_path: Path):
    wide = generate_store(
        tmp_path, settings(drives=1, frames=4, variety=False), width=320, height=96
    )
    small = [small_picture(wide.image(0, number)) for number in range(4)]
    measured = np.median([motion(a, b) for a, b in pairwise(small)])
    told = np.median(wide.frames(0).motion[1:])
    assert 0.4 < told / measured < 2.5


def test_triplets_become_batches_with_metres_travelled(store: FrameStore):
    split = make_split(store, mode='mono', settings=TripletSettings(validation=0.0))
    assert len(split.training) == 3 * 6
    config = TrainingConfig(loss=LossConfig(velocity=0.05))
    odometry = read_run_odometry(config, store, split)
    data = TripletDataModule(store, split, batch_size=4, travelled_units=odometry.units)
    batch = next(iter(data.train_dataloader()))
    assert batch.target.shape == (4, 3, HEIGHT, WIDTH)
    assert batch.sources.shape == (4, 2, 3, HEIGHT, WIDTH)
    assert 8 < batch.target.float().std() < 128
    frames = frame_indices(split.training)
    assert np.nanmedian(travelled_m(store, frames).distances_m) == pytest.approx(0.8, rel=0.2)
    for (camera, target), travelled in zip(batch.ids.tolist(), batch.travelled_units, strict=True):
        place_m = store.frames(camera).odometry[:, :3]
        steps_m = np.linalg.norm(place_m[[target - 1, target + 1]] - place_m[target], axis=1)
        share = store.cameras[0].camera.fx_px / store.cameras[camera].camera.fx_px
        known = torch.isfinite(travelled).numpy()
        expected = share * steps_m / odometry.unit_m
        np.testing.assert_allclose(travelled[known], expected[known], rtol=1e-5)
        assert known.any()


def test_a_run_knows_the_metres_of_either_side_and_judges_its_scale_by_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = generate_store(tmp_path / 's', settings(frames=16), width=WIDTH, height=HEIGHT)
    config = TrainingConfig(
        loss=LossConfig(velocity=0.05),
        network=ModelConfig(width=WIDTH, height=HEIGHT, encoder='efficientnet_lite0'),
    )
    split = make_split(store, mode='mono', settings=TripletSettings(validation=0.4))
    assert split.validation
    odometry = read_run_odometry(config, store, split)
    metres = travelled_m(store, frame_indices(split.validation)).distances_m
    np.testing.assert_allclose(odometry.validation_m, metres)
    module = build_module(replace(config, network=replace(config.network, weights='random')))
    save_checkpoint(tmp_path / 'epoch_0001.ckpt', {'state_dict': dict(module.state_dict())})

    def units(model: object, store: FrameStore, samples: Sequence[Sample]) -> np.ndarray:
        return np.full((len(samples), 2), 0.25)

    monkeypatch.setattr(by_odometry, '_moved_units', units)
    scale = checked_scale(config, store, split, odometry, tmp_path / 'epoch_0001.ckpt')
    focal_px = np.array([c.camera.fx_px for c in store.cameras])
    shares = [focal_px[0] / focal_px[sample.camera] for sample in split.validation]
    expected = np.nanmedian(metres / 0.25 * np.array(shares)[:, None])
    assert scale.value == pytest.approx(expected, rel=1e-6)
    assert f'on {np.isfinite(metres).sum()} validation steps' in scale.method


def test_metres_go_over_the_motion_with_which_depth_fits_the_pictures(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch
):
    network = ModelConfig(
        width=WIDTH, height=HEIGHT, encoder='efficientnet_lite0', weights='random'
    )
    model = build_module(TrainingConfig(network=network)).model.eval()
    samples = make_split(store, mode='mono', settings=TripletSettings(validation=0.0)).training
    metres = travelled_m(store, frame_indices(samples)).distances_m
    depths: list[torch.Tensor] = []

    def refined(views: Views, depth_units: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
        depths.append(depth_units)
        found = torch.eye(4).repeat(len(views.target), 2, 1, 1)
        found[..., 2, 3] = 0.25
        return found

    monkeypatch.setattr(by_odometry, 'refined_motion', refined)
    ratios = by_odometry.metres_per_unit(model, store, samples, metres)
    focal_px = np.array([camera.camera.fx_px for camera in store.cameras])
    shares = [focal_px[0] / focal_px[sample.camera] for sample in samples]
    known = np.isfinite(ratios)
    assert known.any()
    np.testing.assert_allclose(ratios[known], (metres / 0.25 * np.array(shares)[:, None])[known])
    depth_units = torch.cat(depths)
    assert depth_units.shape == (len(samples), 1, HEIGHT, WIDTH)
    assert depth_units.min() >= model.depth_range.min_depth_m


def test_pairs_look_from_a_baseline_apart(tmp_path: Path):
    pair = generate_store(tmp_path, settings(drives=2, baseline_m=0.5), width=WIDTH, height=HEIGHT)
    assert [camera.position_m for camera in pair.cameras] == [0.0, 0.5, 0.0, 0.5]
    split = make_split(pair, mode='stereo', settings=TripletSettings(validation=0.0))
    sample = split.training[0]
    assert sample.sources == ((1, sample.target),)
    left, right = pair.image(0, 2), pair.image(1, 2)
    assert 1.0 < np.abs(left.astype(float) - right).mean() < 80.0


def test_the_middle_of_three_cameras_is_compared_with_both_others(tmp_path: Path):
    row = generate_store(
        tmp_path,
        settings(drives=2, baseline_m=0.5, cameras=3),
        width=WIDTH,
        height=HEIGHT,
    )
    names = [camera.name for camera in row.cameras]
    assert names[:4] == [
        '/generated/left_0',
        '/generated/middle_0',
        '/generated/right_0',
        '/generated/left_1',
    ]
    split = make_split(row, mode='trinocular', settings=TripletSettings(validation=0.0))
    assert {sample.camera for sample in split.training} == {1, 4}
    sample = split.training[0]
    assert sample.sources == ((0, sample.target), (2, sample.target))
    assert split.notes[0] == '16 of 16 frames are targets'
    batch = TripletDataset(row, split.training)[0]
    assert batch.T_target_to_cameras[0, :, 0, 3].tolist() == pytest.approx([0.1, -0.1])
    drive = twice_as_large(5)
    for camera, right_m in enumerate((-0.5, 0.0, 0.5)):
        expected = shrunk(drive.picture(3, right_m=right_m, straight=True))
        np.testing.assert_array_equal(row.image(camera, 3), expected)


@pytest.mark.parametrize(('mode', 'cameras'), [('trinocular', 2), ('stereo', 3)])
def test_a_mode_names_the_cameras_that_it_misses(tmp_path: Path, mode: str, cameras: int):
    store = generate_store(
        tmp_path, settings(drives=2, baseline_m=0.5, cameras=cameras), width=WIDTH, height=HEIGHT
    )
    with pytest.raises(TrainingError, match='camera'):
        make_split(store, mode=mode, settings=TripletSettings(validation=0.0))


def test_a_baseline_counts_for_less_behind_a_longer_lens(tmp_path: Path):
    pair = generate_store(tmp_path, settings(drives=2, baseline_m=0.5), width=WIDTH, height=HEIGHT)
    split = make_split(pair, mode='stereo', settings=TripletSettings(validation=0.0))
    dataset = TripletDataset(pair, split.training)
    first, last = dataset[0], dataset[len(dataset) - 1]
    assert first.T_target_to_cameras[0, 0, 0, 3] == pytest.approx(-0.1)
    # The last target is of the second vehicle's right camera, which looks back to its left one.
    focal_px = [pair.cameras[camera].camera.fx_px for camera in (0, 3)]
    assert focal_px[0] != pytest.approx(focal_px[1], rel=0.05)
    expected = 0.1 * focal_px[0] / focal_px[1]
    assert last.T_target_to_cameras[0, 0, 0, 3] == pytest.approx(expected)


def test_a_store_is_sent_to_other_processes_by_its_path(store: FrameStore):
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.image(0, 1), store.image(0, 1))


def test_a_run_without_recordings_renders_what_its_configuration_names(tmp_path: Path):
    config = TrainingConfig(generated=settings(), network=ModelConfig(width=WIDTH, height=HEIGHT))
    source = choose_source([], tmp_path / 'frames', config)
    opened = open_source(source, lambda done, total: None)
    assert (opened.width, opened.height, len(opened.cameras)) == (WIDTH, HEIGHT, 3)
    with pytest.raises(RecordingError, match='0 sources'):
        choose_source([], tmp_path / 'frames', TrainingConfig())
    with pytest.raises(RecordingError, match='two cameras at most: add --set mode=stereo'):
        choose_source([tmp_path], tmp_path / 'frames', TrainingConfig(mode='trinocular'))


def test_recordings_that_are_named_take_the_place_of_generated_drives(tmp_path: Path):
    config = TrainingConfig(generated=settings())
    (tmp_path / 'drive').mkdir()
    source = choose_source([tmp_path / 'drive'], tmp_path / 'frames', config)
    assert source.generated.drives == 0
    assert source.recordings == (str(tmp_path / 'drive'),)


def test_memory_keeps_the_newest_picture_of_each_slot():
    memory = PictureMemory(pictures=10, shape=(2,), most_bytes=3 * (2 + 8))
    for number in range(5):
        memory.put(number, np.full(2, number, np.uint8))
    assert [None if p is None else int(p[0]) for p in map(memory.get, range(6))] == [
        None,
        None,
        2,
        3,
        4,
        None,
    ]


def test_memory_of_no_bytes_keeps_nothing():
    memory = PictureMemory(pictures=10, shape=(2,), most_bytes=0)
    memory.put(1, np.zeros(2, np.uint8))
    assert memory.get(1) is None


def test_drives_that_cannot_be_meant_are_refused_by_name():
    with pytest.raises(ConfigError, match=r'generated\.frames is 2: expected 3 to 20000'):
        GeneratedSettings(frames=2)
    with pytest.raises(ConfigError, match=r"device is 'gpu': expected cpu, cuda or cuda:N"):
        GeneratedSettings(device='gpu')
    assert GeneratedSettings(device='cuda:1').device == 'cuda:1'


def test_worker_processes_that_would_render_on_a_gpu_are_refused():
    settings, workers = GeneratedSettings(drives=2, device='cuda'), OptimisationConfig(workers=1)
    with pytest.raises(ConfigError, match=r'workers is 1 with generated\.device cuda: .*=0'):
        TrainingConfig(generated=settings, optimisation=workers)
    TrainingConfig(generated=settings)
    TrainingConfig(generated=replace(settings, drives=0), optimisation=workers)
