# SPDX-License-Identifier: Apache-2.0
"""Makes a frame store of generated drives: an index and a document, and no pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from monodepth2_ros.errors import RecordingError
from monodepth2_training.data import store_document
from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.generated_drives import GeneratedDrives
from monodepth2_training.data.generated_settings import GeneratedSettings
from monodepth2_training.data.rendered_pictures import RESIZE
from monodepth2_training.data.store_document import Progress, StoreDocument


def generate_store(
    path: Path,
    settings: GeneratedSettings,
    *,
    width: int,
    height: int,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> FrameStore:
    """Write the store of some drives; its pictures are rendered whenever they are read.

    Args:
        path: folder of the store; what is left there of an unfinished one is replaced.
        settings: the drives.
        width: columns of the pictures.
        height: rows of the pictures.
        watch: is told how many cameras are done, of how many.

    Raises:
        ConfigError: such drives cannot be rendered.
        RecordingError: the folder cannot be written.
    """
    drives = GeneratedDrives(settings=settings, width=width, height=height)
    cameras, frames = drives.cameras(), []
    try:
        for camera in range(len(cameras)):
            records = drives.records(camera)
            store_document.camera_folder(path, camera).mkdir(parents=True, exist_ok=True)
            records.tofile(store_document.index_path(path, camera))
            frames.append(len(records))
            watch(camera + 1, len(cameras))
        document = StoreDocument(
            width=width,
            height=height,
            resize=RESIZE,
            cameras=cameras,
            sources=(_name(settings),),
            arguments={},
            progress=Progress(frames=tuple(frames), complete=True),
            generated=settings,
        )
        store_document.write_document(path, document)
    except OSError as err:
        raise RecordingError(f'{path} cannot be written: {err}') from err
    return FrameStore.open(path)


def _name(settings: GeneratedSettings) -> str:
    last = settings.first_seed + settings.drives - 1
    kind = ' with variety' if settings.variety else ''
    return f'generated drives{kind}, seeds {settings.first_seed} to {last}'
