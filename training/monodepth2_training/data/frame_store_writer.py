# SPDX-License-Identifier: Apache-2.0
"""Writes a frame store so that a killed run can be continued.

Pictures and index records are appended; only a checkpoint makes them count. Whatever lies beyond
the last checkpoint when a store is opened for writing again is cut off, so that a resumed store
equals one that was written in one go.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import RecordingError
from monodepth2_training.data import store_document
from monodepth2_training.data.store_document import RECORD, Progress, StoreDocument

_NO_ODOMETRY = (float('nan'),) * 8
_LOCK = '.lock'

OdometryAt = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""Gives ``FrameTable.odometry`` [N, 8] at stamps [N]."""


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """One line of a ``FrameTable`` but for the odometry; see there."""

    stamp_ns: int
    """Header stamp."""
    part: int
    """Stretch that it belongs to."""
    motion: float
    """Median optical flow as a share of the width; NaN for the first of a part."""
    brightness: float
    """Mean of all pixels, 0 to 1."""
    clipped: float
    """Share of pixels that are 0 or 255."""


_FIELDS = tuple(field.name for field in fields(FrameRecord))


class FrameStoreWriter:
    """Appends pictures; use it as a context manager.

    Attributes:
        path: folder of the store.
        document: as of the last checkpoint.
    """

    def __init__(self, path: Path, document: StoreDocument, lock: BinaryIO) -> None:
        """Open the files of a document, cut to what counts; see :func:`open_writer`."""
        self.path, self.document = path, document
        self._lock = lock
        self._frames = list(document.progress.frames)
        cameras = range(len(document.cameras))
        for camera in cameras:
            _cut_to_document(path, document, camera)
        self._indices = [store_document.index_path(path, c).open('ab') for c in cameras]
        self._shards: list[BinaryIO | None] = [None] * len(self._indices)

    def __enter__(self) -> FrameStoreWriter:
        """Give the writer itself: it is open from construction."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close all files; what came after the last checkpoint does not count."""
        for file in (*self._indices, *self._shards, self._lock):
            if file is not None:
                file.close()

    @property
    def frames(self) -> tuple[int, ...]:
        """Pictures of each camera, those since the last checkpoint included."""
        return tuple(self._frames)

    def append(self, camera: int, pixels: NDArray[np.uint8], record: FrameRecord) -> None:
        """Add one picture.

        Args:
            camera: number of the camera.
            pixels: uint8 [C, H, W], C as its ``StoredCamera`` says.
            record: its line of the index.

        Raises:
            RecordingError: the pixels are of another shape or type.
            OSError: the disk is full.
        """
        document = self.document
        shape = (document.cameras[camera].channels, document.height, document.width)
        if pixels.shape != shape or pixels.dtype != np.uint8:
            raise RecordingError(
                f'picture {pixels.dtype}{list(pixels.shape)} does not fit the store: expected '
                f'uint8{list(shape)}'
            )
        self._shard(camera).write(np.ascontiguousarray(pixels).data)
        self._indices[camera].write(_packed(record))
        self._frames[camera] += 1

    def enter_odometry(self, camera: int, first: int, at: OdometryAt) -> None:
        """Enter the odometry ``at`` the stamps of all pictures from number ``first`` on."""
        self._flush()
        path, offset = store_document.index_path(self.path, camera), first * RECORD.itemsize
        records = np.fromfile(path, RECORD, offset=offset)
        if len(records):
            records['odometry'] = at(records['stamp_ns'])
            with path.open('r+b') as file:
                file.seek(offset)
                file.write(records.tobytes())

    def last(self, camera: int) -> tuple[FrameRecord, NDArray[np.uint8]] | None:
        """What was appended last: the record and uint8 [C, H, W]; None if there is nothing yet."""
        count, document = self._frames[camera], self.document
        if count == 0:
            return None
        self._flush()
        shard, place = divmod(count - 1, document.frames_per_shard(camera))
        size = document.frame_bytes(camera)
        path = store_document.shard_path(self.path, camera, shard)
        pixels = np.fromfile(path, np.uint8, count=size, offset=place * size)
        offset = (count - 1) * RECORD.itemsize
        index = store_document.index_path(self.path, camera)
        record = np.fromfile(index, RECORD, count=1, offset=offset)[0]
        shape = (document.cameras[camera].channels, document.height, document.width)
        return _unpacked(record), pixels.reshape(shape)

    def checkpoint(self, progress: Progress) -> None:
        """Make as much count as ``progress`` says.

        Raises:
            OSError: the disk is full.
        """
        self._flush()
        self.document = replace(self.document, progress=progress)
        store_document.write_document(self.path, self.document)

    def _flush(self) -> None:
        """Hand everything to the operating system, which keeps it if this process is killed."""
        for file in (*self._shards, *self._indices):
            if file is not None:
                file.flush()

    def _shard(self, camera: int) -> BinaryIO:
        """The shard that the next picture belongs to, opened for appending."""
        number, place = divmod(self._frames[camera], self.document.frames_per_shard(camera))
        opened = self._shards[camera]
        if opened is None or place == 0:
            if opened is not None:
                opened.close()
            path = store_document.shard_path(self.path, camera, number)
            opened = self._shards[camera] = path.open('ab')
        return opened


def open_writer(path: Path, document: StoreDocument, *, afresh: bool) -> FrameStoreWriter:
    """Begin a store, or continue the one that was begun with the same arguments.

    Args:
        path: its folder; made if missing.
        document: of a store without pictures.
        afresh: whether a store that is there is replaced, whatever it was made with. Anything
            that is no frame store never is, nor are files in its folder that are not its own.

    Raises:
        RecordingError: the folder holds something else, or a store that cannot be continued, or
            another extraction writes in it.
    """
    _check_folder(path, afresh=afresh)
    path.mkdir(parents=True, exist_ok=True)
    lock = _locked(path)
    try:
        return FrameStoreWriter(path, _begun(path, document, afresh=afresh), lock)
    except BaseException:
        lock.close()
        raise


def _begun(path: Path, document: StoreDocument, *, afresh: bool) -> StoreDocument:
    """The document of the store to be written: the one that is there, or else the new one."""
    if (path / store_document.DOCUMENT).is_file():
        if not afresh:
            return _continued(path, document)
        _delete_pictures(path)
    for camera in range(len(document.cameras)):
        store_document.camera_folder(path, camera).mkdir(exist_ok=True)
        store_document.index_path(path, camera).touch()
    store_document.write_document(path, document)
    return document


def _locked(path: Path) -> BinaryIO:
    """Keep other writers out until the file is closed or the process ends, however that ends.

    Raises:
        RecordingError: another one is in.
    """
    file = (path / _LOCK).open('ab')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        file.close()
        raise RecordingError(
            f'{path} is being written by another extraction: wait for it, or choose another name'
        ) from err
    return file


def _check_folder(path: Path, *, afresh: bool) -> None:
    """Refuse a folder that holds something else than a frame store.

    Raises:
        RecordingError: it does, or the store's document cannot be read.
    """
    if not path.exists():
        return
    if path.is_dir() and all(entry.name == _LOCK for entry in path.iterdir()):
        return
    if not (path / store_document.DOCUMENT).is_file():
        raise RecordingError(f'{path} exists and is no frame store: choose another name')
    try:
        store_document.read_document(path)
    except RecordingError as err:
        if not afresh:
            raise
        raise RecordingError(
            f'{path} is not replaced, since it may be no frame store ({err}): choose another '
            'name, or delete it yourself'
        ) from err


def _delete_pictures(path: Path) -> None:
    """Delete the files of a store but its document, which the next one replaces as a whole."""
    for camera in range(len(store_document.read_document(path).cameras)):
        folder = store_document.camera_folder(path, camera)
        for file in (store_document.index_path(path, camera), *folder.glob('pixels_*.u8')):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()


def _continued(path: Path, wanted: StoreDocument) -> StoreDocument:
    """The document of the store that is there, if it differs in nothing but how far it is."""
    found = store_document.read_document(path)
    if found == replace(wanted, progress=found.progress):
        return found
    old, new = found.arguments, wanted.arguments
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    changes = ', '.join(f'{n} {old.get(n, "-")} instead of {new.get(n, "-")}' for n in names)
    raise RecordingError(
        f'{path} is a frame store made with {changes or "another camera"}: choose '
        'another name, or delete it first ("monodepth2 extract": add --force)'
    )


def _packed(record: FrameRecord) -> bytes:
    # Several times faster than ``astuple``, which copies deeply.
    values = (getattr(record, name) for name in _FIELDS)
    return np.array([(*values, _NO_ODOMETRY)], RECORD).tobytes()


def _unpacked(record: np.void) -> FrameRecord:
    return FrameRecord(**{name: record[name].item() for name in _FIELDS})


def _cut_to_document(store: Path, document: StoreDocument, camera: int) -> None:
    """Cut the index and the shards of a camera to what counts.

    Raises:
        RecordingError: there is less than the document says.
    """
    frames = document.progress.frames[camera]
    _cut(store_document.index_path(store, camera), frames * RECORD.itemsize)
    shards = document.shard_frames(camera)
    for number, count in enumerate(shards):
        path = store_document.shard_path(store, camera, number)
        _cut(path, count * document.frame_bytes(camera))
    folder = store_document.camera_folder(store, camera)
    for path in sorted(folder.glob('pixels_*.u8'))[len(shards) :]:
        path.unlink()


def _cut(path: Path, length: int) -> None:
    found = path.stat().st_size if path.exists() else -1
    if found < length:
        raise RecordingError(
            f'{path} holds {max(found, 0)} of {length} bytes: the frame store is damaged; delete '
            'it and begin anew ("monodepth2 extract": add --force)'
        )
    if found > length:
        os.truncate(path, length)
