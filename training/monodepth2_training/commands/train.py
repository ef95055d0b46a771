# SPDX-License-Identifier: Apache-2.0
"""``monodepth2 train``: from recordings, or a frame store, to a model file."""

from __future__ import annotations

import dataclasses
import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from monodepth2_training.config import TrainingConfig
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.run.folder import RunFolder
    from monodepth2_training.run.processes import Processes
    from monodepth2_training.run.progress import RunProgress
    from monodepth2_training.run.training import Outcome

HELP = (
    'Train on recordings of a vehicle (bags of ROS 1 or 2, videos, folders of images), on one '
    'frame store of "monodepth2 extract", or on generated drives that a configuration names. RUN '
    'becomes a folder with the frames, checkpoints, figures for TensorBoard, the model file and '
    'a report. Ctrl-C leaves a checkpoint; --resume goes on from the newest one that is '
    'intact. Several GPUs: torchrun --nproc-per-node N -m monodepth2_training.cli train ...'
)
_INTERRUPTED = 130
_RESUMABLE = ('optimisation.', 'log.')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        'sources', metavar='SOURCE', type=Path, nargs='*', help='recordings, or one frame store'
    )
    parser.add_argument(
        '--bag', metavar='SOURCE', type=Path, action='append', default=[], help='one more source'
    )
    parser.add_argument('--out', metavar='RUN', type=Path, required=True, help='folder of the run')
    parser.add_argument(
        '--config',
        metavar='NAME',
        default='',
        help='experiment by name or as a YAML file (default mono_640x192; fine_tune, with the '
        "model's network, where --init names a model file)",
    )
    parser.add_argument(
        '--set',
        dest='overrides',
        metavar='KEY=VALUE',
        action='append',
        default=[],
        help='change one setting, as optimisation.batch_size=4; may be repeated',
    )
    parser.add_argument(
        '--init',
        '--weights',
        default='',
        metavar='WEIGHTS',
        help="begin with demo (the demo's model), a model file, an encoder's weights (as a local "
        'copy of ImageNet), imagenet or random; two names for one option',
    )
    parser.add_argument('--epochs', type=int, help='times that every sample is seen')
    parser.add_argument('--resume', action='store_true', help='go on with the run in RUN')
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda or cuda:N')
    parser.add_argument(
        '--camera',
        action='append',
        default=[],
        metavar='NAME',
        help='image topic or namespace; needed if there are several, twice for a stereo pair',
    )
    parser.add_argument(
        '--split',
        metavar='FILE',
        type=Path,
        help="train files of KITTI's raw data, as md2 or Eigen lists them; SOURCE is its root",
    )
    parser.add_argument(
        '--calibration', metavar='YAML', default='', help='replaces the recorded calibration'
    )
    parser.add_argument(
        '--fps', type=float, default=0.0, help='true frame rate of a video or folder of images'
    )
    parser.add_argument('--json', action='store_true', help='print the summary as JSON')


def run(args: argparse.Namespace) -> int:
    """Extract where needed, train, and print where the model is."""
    from monodepth2_training.allocator import keep_freed_memory
    from monodepth2_training.run.folder import RunFolder
    from monodepth2_training.run.keeper import TrainingInterrupted
    from monodepth2_training.run.processes import joined_processes
    from monodepth2_training.run.progress import RunProgress

    keep_freed_memory()
    folder = RunFolder(args.out)
    with joined_processes() as processes, ExitStack() as stack:
        progress = RunProgress(process=processes.rank)
        if processes.is_first:
            folder.make()
            stack.enter_context(folder.lock())
        try:
            return _train(args, folder, processes, progress)
        except TrainingInterrupted as err:
            progress.say(_interrupted(err.checkpoint, folder))
            return _INTERRUPTED


def _train(
    args: argparse.Namespace, folder: RunFolder, processes: Processes, progress: RunProgress
) -> int:
    """Prepare, train and report, in one process of the run."""
    import torch

    from monodepth2_ros.inference.engines.device import choose_device
    from monodepth2_training.config_files import read_config
    from monodepth2_training.data.frame_store import FrameStore
    from monodepth2_training.run.source import make_source, open_source
    from monodepth2_training.run.training import train

    device, reason = choose_device(_device_request(args.device, processes))
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    progress.say(f'training on {device}: {reason}')
    if processes.is_first:
        config = _begin(args, folder)
        progress.say(_beginning(config))
        _extract(folder, open_source if args.resume else make_source)
    processes.wait()
    if not processes.is_first:
        config = read_config(str(folder.config))
    store = FrameStore.open(folder.read_store_path())
    if processes.is_first:
        _say_store(store, config, progress.say)
    outcome = train(
        config,
        store,
        folder,
        device,
        resume=args.resume,
        progress=progress,
        processes=processes,
    )
    if processes.is_first:
        report = _write_report(folder, progress.say)
        summary = _summary(folder, outcome, report)
        print(json.dumps(summary, indent=2) if args.json else _text(summary))
    return 0


def _device_request(request: str, processes: Processes) -> str:
    """One GPU for each process of a machine, where there are several."""
    import torch

    if processes.local_count == 1 or request == 'cpu' or not torch.cuda.is_available():
        return request
    return f'cuda:{processes.local_rank}'


def _begin(args: argparse.Namespace, folder: RunFolder) -> TrainingConfig:
    """Decide what is trained on what, and write both down in the run's folder."""
    from monodepth2_training.config_files import write_config
    from monodepth2_training.run.beginning import begin_config
    from monodepth2_training.run.source import choose_source, holds_pair

    overrides = [*args.overrides]
    if args.epochs is not None:
        overrides.append(f'optimisation.epochs={args.epochs}')
    if args.resume:
        config = _resumed(args, folder, overrides)
    else:
        folder.check_free()
        sources = [*args.sources, *args.bag]
        config = begin_config(
            args.config,
            args.init,
            overrides,
            holds_pair=lambda: (
                args.split is not None
                or (not args.calibration and holds_pair(sources, cameras=args.camera))
            ),
        )
        source = choose_source(
            sources,
            folder.frames,
            config,
            cameras=args.camera,
            fps=args.fps,
            calibration=args.calibration,
            split=args.split,
        )
        folder.check_frames(source)
        folder.write_source(source)
    write_config(config, folder.config)
    return config


def _resumed(args: argparse.Namespace, folder: RunFolder, overrides: list[str]) -> TrainingConfig:
    """The run's own configuration, in which only optimisation and log may change."""
    from monodepth2_training.config_files import read_config

    folder.read_source()
    fixed = [change for change in overrides if not change.startswith(_RESUMABLE)]
    sources = args.sources or args.bag or args.split or args.camera or args.calibration or args.fps
    if args.config or args.init or sources or fixed:
        raise ConfigError(
            'a resumed run keeps its sources, configuration and weights: beside --resume give '
            f'only --epochs and --set of {" and ".join(_RESUMABLE)}; for anything else begin '
            'another run, with --init RUN/model.safetensors'
        )
    return read_config(str(folder.config), overrides)


def _beginning(config: TrainingConfig) -> str:
    """What is trained from which weights, in a line."""
    network, held = config.network, config.optimisation.hold_depth_steps
    pose = f', pose network with {Path(network.pose_weights).name}' if network.pose_weights else ''
    hold = f', depth held for {held} steps' if held else ''
    return (
        f'{config.name}: mode {config.mode}, {network.encoder} at {network.width}x'
        f'{network.height}, begins with {Path(network.weights).name}{pose}{hold}'
    )


def _extract(folder: RunFolder, opened: Callable[..., FrameStore]) -> None:
    """Extract the run's frames, or the rest of them, where it has recordings."""
    from monodepth2_training.commands.progress import ProgressLine

    line = ProgressLine(0)
    try:
        opened(folder.read_source(), line.reach)
    finally:
        line.close()


def _say_store(store: FrameStore, config: TrainingConfig, say: Callable[[str], None]) -> None:
    """Say what is trained on, and what of it would spoil the training."""
    from monodepth2_training.data.guards import check_store

    if store.is_generated:
        say(f'{store.sources[0]}: rendered at {store.width}x{store.height} as they are read')
        return
    for number, camera in enumerate(store.cameras):
        pictures = len(store.frames(number).stamps_ns)
        say(f'{camera.name}: {pictures} pictures of {store.width}x{store.height}')
    batch_size = config.optimisation.batch_size
    for finding in check_store(store, batch_size=batch_size, triplets=config.triplets):
        say(finding.text())


def _write_report(folder: RunFolder, say: Callable[[str], None]) -> str:
    """Write the report; the model is what counts, so that a failure is only said."""
    from monodepth2_training.report import write_report

    try:
        return str(write_report(folder.path))
    except Exception as err:
        say(f'no report could be written ({type(err).__name__}: {err}); the model is complete')
        return ''


def _summary(folder: RunFolder, outcome: Outcome, report: str) -> dict[str, object]:
    """Everything about a finished run, ready for JSON."""
    facts = dataclasses.asdict(outcome) | {'checkpoint': str(outcome.checkpoint)}
    return {
        'run': str(folder.path),
        'model': str(folder.model),
        'report': report or None,
        **facts,
        'seconds': round(outcome.seconds, 2),
    }


def _text(summary: dict[str, object]) -> str:
    """A finished run in a few lines."""
    best = summary['best_validation']
    judged = '' if best is None else f', validation error {best:.4f}'
    lines = [
        f'{summary["model"]}: after {summary["epochs"]} epochs, {summary["training_samples"]} '
        f'samples{judged}; {summary["steps"]} steps in {summary["seconds"]} s'
    ]
    if summary['skipped_steps']:
        lines.append(f'{summary["skipped_steps"]} steps were not finite and were skipped')
    if summary['report']:
        lines.append(f'report: {summary["report"]}')
    return '\n'.join(
        [*lines, f'start: ros2 launch monodepth2_ros depth.launch.py model:={summary["model"]}']
    )


def _interrupted(checkpoint: Path | None, folder: RunFolder) -> str:
    """What was left, and how to go on."""
    left = 'nothing new was saved' if checkpoint is None else f'{checkpoint} is saved'
    return f'interrupted: {left}; go on with: monodepth2 train --out {folder.path} --resume'
