# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, and what every module owes its reader."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ('monodepth2_ros', 'training', 'launch', 'scripts', 'demo', 'benchmarks')
MODULES = sorted(path.relative_to(ROOT) for top in PRODUCT for path in (ROOT / top).rglob('*.py'))
CORE = [
    path for path in MODULES if path.parts[0] == 'monodepth2_ros' and 'nodes' not in path.parts
]
ROBOT = [path for path in MODULES if path.parts[0] == 'monodepth2_ros']
PACKAGES = [path for path in MODULES if path.parts[0] in ('monodepth2_ros', 'training')]
ROS_PACKAGES = frozenset(
    (
        *('ament_index_python', 'cv_bridge', 'launch', 'launch_ros', 'message_filters'),
        *('builtin_interfaces', 'rcl_interfaces', 'rclpy', 'rosbag2_py', 'sensor_msgs_py'),
        *('std_srvs', 'tf2_ros'),
    )
)
SHAPELESS_NAMES = frozenset({'utils', 'util', 'helpers', 'helper', 'common', 'misc', 'tools'})

IMPORT_ALL = """
import importlib, sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition('.')[0]
        if top in FORBIDDEN or top.endswith('_msgs'):
            raise ImportError(f'{current} imports {name}')

sys.meta_path.insert(0, Guard())
for current in MODULES:
    importlib.import_module(current)
print(f'imported {len(MODULES)} modules')
"""


def _tree(module: Path) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding='utf-8'))


def _dotted(module: Path) -> str:
    parts = module.with_suffix('').parts
    parts = parts[1:] if parts[0] == 'training' else parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def _imported_packages(module: Path) -> set[str]:
    nodes = list(ast.walk(_tree(module)))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    froms = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and not n.level}
    return {name.partition('.')[0] for name in plain | froms}


def _is_ros(package: str) -> bool:
    return package in ROS_PACKAGES or package.endswith('_msgs')


def _import_afresh(modules: list[Path], forbidden: set[str]) -> subprocess.CompletedProcess[str]:
    names = [_dotted(module) for module in modules]
    program = f'FORBIDDEN = {sorted(forbidden)!r}\nMODULES = {names!r}\n{IMPORT_ALL}'
    path = os.pathsep.join((str(ROOT), str(ROOT / 'training'), os.environ.get('PYTHONPATH', '')))
    return subprocess.run(
        [sys.executable, '-c', program],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_core_imports_in_a_fresh_interpreter_without_ros_and_without_the_trainer() -> None:
    done = _import_afresh(CORE, {*ROS_PACKAGES, 'monodepth2_training'})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[:2] == ['imported', str(len(CORE))]


def test_the_trainer_imports_in_a_fresh_interpreter_without_ros() -> None:
    trainer = [path for path in MODULES if path.parts[0] == 'training']
    done = _import_afresh(trainer, set(ROS_PACKAGES))
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_import_guard_sees_a_forbidden_import() -> None:
    done = _import_afresh([Path('monodepth2_ros/errors.py')], {'monodepth2_ros'})
    assert done.returncode == 1
    assert 'monodepth2_ros.errors imports monodepth2_ros' in done.stderr


@pytest.mark.parametrize('module', PACKAGES, ids=str)
def test_ros_is_imported_in_the_nodes_folder_alone(module: Path) -> None:
    ros = {package for package in _imported_packages(module) if _is_ros(package)}
    assert not ros or module.parts[:2] == ('monodepth2_ros', 'nodes')


@pytest.mark.parametrize('module', ROBOT, ids=str)
def test_the_robot_never_imports_the_trainer(module: Path) -> None:
    assert 'monodepth2_training' not in _imported_packages(module)


@pytest.mark.parametrize('module', PACKAGES, ids=str)
def test_charts_are_drawn_in_the_report_alone(module: Path) -> None:
    drawing = 'matplotlib' in _imported_packages(module)
    assert not drawing or module.parts[:3] == ('training', 'monodepth2_training', 'report')


@pytest.mark.parametrize('module', MODULES, ids=str)
def test_a_module_opens_with_its_licence_and_says_what_it_is_for(module: Path) -> None:
    lines = (ROOT / module).read_text(encoding='utf-8').splitlines()
    opening = lines[1:] if lines[0].startswith('#!') else lines
    assert opening[0] == '# SPDX-License-Identifier: Apache-2.0'
    assert len((ast.get_docstring(_tree(module)) or '').split()) >= 4


@pytest.mark.parametrize('module', MODULES, ids=str)
def test_a_module_stays_under_300_lines_and_a_function_under_60(module: Path) -> None:
    lines = (ROOT / module).read_text(encoding='utf-8').splitlines()
    functions = [n for n in ast.walk(_tree(module)) if isinstance(n, ast.FunctionDef)]
    long = [f.name for f in functions if (f.end_lineno or 0) - f.lineno >= 60]
    assert len(lines) <= 300
    assert long == []


@pytest.mark.parametrize('module', PACKAGES, ids=str)
def test_product_code_has_no_assert_no_bare_except_and_no_silenced_checker(module: Path) -> None:
    nodes = list(ast.walk(_tree(module)))
    asserts = [node.lineno for node in nodes if isinstance(node, ast.Assert)]
    bare = [n.lineno for n in nodes if isinstance(n, ast.ExceptHandler) and n.type is None]
    text = (ROOT / module).read_text(encoding='utf-8')
    silenced = [word for word in ('# noqa', '# type: ignore', '# pylint:') if word in text]
    assert (asserts, bare, silenced) == ([], [], [])


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [path for path in MODULES if SHAPELESS_NAMES & set(path.with_suffix('').parts)] == []
