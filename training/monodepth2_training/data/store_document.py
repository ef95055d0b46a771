# SPDX-License-Identifier: Apache-2.0
"""What lies in the folder of a frame store: the document ``store.json`` and the files it names.

A camera is a folder of raw uint8 shards, each ``frames_per_shard`` pictures [C, H, W] one after
the other, and an index of one fixed-size record a picture. The document is replaced as a whole at
every checkpoint and says how many pictures count: bytes beyond them are left over from a run that
was killed.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.errors import Monodepth2Error, RecordingError
from monodepth2_ros.geometry.camera import PinholeCamera
from monodepth2_ros.model_description import TrainingCamera
from monodepth2_ros.typed_document import decode
from monodepth2_training.data.generated_settings import GeneratedSettings

SCHEMA = 1
"""Number of this layout; another one is refused."""

DOCUMENT = 'store.json'
INDEX = 'index.bin'

RECORD = np.dtype(
    [
        ('stamp_ns', '<i8'),
        ('part', '<i4'),
        ('motion', '<f4'),
        ('brightness', '<f4'),
        ('clipped', '<f4'),
        ('odometry', '<f8', (8,)),
    ]
)
"""One picture in an index; the fields are those of ``FrameTable``."""

_SHARD_BYTES = 2**28


@dataclass(frozen=True, kw_only=True)
class StoredCamera:
    """One camera of a frame store."""

    name: str
    """Namespace of its topics, such as ``/camera/left``."""
    image_topic: str
    """Topic that its images come from."""
    camera: PinholeCamera
    """Intrinsics of the stored images."""
    source: TrainingCamera
    """The rectified, cropped camera before the resize: what goes into a model file."""
    position_m: float = 0.0
    """x of its centre in the rectified frame of the first camera."""
    channels: int = 3
    """1 for a grey recording, stored once and repeated on reading; else 3."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an extraction has come."""

    frames: tuple[int, ...]
    """Pictures stored of each camera."""
    recording: int = 0
    """Number of the recording being read."""
    earlier: tuple[int, ...] | None = None
    """Pictures of each camera that the recordings before it gave."""
    messages: tuple[int, ...] = ()
    """Image messages of it that are dealt with, of each camera."""
    cuts: tuple[bool, ...] = ()
    """Of each camera, whether a cut lies behind its last picture, at ones that were left out."""
    holes: tuple[bool, ...] = ()
    """Of each camera, whether pictures behind its last one could not be used."""
    tally: dict[str, int] = field(default_factory=dict)
    """What became of the messages: how many by outcome."""
    details: dict[str, str] = field(default_factory=dict)
    """The first message of each outcome that tells of a fault, in words."""
    notes: tuple[str, ...] = ()
    """What a user should know about the recordings: parts missing, damage."""
    complete: bool = False
    """Whether everything is stored."""


@dataclass(frozen=True, kw_only=True)
class StoreDocument:
    """The content of ``store.json``."""

    schema: int = SCHEMA
    """Number of the layout."""
    width: int
    """Columns of the stored pictures."""
    height: int
    """Rows of the stored pictures."""
    resize: str
    """How pictures were brought to this size: one of ``model_description.RESIZES``."""
    cameras: tuple[StoredCamera, ...]
    """The cameras, in the order of their folders."""
    sources: tuple[str, ...]
    """Names of the recordings."""
    arguments: dict[str, str]
    """What was asked for: a run with other arguments does not continue this store."""
    progress: Progress
    """How far the extraction has come."""
    generated: GeneratedSettings = field(default_factory=GeneratedSettings)
    """Drives that the pictures are rendered from; then there are no shards."""

    def frame_bytes(self, camera: int) -> int:
        """Bytes of one picture."""
        return self.cameras[camera].channels * self.height * self.width

    def frames_per_shard(self, camera: int) -> int:
        """Pictures in each shard but the last."""
        return max(1, _SHARD_BYTES // self.frame_bytes(camera))

    def shard_frames(self, camera: int) -> tuple[int, ...]:
        """Number of pictures in each shard; there is none where pictures are rendered."""
        if self.generated.drives:
            return ()
        full, rest = divmod(self.progress.frames[camera], self.frames_per_shard(camera))
        return (self.frames_per_shard(camera),) * full + ((rest,) if rest else ())


def camera_folder(store: Path, camera: int) -> Path:
    """The folder of one camera."""
    return store / f'camera_{camera}'


def index_path(store: Path, camera: int) -> Path:
    """The index of one camera."""
    return camera_folder(store, camera) / INDEX


def shard_path(store: Path, camera: int, shard: int) -> Path:
    """The file of one shard."""
    return camera_folder(store, camera) / f'pixels_{shard:05d}.u8'


def read_document(store: Path) -> StoreDocument:
    """Read ``store.json``.

    Raises:
        RecordingError: the folder is no frame store, or its document is damaged or too new.
    """
    path = store / DOCUMENT
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        schema = content.get('schema') if isinstance(content, dict) else None
        if schema != SCHEMA:
            raise RecordingError(
                f'{path} is of schema {schema!r}, this version reads {SCHEMA}: extract it afresh'
            )
        return decode(StoreDocument, content, DOCUMENT)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise RecordingError(
            f'{store} is no frame store: it holds no {DOCUMENT}; make one of a recording with '
            '"monodepth2 extract"'
        ) from err
    except RecordingError:
        raise
    except (OSError, ValueError, Monodepth2Error) as err:
        raise RecordingError(f'{path} is damaged: {err}; extract it afresh') from err


def write_document(store: Path, document: StoreDocument) -> None:
    """Replace ``store.json`` as a whole."""
    text = json.dumps(dataclasses.asdict(document), indent=1)
    write_atomically(store / DOCUMENT, text.encode())
