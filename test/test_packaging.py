# SPDX-License-Identifier: Apache-2.0
"""What is built and installed is what the source says, by pip and by colcon."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from monodepth2_training.shared_files import BUNDLED_MODEL

ROOT = Path(__file__).resolve().parent.parent
OWN = {'monodepth2_ros', 'monodepth2_training'}
STANDARD = {*sys.stdlib_module_names, 'compression', '_typeshed'}
PROVIDED_BY = {
    'cv2': {'python3-opencv', 'opencv-python-headless'},
    'numpy': {'python3-numpy', 'numpy'},
    'yaml': {'python3-yaml', 'pyyaml'},
    'PIL': {'pillow'},
    'backports': {'backports-zstd'},
    'builtin_interfaces': {'rcl_interfaces'},
}
NOT_SOURCE = shutil.ignore_patterns(
    '.git',
    '.venv',
    'build',
    'install',
    'log',
    'out',
    'models',
    'test',
    '*.egg-info',
    '__pycache__',
    '.*_cache',
)
ONE_TEST = 'def test_that_colcon_really_runs_pytest():\n    import monodepth2_ros\n'


@pytest.fixture(scope='module')
def setup_arguments() -> dict[str, Any]:
    """What setup.py passes to setuptools."""
    setuptools = pytest.importorskip('setuptools', reason='setup.py needs setuptools')
    taken: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, 'setup', lambda **arguments: taken.update(arguments))
        runpy.run_path(str(ROOT / 'setup.py'))
    return taken


@pytest.fixture
def source_copy(tmp_path: Path) -> Path:
    """Give a copy of the sources in which a build may write."""
    return Path(shutil.copytree(ROOT, tmp_path / 'src' / 'monodepth2_ros', ignore=NOT_SOURCE))


def _manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def _dependencies() -> set[str]:
    return {(tag.text or '').strip() for tag in _manifest() if tag.tag.endswith('depend')}


def _requirements(name: str) -> set[str]:
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    return {
        re.split('[<=> ;]', line)[0].lower().replace('.', '-')
        for line in lines
        if line and line[0] != '#'
    }


def _entry_points(arguments: dict[str, Any]) -> dict[str, str]:
    lines = arguments['entry_points']['console_scripts']
    return dict(tuple(part.strip() for part in line.split('=')) for line in lines)


def _imports_of(*folders: str) -> set[str]:
    paths = [p for top in folders for p in (ROOT / top).rglob('*.py')]
    nodes = [node for path in paths for node in ast.walk(ast.parse(path.read_text()))]
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    froms = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and not n.level}
    tops = {name.partition('.')[0] for name in plain | froms}
    return tops - OWN - STANDARD


def _run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith('PYTEST_')}
    done = subprocess.run(
        command, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f'{done.stdout[-1500:]}\n{done.stderr[-1500:]}'
    return done


def _colcon(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = 'import sys; from colcon_core.command import main; sys.exit(main())'
    return _run(sys.executable, '-c', program, *arguments, cwd=cwd)


def test_package_xml_is_a_valid_format_3_manifest_of_an_ament_python_package() -> None:
    manifest = _manifest()
    assert manifest.get('format') == '3'
    assert manifest.findtext('export/build_type') == 'ament_python'
    catkin_pkg = pytest.importorskip('catkin_pkg.package', reason='catkin_pkg checks the rest')
    warnings: list[str] = []
    package = catkin_pkg.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    package.validate(warnings=warnings)
    assert (package.name, warnings) == ('monodepth2_ros', [])


def test_package_xml_names_each_dependency_once_and_in_order() -> None:
    names = [(tag.tag, tag.text) for tag in _manifest() if tag.tag == 'exec_depend']
    system = [name for name in names if str(name[1]).startswith('python3-')]
    assert names == sorted(set(names) - set(system)) + sorted(system)


def test_all_files_agree_on_the_version(setup_arguments: dict[str, Any]) -> None:
    changelog = (ROOT / 'CHANGELOG.rst').read_text()
    newest = re.search(r'^(\d+\.\d+\.\d+) \(', changelog, re.MULTILINE)
    assert newest is not None
    assert {_manifest().findtext('version'), setup_arguments['version']} == {newest[1]}


def test_setup_py_packages_every_folder_of_code(setup_arguments: dict[str, Any]) -> None:
    tops = (ROOT / 'monodepth2_ros', ROOT / 'training' / 'monodepth2_training')
    folders = {p.parent.relative_to(top.parent) for top in tops for p in top.rglob('*.py')}
    assert set(setup_arguments['packages']) == {'.'.join(folder.parts) for folder in folders}


def test_setup_py_installs_every_launch_and_config_file_and_the_model(
    setup_arguments: dict[str, Any],
) -> None:
    installed = {
        (target, name) for target, names in setup_arguments['data_files'] for name in names
    }
    for top in ('launch', 'config'):
        files = (path.relative_to(ROOT) for path in (ROOT / top).rglob('*') if path.is_file())
        for file in (f for f in files if f.suffix != '.pyc'):
            assert (f'share/monodepth2_ros/{file.parent}', str(file)) in installed
    assert ('share/monodepth2_ros', 'package.xml') in installed
    assert ('share/monodepth2_ros/demo', f'demo/{BUNDLED_MODEL}') in installed


def test_setup_py_asks_for_pytest_so_that_colcon_runs_it(setup_arguments: dict[str, Any]) -> None:
    assert setup_arguments['extras_require']['test'] == ['pytest']


def test_every_entry_point_can_be_called(setup_arguments: dict[str, Any]) -> None:
    entry_points = _entry_points(setup_arguments)
    assert set(entry_points) == {'depth_node', 'player_node', 'recorder_node', 'monodepth2'}
    for target in entry_points.values():
        module, _, function = target.partition(':')
        assert callable(getattr(importlib.import_module(module), function))


def _optional(setup_arguments: dict[str, Any]) -> set[str]:
    extras = setup_arguments['extras_require']
    return {package for extra in extras.keys() - {'test'} for package in extras[extra]}


def _undeclared(imports: set[str], declared: set[str]) -> set[str]:
    return {name for name in imports if not PROVIDED_BY.get(name, {name}) & declared}


def test_every_import_of_the_robots_code_is_a_declared_dependency(
    setup_arguments: dict[str, Any],
) -> None:
    declared = _dependencies() | _requirements('run.txt')
    optional = _optional(setup_arguments)
    assert _undeclared(_imports_of('monodepth2_ros', 'launch'), declared | optional) == set()


def test_every_import_of_the_trainer_is_a_declared_dependency(
    setup_arguments: dict[str, Any],
) -> None:
    declared = _dependencies() | _requirements('run.txt') | _requirements('train.txt')
    assert _undeclared(_imports_of('training'), declared | _optional(setup_arguments)) == set()


def test_all_optional_packages_but_those_for_a_gpu_are_installed_for_the_tests(
    setup_arguments: dict[str, Any],
) -> None:
    installed = _requirements('engines.txt') | _requirements('evaluation.txt')
    assert _optional(setup_arguments) - {'tensorrt'} == installed


def test_every_requirement_is_pinned_to_one_version() -> None:
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    pins = [line for line in lines if line and line[0] != '#']
    assert all(re.fullmatch(r'[a-z0-9-]+==\S+( ; .+)?', line) for line in pins)
    pinned = {line.partition('==')[0] for line in pins}
    for name in ('run', 'engines', 'train', 'evaluation', 'dev', 'ros_wheels'):
        assert _requirements(f'{name}.txt') <= pinned


def test_tools_are_run_by_the_python_of_the_venv_which_finds_those_of_the_system_too() -> None:
    """Beside a ROS 2 pip installs no second colcon, ruff or mypy, and no program of that name."""
    program = re.compile(r'\.venv/bin/(?!python|activate|monodepth2)')
    pages = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *(ROOT / 'docs').glob('*.md')]
    for path in (ROOT / 'Makefile', ROOT / '.pre-commit-config.yaml', *pages):
        assert not program.search(path.read_text()), path.name


def test_the_licence_and_the_notice_are_complete() -> None:
    licence, notice = (ROOT / 'LICENSE').read_text(), (ROOT / 'NOTICE').read_text()
    assert 'Apache License' in licence and 'END OF TERMS AND CONDITIONS' in licence
    for word in ('ICCV 2019', '11,991,342', 'non-commercial', 'not legal advice'):
        assert word in notice


def test_pip_installs_both_packages_with_their_files(source_copy: Path, tmp_path: Path) -> None:
    pytest.importorskip('pip', reason='this Python has no pip')
    pytest.importorskip('setuptools', reason='this Python has no setuptools')
    options = ('--quiet', '--no-deps', '--no-build-isolation', '--no-index')
    target = tmp_path / 'site'
    _run(
        sys.executable,
        '-m',
        'pip',
        'install',
        *options,
        '--target',
        str(target),
        '.',
        cwd=source_copy,
    )
    program = 'import monodepth2_ros as a, monodepth2_training as b; print(a.__file__, b.__file__)'
    paths = _run(
        sys.executable, '-c', program, cwd=tmp_path, PYTHONPATH=str(target)
    ).stdout.split()
    assert [Path(path).is_relative_to(target) for path in paths] == [True, True]
    assert (
        target / 'share' / 'monodepth2_ros' / 'config' / 'fastdds_large_messages.xml'
    ).is_file()


@pytest.mark.parametrize('option', [(), ('--symlink-install',)], ids=['copied', 'symlinked'])
def test_colcon_builds_and_tests_the_package(
    source_copy: Path, tmp_path: Path, option: tuple[str, ...]
) -> None:
    for module in ('colcon_core', 'colcon_ros', 'colcon_python_setup_py'):
        pytest.importorskip(module, reason=f'{module} is not installed for this Python')
    (source_copy / 'test').mkdir()
    (source_copy / 'test' / 'test_one.py').write_text(ONE_TEST)
    _colcon('build', *option, cwd=tmp_path)
    prefix = tmp_path / 'install' / 'monodepth2_ros'
    executables = {path.name for path in (prefix / 'lib' / 'monodepth2_ros').iterdir()}
    assert executables == {'depth_node', 'player_node', 'recorder_node', 'monodepth2'}
    assert (
        prefix / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'monodepth2_ros'
    ).exists()
    assert (prefix / 'share' / 'monodepth2_ros' / 'config' / 'fastdds_large_messages.xml').exists()
    _colcon('test', cwd=tmp_path)
    assert (
        '1 test, 0 errors, 0 failures, 0 skipped'
        in _colcon('test-result', '--all', cwd=tmp_path).stdout
    )
