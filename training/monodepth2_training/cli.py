# SPDX-License-Identifier: Apache-2.0
"""The command ``monodepth2``: finds the verb, runs it, and turns failures into one line.

Exit status: 0 success, 1 failure, 2 wrong usage or configuration, 130 interrupted, 143 ended. Set
MONODEPTH2_DEBUG=1 to see where a failure came from. Only the called verb's module is imported.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from monodepth2_ros import __version__
from monodepth2_ros.errors import CameraChoiceError, ConfigError, Monodepth2Error
from monodepth2_training.signals import answered_by

VERBS = {
    'doctor': 'examine this machine: device, engines, model, ROS, camera',
    'evaluate': 'compare predicted depth with truth, or with itself',
    'export': 'write the network for an engine or as ONNX, checked against the model',
    'extract': 'make a frame store of recordings, to train on',
    'generate': 'write a generated drive with exact depth as a bag',
    'import': 'turn an md2 checkpoint folder into a model file',
    'info': 'print what a model file says about itself and verify it',
    'predict': 'compute depth of an image, a folder, a video or a bag',
    'reproduce': "rerun the experiments of the paper's tables",
    'scale': "measure how many metres a unit of a model's depth is",
    'train': 'train on recordings or a frame store, to a model file',
}
"""Each verb and what it does; its module is ``commands/<verb>.py``, ``import_md2`` for import."""

# PyTorch's threads spin while they wait for each other, by default for milliseconds: beside other
# work that takes the core from the thread waited for. It must be said before torch is loaded.
os.environ.setdefault('GOMP_SPINCOUNT', '10000')

_MODULES = {'import': 'import_md2'}
_FAILURE = 1
_USAGE = 2
_INTERRUPTED = 130
_BROKEN_PIPE = 141
_SIGNALLED = 128


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments after the program's name; those of the process by default.

    Returns:
        the exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    interrupts: list[int] = []
    try:
        with answered_by(_terminate, signal.SIGTERM), _noted_interrupts(interrupts):
            status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as err:
        if interrupts and isinstance(err, ImportError):
            return _INTERRUPTED
        return _report(arguments[0] if arguments else '', err)
    return status


def _terminate(number: int, frame: object) -> None:
    """End what is in hand as an error would, so that nothing unfinished is left."""
    raise SystemExit(_SIGNALLED + number)


@contextmanager
def _noted_interrupts(seen: list[int]) -> Iterator[None]:
    """Also keep each Ctrl-C in a list: one that breaks off an import comes as an ImportError."""

    def interrupt(number: int, frame: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    with answered_by(interrupt, signal.SIGINT):
        yield


def _run(arguments: list[str]) -> int:
    """Parse the arguments and call the verb."""
    args = _parser(arguments).parse_args(arguments)
    status: int = importlib.import_module(_module(args.verb)).run(args)
    return status


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    """The parser, in which only the called verb knows its own arguments."""
    parser = argparse.ArgumentParser(
        prog='monodepth2', description='Metric depth from one camera: models, data and training.'
    )
    parser.add_argument('--version', action='version', version=f'monodepth2 {__version__}')
    verbs = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    for verb, summary in VERBS.items():
        sub = verbs.add_parser(verb, help=summary)
        if arguments[:1] == [verb]:
            command = importlib.import_module(_module(verb))
            sub.description = command.HELP
            command.add_arguments(sub)
    return parser


def _module(verb: str) -> str:
    """The full name of a verb's module."""
    return f'monodepth2_training.commands.{_MODULES.get(verb, verb)}'


def _report(verb: str, err: Exception) -> int:
    """Print one line about a failure, below it the cameras to choose from, if that is it.

    Where that is asked for, its origin comes first.
    """
    if os.environ.get('MONODEPTH2_DEBUG', '') not in ('', '0'):
        traceback.print_exception(type(err), err, err.__traceback__)
    text = str(err) if isinstance(err, CameraChoiceError) else ' '.join(str(err).split())
    if isinstance(err, ModuleNotFoundError):
        text = f'{sys.executable} has no {err.name}: run make venv, then .venv/bin/monodepth2'
    elif not isinstance(err, (Monodepth2Error, OSError)):
        text = f'{type(err).__name__}: {text} (unexpected; MONODEPTH2_DEBUG=1 shows where)'
    print(f'monodepth2 {verb}: error: {text}', file=sys.stderr)
    return _USAGE if isinstance(err, ConfigError) else _FAILURE


if __name__ == '__main__':
    sys.exit(main())
