# SPDX-License-Identifier: Apache-2.0
"""Reads a frame store: rectified pictures at the network's size, memory-mapped, and their index.

``monodepth2 extract`` writes it (``frame_store_writer``). Opening compares the length of every
file with what the document says, so that a store which was cut short is refused and not trained
on. A store can be sent to other processes: it is opened again there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.errors import RecordingError
from monodepth2_training.data import store_document
from monodepth2_training.data.store_document import StoredCamera, StoreDocument

if TYPE_CHECKING:
    from monodepth2_training.data.rendered_pictures import RenderedPictures

__all__ = ['FrameStore', 'FrameTable', 'StoredCamera']


@dataclass(frozen=True, kw_only=True)
class FrameTable:
    """What is known of each picture of one camera, in time order; N pictures."""

    stamps_ns: NDArray[np.int64]
    """Header stamps [N]."""
    motion: NDArray[np.float32]
    """Median length [N] of the optical flow against the picture before, as a share of the image
    width; NaN for the first of a part."""
    brightness: NDArray[np.float32]
    """Mean of all pixels [N], 0 to 1."""
    clipped: NDArray[np.float32]
    """Share of pixels [N] that are 0 or 255."""
    odometry: NDArray[np.float64]
    """Pose of the odometry's child frame in its parent at the stamp, and forward speed, [N, 8]:
    x y z in m, quaternion x y z w, m/s; NaN where there is none."""
    part: NDArray[np.int32]
    """Which stretch [N] it belongs to; grows at a new recording, a gap and a leap back in time.
    Pictures of two parts are never neighbours."""

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.stamps_ns)


class FrameStore:
    """An opened frame store.

    Attributes:
        path: its folder.
        document: everything that ``store.json`` says.
        width: columns of the pictures.
        height: rows of the pictures.
        resize: how they were brought to this size.
        cameras: the cameras.
        sources: names of the recordings.
    """

    def __init__(self, path: Path, document: StoreDocument) -> None:
        """Open the files of a document; use :meth:`open` instead."""
        self.path, self.document = path, document
        self.width, self.height, self.resize = document.width, document.height, document.resize
        self.cameras, self.sources = document.cameras, document.sources
        cameras = range(len(self.cameras))
        self._tables = tuple(_read_table(path, document, camera) for camera in cameras)
        self._rendered = _rendered_pictures(document) if self.is_generated else None
        self._shards = tuple(_map_shards(path, document, camera) for camera in cameras)

    @classmethod
    def open(cls, path: str | Path) -> FrameStore:
        """Open a finished store.

        Raises:
            RecordingError: it is missing, unfinished or damaged.
        """
        place = Path(path)
        document = store_document.read_document(place)
        if not document.progress.complete:
            raise RecordingError(
                f'{place} is unfinished ({sum(document.progress.frames)} pictures so far): run '
                'the same "monodepth2 extract" again, it continues'
            )
        return cls(place, document)

    @property
    def is_generated(self) -> bool:
        """Whether pictures are rendered as they are read, rather than stored."""
        return self.document.generated.drives > 0

    @property
    def tally(self) -> dict[str, int]:
        """What became of the messages: how many by outcome."""
        return dict(self.document.progress.tally)

    def frames(self, camera: int) -> FrameTable:
        """The pictures of one camera."""
        return self._tables[camera]

    def image(self, camera: int, index: int) -> NDArray[np.uint8]:
        """One picture, RGB uint8 [3, H, W]: a read-only view of the memory map, or rendered.

        Raises:
            IndexError: there is no such picture; negative indices are none.
        """
        if not 0 <= index < len(self._tables[camera]):
            raise IndexError(
                f'picture {index} of camera {camera}: there are {len(self._tables[camera])}'
            )
        if self._rendered is not None:
            return self._rendered.picture(camera, index)
        shard, place = divmod(index, self.document.frames_per_shard(camera))
        picture = self._shards[camera][shard][place]
        return np.broadcast_to(picture, (3, self.height, self.width))

    def __reduce__(self) -> tuple[object, ...]:
        """Send the path instead of the pixels."""
        return FrameStore.open, (self.path,)


def _rendered_pictures(document: StoreDocument) -> RenderedPictures:
    """What renders the pictures of a generated store."""
    # Only here: it takes torch and all of the generated world.
    from monodepth2_training.data.generated_drives import GeneratedDrives
    from monodepth2_training.data.rendered_pictures import RenderedPictures

    drives = GeneratedDrives(
        settings=document.generated, width=document.width, height=document.height
    )
    return RenderedPictures(drives)


def _read_table(store: Path, document: StoreDocument, camera: int) -> FrameTable:
    path = store_document.index_path(store, camera)
    count = document.progress.frames[camera]
    _check_length(path, count * store_document.RECORD.itemsize)
    records = np.fromfile(path, store_document.RECORD)
    columns = {name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()}
    for column in columns.values():
        column.flags.writeable = False
    return FrameTable(stamps_ns=columns.pop('stamp_ns'), **columns)


def _map_shards(
    store: Path, document: StoreDocument, camera: int
) -> tuple[NDArray[np.uint8], ...]:
    """Map each shard, uint8 [frames, C, H, W]."""
    shards: list[NDArray[np.uint8]] = []
    channels = document.cameras[camera].channels
    for number, frames in enumerate(document.shard_frames(camera)):
        path = store_document.shard_path(store, camera, number)
        _check_length(path, frames * document.frame_bytes(camera))
        shape = (frames, channels, document.height, document.width)
        # A plain array: np.memmap's own class costs microseconds at every indexing.
        shards.append(np.asarray(np.memmap(path, np.uint8, 'r', shape=shape)))
    return tuple(shards)


def _check_length(path: Path, expected: int) -> None:
    """Refuse a file that is missing or of another length."""
    length = path.stat().st_size if path.exists() else -1
    if length != expected:
        state = 'is missing' if length < 0 else f'holds {length} bytes'
        raise RecordingError(
            f'{path} {state}, expected {expected}: the frame store is damaged; delete it and '
            'extract it afresh ("monodepth2 extract": add --force)'
        )
