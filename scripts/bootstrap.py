# SPDX-License-Identifier: Apache-2.0
"""Build .venv, once: everything that the demo, the tests and the node need on a fresh machine.

Under a sourced ROS 2 the environment sees that installation; otherwise ROS 2 Jazzy comes from
PyPI. A stamp in .venv remembers what it was built from: when nothing changed, a run installs
nothing and needs no network.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
STAMP = VENV / 'built_from.json'
UNFINISHED = VENV / 'unfinished'
CONSTRAINTS = VENV / 'constraints.txt'
SOURCES = ('constraints.txt', 'requirements', 'setup.py', 'setup.cfg', 'package.xml')
FREE_BYTES_NEEDED = 8_000_000_000
NUMPY1_MARK = '#numpy1 '
FROM_PYPI = 'PyPI wheels'
TIED_TO = {
    'python': 'by another Python',
    'prefix': 'by a Python in another place',
    'venv': 'in another place',
    'ros': 'with another ROS 2',
}
"""What a .venv depends on, and what to say of one that was built with another."""


class BootstrapError(Exception):
    """The environment cannot be built; the message says why and what to do."""


def main() -> int:
    """Bring .venv up to date; return the exit status."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        wait_for_others(folder)
        bring_up_to_date()
    except BootstrapError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\ninterrupted: the next run builds .venv again', file=sys.stderr)
        return 130
    finally:
        os.close(folder)
    return 0


def wait_for_others(folder: int) -> None:
    """Lock the project's folder, given by its open descriptor, until this process ends."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say('another make is building .venv: waiting for it')
        fcntl.flock(folder, fcntl.LOCK_EX)


def bring_up_to_date() -> None:
    """Build, update or leave .venv, by what its stamp says.

    Raises:
        BootstrapError: this machine lacks something, ROS 2 is another, or an installation failed.
    """
    ros = sourced_ros()
    machine, sources = describe_machine(ros), hash_sources()
    built = read_stamp()
    if built == {'machine': machine, 'sources': sources}:
        return
    started = time.monotonic()
    changed = [key for key in machine if built and built['machine'].get(key) != machine[key]]
    if built and changed == ['ros']:
        refuse_other_ros(built['machine']['ros'])
    check_machine(ros)
    fresh = not built or bool(changed)
    if fresh:
        create_venv(ros, f'was built {TIED_TO[changed[0]]}' if changed else 'is unfinished')
    fill(ros, fresh=fresh)
    STAMP.write_text(json.dumps({'machine': machine, 'sources': sources}, indent=2))
    UNFINISHED.unlink()
    say(f'.venv is ready after {time.monotonic() - started:.0f} s; the next run skips all this')


def fill(ros: str | None, *, fresh: bool) -> None:
    """Install and check everything; a run that is killed meanwhile leaves .venv marked.

    Raises:
        BootstrapError: pip failed, or a package does not load.
    """
    UNFINISHED.touch()
    try:
        install(ros)
        check_imports()
    except BootstrapError:
        if not fresh:
            # pip puts back what it could not replace: an update can be tried again in place.
            UNFINISHED.unlink()
        raise


def sourced_ros() -> str | None:
    """Name the ROS 2 distribution whose setup file this shell has sourced, or None.

    Raises:
        BootstrapError: one is sourced, but for another Python than this.
    """
    distro = os.environ.get('ROS_DISTRO')
    if not distro or _succeeds(sys.executable, '-c', 'import rclpy'):
        return distro or None
    raise BootstrapError(
        f'ROS 2 {distro} is sourced, but {sys.executable} cannot import its rclpy. Use the Python '
        f'that it was built for (make PYTHON=/usr/bin/python3 ...), or a shell without ROS 2.'
    )


def describe_machine(ros: str | None) -> dict[str, str]:
    """Say what .venv is tied to, by the names in ``TIED_TO``."""
    return {
        'python': sys.version,
        'prefix': sys.base_prefix,
        'venv': str(VENV),
        'ros': ros or FROM_PYPI,
    }


def refuse_other_ros(built: str) -> NoReturn:
    """Leave a .venv alone that works where the ROS 2 that it was built with is sourced.

    Raises:
        BootstrapError: always.
    """
    if built == FROM_PYPI:
        cause = 'with ROS 2 from PyPI, and this shell has sourced another: use one that has not'
    else:
        cause = f'beside ROS 2 {built}, which this shell has not sourced: source it'
    raise BootstrapError(f'.venv was built {cause}, or run make clean to build it anew')


def hash_sources() -> str:
    """Hash the files that decide what is installed."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for source in SOURCES:
        for path in sorted((ROOT / source).glob('*.txt')) or [ROOT / source]:
            digest.update(path.name.encode() + b'\0' + path.read_bytes())
    return digest.hexdigest()


def read_stamp() -> dict[str, Any] | None:
    """Read what a finished .venv was built from; None when there is none or it is half-built."""
    if UNFINISHED.exists() or not PYTHON.exists():
        return None
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return None
    known = isinstance(stamp, dict) and isinstance(stamp.get('machine'), dict)
    return stamp if known else None


def check_machine(ros: str | None) -> None:
    """Refuse a machine on which the installation would fail half-way.

    Raises:
        BootstrapError: no venv module, too little disk, or neither ROS 2 nor an x86-64 Linux.
    """
    system = f'{platform.system()} on {platform.machine()}'
    if ros is None and system != 'Linux on x86_64':
        raise BootstrapError(
            f'this is {system}, and PyPI has ROS 2 for Linux on x86_64 alone. Install ROS 2 '
            f'(https://docs.ros.org), source its setup file, and run this again.'
        )
    if not _succeeds(sys.executable, '-c', 'import venv, ensurepip'):
        version = f'{sys.version_info.major}.{sys.version_info.minor}'
        raise BootstrapError(f'python3-venv is missing: sudo apt install python{version}-venv')
    free = shutil.disk_usage(ROOT).free
    if free < FREE_BYTES_NEEDED and not VENV.exists():
        raise BootstrapError(
            f'{ROOT} has {free / 1e9:.1f} GB free; .venv needs {FREE_BYTES_NEEDED / 1e9:.0f} GB, '
            f'most of it for PyTorch'
        )


def create_venv(ros: str | None, old: str) -> None:
    """Start .venv afresh, beside the sourced ROS 2 or alone; ``old`` is what ails one before it.

    Raises:
        BootstrapError: the folder in the way was not made here, or venv failed.
    """
    if VENV.exists():
        if not (UNFINISHED.exists() or STAMP.exists()):
            raise BootstrapError(f'{VENV} was not made here: move it away, then run this again')
        say(f'removing .venv, which {old}')
        shutil.rmtree(VENV)
    beside = f', beside ROS 2 {ros}' if ros else ''
    say(f'creating .venv with Python {platform.python_version()}{beside}')
    VENV.mkdir()
    UNFINISHED.touch()
    run(sys.executable, '-m', 'venv', *(['--system-site-packages'] if ros else []), str(VENV))


def install(ros: str | None) -> None:
    """Install the pinned packages, then this project as an editable package.

    Raises:
        BootstrapError: pip failed; its own message stands above.
    """
    CONSTRAINTS.write_text(constraints(numpy1=ros is not None and _system_numpy_is_1()))
    say('updating pip')
    pip('pip', 'setuptools', 'wheel')
    files = ['run', 'engines', 'train', 'evaluation', 'dev', *([] if ros else ['ros_wheels'])]
    packages = 'PyTorch and the rest' if ros else 'PyTorch, ROS 2 Jazzy and the rest'
    say(f'installing {packages} from PyPI (minutes, and up to 3 GB the first time)')
    pip(*(f'--requirement=requirements/{name}.txt' for name in files))
    say('installing this project, editable')
    pip('--no-deps', '--no-build-isolation', '--editable=.')


def constraints(*, numpy1: bool) -> str:
    """Give the text of constraints.txt, its NumPy 1 pins replacing the usual ones if so wanted."""
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    older = [line.removeprefix(NUMPY1_MARK) for line in lines if line.startswith(NUMPY1_MARK)]
    names = {pin.partition('==')[0] for pin in older}
    if numpy1:
        lines = [line for line in lines if line.partition('==')[0] not in names] + older
    return '\n'.join(lines) + '\n'


def check_imports() -> None:
    """Import the large packages once.

    Raises:
        BootstrapError: one of them does not load.
    """
    say('checking that PyTorch, OpenCV and ROS 2 load')
    modules = 'torchvision, cv2, rclpy, sensor_msgs.msg, monodepth2_ros, monodepth2_training'
    run(str(PYTHON), '-c', f'import {modules}')


def pip(*arguments: str) -> None:
    """Run pip install in .venv, within the constraints; it prints errors alone.

    Raises:
        BootstrapError: pip failed.
    """
    options = ('-qq', '--no-input', f'--constraint={CONSTRAINTS}')
    run(str(PYTHON), '-m', 'pip', 'install', *options, *arguments)


def run(*command: str) -> None:
    """Run a command in the project's folder.

    Raises:
        BootstrapError: it failed.
    """
    code = subprocess.run(command, cwd=ROOT, env=_environment(command)).returncode
    if code:
        raise BootstrapError(
            f'{" ".join(command[1:4])} ... failed with status {code}; its message stands above. '
            f'Remove the cause (no network?) and run the same make command again.'
        )


def say(text: str) -> None:
    """Tell the user what happens now."""
    print(f'[setup] {text}', flush=True)


def _environment(command: tuple[str, ...]) -> dict[str, str]:
    # What lies on PYTHONPATH would count as installed; setuptools warns of every editable package.
    changes = {'PIP_DISABLE_PIP_VERSION_CHECK': '1', 'PIP_USER': '0', 'PYTHONWARNINGS': 'ignore'}
    environment = {**os.environ, **changes}
    if 'pip' in command:
        environment.pop('PYTHONPATH', None)
    return environment


def _system_numpy_is_1() -> bool:
    program = 'import numpy, sys; sys.exit(not numpy.__version__.startswith("1."))'
    return _succeeds(sys.executable, '-s', '-c', program)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


if __name__ == '__main__':
    sys.exit(main())
