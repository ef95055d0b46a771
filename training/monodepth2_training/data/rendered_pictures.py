# SPDX-License-Identifier: Apache-2.0
"""Pictures of generated drives, rendered when they are asked for and kept while there is room."""

from __future__ import annotations

import mmap
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from monodepth2_ros.inference.preprocess import resized
from monodepth2_training.data.generated_drives import GeneratedDrives
from monodepth2_training.world.drive import Drive

LIVE_DRIVES = 96
"""Worlds that are held ready; others are built again."""

RESIZE = 'bilinear'
"""How rendered pictures are shrunk."""

_GIB = 2**30
_EMPTY = -1


class RenderedPictures:
    """The pictures of a generated store."""

    def __init__(self, drives: GeneratedDrives) -> None:
        """Prepare; nothing is rendered yet."""
        self._drives = drives
        self._device = torch.device(drives.settings.device)
        self._drive = lru_cache(maxsize=LIVE_DRIVES)(self._built)
        self._kept = PictureMemory(
            pictures=drives.settings.drives * drives.settings.frames * drives.sides,
            shape=(3, drives.height, drives.width),
            most_bytes=round(drives.settings.memory_gib * _GIB),
        )

    def picture(self, camera: int, index: int) -> NDArray[np.uint8]:
        """One picture, RGB uint8 [3, H, W], without the lens's distortion."""
        place = self._drives.place(camera, index)
        number = (place.drive * self._drives.settings.frames + place.frame) * self._drives.sides
        number += place.side
        picture = self._kept.get(number)
        if picture is None:
            drive = self._drive(place.drive)
            rgb = drive.picture(place.frame, right_m=place.right_m, straight=True)
            picture = self._shrunk(rgb)
            self._kept.put(number, picture)
        return picture

    def _shrunk(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A rendered picture [H, W, 3] at the size of the store, [3, h, w]."""
        width, height = self._drives.width, self._drives.height
        return np.ascontiguousarray(
            resized(rgb, width=width, height=height, resize=RESIZE)[0].numpy()
        )

    def _built(self, drive: int) -> Drive:
        return Drive(self._drives.drive_settings(drive), self._device)


class PictureMemory:
    """Pictures by number, in memory that forked processes share; each number has one slot.

    Nothing is locked: a slot says whose picture it holds, and who reads looks before and after.
    """

    def __init__(self, *, pictures: int, shape: tuple[int, ...], most_bytes: int) -> None:
        """Make room for ``pictures`` uint8 of a shape, or for as many as ``most_bytes`` hold."""
        size = int(np.prod(shape))
        self._slots = min(pictures, most_bytes // (size + 8))
        if self._slots:
            owners = 8 * self._slots
            memory = np.frombuffer(mmap.mmap(-1, owners + self._slots * size), np.uint8)
            self._owners = memory[:owners].view(np.int64)
            self._pixels = memory[owners:].reshape(self._slots, *shape)
            self._owners.fill(_EMPTY)

    def get(self, number: int) -> NDArray[np.uint8] | None:
        """A copy of a picture; None if it is not here."""
        if not self._slots:
            return None
        slot = number % self._slots
        if self._owners[slot] != number:
            return None
        picture = self._pixels[slot].copy()
        return picture if self._owners[slot] == number else None

    def put(self, number: int, picture: NDArray[np.uint8]) -> None:
        """Keep a picture, in place of another one if need be."""
        if self._slots:
            slot = number % self._slots
            self._owners[slot] = _EMPTY
            self._pixels[slot] = picture
            self._owners[slot] = number
