# SPDX-License-Identifier: Apache-2.0
"""The paper's tables as experiments: read, run in miniature on a generated drive, written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from monodepth2_training.cli import main
from monodepth2_training.config_files import known_configs, read_config
from monodepth2_training.evaluation.depth_errors import METRICS
from monodepth2_training.experiments.reproduction import ensure_model
from monodepth2_training.experiments.tables import known_tables, read_table
from support import kitti_world
from support.tiny_encoder import use_tiny_encoder
from support.tiny_training import LIGHT

from monodepth2_ros.errors import ConfigError

TABLES = ['1', '2', '3', '6', '7', '8', '10', '11', '12']
_OWN = ('smoke', 'edge_', 'demo', 'fine_tune')


TRAINED_ON = '2011_09_28/2011_09_28_drive_0002_sync'


@pytest.fixture(scope='module')
def kitti(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """KITTI and Make3D in one folder: a drive to be judged on, another to be trained on."""
    root = kitti_world.write_raw(tmp_path_factory.mktemp('kitti'), 1)
    kitti_world.write_split(root / 'split.txt', range(1))
    kitti_world.write_pair(root, TRAINED_ON)
    lines = [f'{TRAINED_ON} {number} {side}' for number in (2, 3) for side in 'lr']
    (root / 'train.txt').write_text('\n'.join(lines))
    return kitti_world.write_make3d(root)


@pytest.fixture(scope='module')
def runs(kitti: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every row of every table has been run in miniature."""
    folder = tmp_path_factory.mktemp('runs')
    small = [*LIGHT, 'network.weights=random', 'optimisation.epochs=1', 'log.pictures=0']
    changes = [f'--set={change}' for change in small]
    store = str(folder / 'store')
    size = ('--stereo', '--width=64', '--height=64')
    assert main(['extract', str(kitti), store, f'--split={kitti / "train.txt"}', *size]) == 0
    arguments = [f'--train-on={store}', f'--out={folder}', '--device=cpu']
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_encoder(patch)
        # Each training's report takes as long as the training; no table needs one.
        patch.setattr('monodepth2_training.commands.train._write_report', lambda *_: '')
        assert main(['reproduce', *TABLES, *data(kitti), *arguments, *changes]) == 0
    return folder


def data(kitti: Path) -> list[str]:
    return [f'--kitti={kitti}', f'--split={kitti / "split.txt"}', f'--make3d={kitti}']


def test_every_table_is_there_and_trains_what_is_known() -> None:
    assert list(known_tables()) == TABLES
    trainings = {row.training for number in TABLES for row in read_table(number).rows}
    assert trainings <= set(known_configs())
    # Every configuration of the paper belongs to a table.
    papers = {name for name in known_configs() if not name.startswith(_OWN)}
    assert papers == trainings


def test_rows_of_stereo_models_are_judged_in_metres_and_others_never() -> None:
    for number in TABLES:
        for row in read_table(number).rows:
            mode = read_config(row.training).mode
            assert (row.scaling == 'metric') == (mode != 'mono'), (number, row.name)


def test_one_training_has_the_same_figures_in_every_table_judged_alike() -> None:
    main_row = read_table('1').rows[0]
    for number in ('2', '6', '11'):
        same = [row for row in read_table(number).rows if row.training == main_row.training]
        assert [row.paper for row in same] == [main_row.paper]


def test_figures_are_plausible_for_their_metrics() -> None:
    for number in TABLES:
        table = read_table(number)
        for row in table.rows:
            for name, value in zip(table.metrics, row.paper, strict=False):
                assert (0.8 < value < 1.0) == name.startswith('delta') or name == 'sq_rel', row
    # How much the factor varies over the frames is what table 8 is about.
    assert read_table('8').metrics[0] == 'ratio_spread'


def test_a_table_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no table '4'"):
        read_table('4')
    table = read_table('3')
    with pytest.raises(ConfigError, match="metric 'abs_err' is not known"):
        replace(table, metrics=('abs_err',))
    with pytest.raises(ConfigError, match='has 4 figures, but there are 1 metrics'):
        replace(table, metrics=METRICS[:1])


@pytest.mark.parametrize('number', TABLES)
def test_every_row_is_trained_judged_and_written_in_miniature(number: str, runs: Path) -> None:
    document = json.loads((runs / f'table_{number}.json').read_text())
    table = read_table(number)
    assert [row['name'] for row in document['rows']] == [row.name for row in table.rows]
    for row, known in zip(document['rows'], table.rows, strict=True):
        assert list(row['paper'].values()) == list(known.paper)
        assert set(row['ours']) == set(table.metrics)
        assert 0.0 < row['ours']['abs_rel'] < 50.0
    assert 'optimisation.epochs=1' in document['changes']


def test_the_papers_figures_stand_above_ours(runs: Path) -> None:
    text = (runs / 'table_1.md').read_text()
    assert '| M | frame | paper | 0.115 | 0.903 | 4.863 |' in text
    assert '| | | ours | ' in text
    assert 'Not the experiments of the paper' in text
    assert 'Judged on 1 frames of KITTI, lidar truth, garg crop.' in text


def test_a_row_is_trained_on_kitti_as_it_ships_and_others_are_said_to_have_no_model(
    kitti: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [f'--set={c}' for c in (*LIGHT, 'network.weights=random', 'log.pictures=0')]
    words = ['reproduce', '7', *data(kitti), f'--out={tmp_path}', '--device=cpu']
    train = [f'--train-on={kitti}', f'--train-split={kitti / "train.txt"}', '--row=S']
    assert main([*words, *train, *changes, '--set=optimisation.epochs=1']) == 0
    assert main(words) == 0
    rows = json.loads((tmp_path / 'table_7.json').read_text())['rows']
    assert [row['name'] for row in rows if row['ours']] == ['S']
    others = [row for row in rows if not row['ours']]
    assert all(row['note'] == f'not trained ({row["training"]})' for row in others)
    assert '# Table 7: ' in capsys.readouterr().out


def test_rows_that_are_run_one_by_one_stand_in_one_table(
    runs: Path,
    kitti: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_tiny_encoder(monkeypatch)
    for name in ('mono_640x192', 'stereo_640x192'):
        (tmp_path / name).symlink_to(runs / name)
    words = ['reproduce', '1', f'--out={tmp_path}', '--device=cpu']
    path = tmp_path / 'table_1.json'
    for row in ('S', 'M', 'S'):
        assert main([*words, *data(kitti), f'--row={row}', '--set=optimisation.epochs=1']) == 0
    document = json.loads(path.read_text())
    whole = {row['name']: row for row in json.loads((runs / 'table_1.json').read_text())['rows']}
    assert document['rows'] == [whole['M'], whole['S']]
    assert document['changes'] == ['optimisation.epochs=1']
    assert (tmp_path / 'table_1.md').read_text().count('| | | ours | ') == 2
    before = path.read_bytes()
    assert main([*words, *data(kitti), '--row=MS']) == 1
    assert 'no row of table 1 was judged, so it was not written' in capsys.readouterr().err
    path.write_text(path.read_text().replace('"frames": 1', '"frames": 697'))
    assert main([*words, *data(kitti), '--row=M']) == 1
    assert 'was judged on 697 frames, but 1 are there now' in capsys.readouterr().err
    path.write_text('[]')
    assert main([*words, *data(kitti), '--row=M']) == 1
    assert 'is no table that rows can be added to' in capsys.readouterr().err
    path.write_bytes(before)
    nowhere = [f'--kitti={tmp_path / "nowhere"}', f'--split={kitti / "split.txt"}']
    assert main([*words, *nowhere]) == 1
    assert 'has no frame: 4 of 4 files are missing' in capsys.readouterr().err
    assert path.read_bytes() == before


def test_what_a_training_starts_from_is_trained_first(tmp_path: Path) -> None:
    trained = []

    def train(name: str, folder: Path, weights: str) -> None:
        trained.append((name, weights))
        folder.mkdir()
        (folder / 'model.safetensors').touch()

    found = ensure_model(tmp_path, 'mono_1024x320', train)
    base = str(tmp_path / 'mono_640x192' / 'model.safetensors')
    assert trained == [('mono_640x192', ''), ('mono_1024x320', base)]
    assert found == tmp_path / 'mono_1024x320' / 'model.safetensors'
    assert ensure_model(tmp_path, 'mono_1024x320', None) == found
    assert ensure_model(tmp_path, 'stereo_640x192', None) is None


def test_missing_data_and_rows_are_said(
    tmp_path: Path, kitti: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['reproduce', '1', f'--out={tmp_path}']) == 2
    assert 'give --kitti and --split' in capsys.readouterr().err
    assert main(['reproduce', '3', f'--out={tmp_path}']) == 2
    assert 'give --make3d' in capsys.readouterr().err
    assert main(['reproduce', '3', *data(kitti), f'--out={tmp_path}', '--row=X']) == 2
    assert "its rows are 'M', 'MS'" in capsys.readouterr().err
