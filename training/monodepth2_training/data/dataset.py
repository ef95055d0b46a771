# SPDX-License-Identifier: Apache-2.0
"""Training items out of a frame store, and the batch that they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from monodepth2_training.data.frame_store import FrameStore
from monodepth2_training.data.network_unit import positions_units
from monodepth2_training.data.triplets import Sample


class TripletBatch(NamedTuple):
    """B items with S sources each, collated; moves to a device as it is."""

    target: Tensor
    """uint8 [B, 3, H, W], RGB."""
    sources: Tensor
    """uint8 [B, S, 3, H, W], RGB, in the order of ``source_names``."""
    K: Tensor
    """float32 [B, 3, 3], intrinsics of the target's camera in pixels of H x W."""
    K_sources: Tensor
    """float32 [B, S, 3, 3], intrinsics of the sources' cameras in pixels of H x W."""
    T_target_to_cameras: Tensor
    """float32 [B, S, 4, 4] from the target's camera to that of each source as they are mounted,
    translation in network units of the target's camera; the identity where it is the same one."""
    travelled_units: Tensor
    """float32 [B, S], distance between target and source by odometry in network units of the
    target's camera; NaN where there is none that can be trusted, or nobody asked for it."""
    ids: Tensor
    """int64 [B, 2]: camera and frame index of the target; names a batch in messages."""


class TripletDataset(Dataset[TripletBatch]):
    """Samples of a store by number.

    A whole batch is read at once, each picture copied a single time: from the memory map to its
    place in the batch. Only paths and numbers go to worker processes.
    """

    def __init__(
        self,
        store: FrameStore,
        samples: Sequence[Sample],
        *,
        travelled_units: NDArray[np.float64] | None = None,
    ) -> None:
        """Take samples of one mode.

        Args:
            store: where the pictures are.
            samples: at least one.
            travelled_units: [N, S], what batches say under this name of each sample and source;
                None for NaN.
        """
        self._store = store
        self._frames = frame_indices(samples)
        self._K = torch.from_numpy(np.stack([c.camera.K for c in store.cameras])).float()
        self._x_units = torch.from_numpy(positions_units(store.cameras)).float()
        travelled = torch.full((len(samples), self._frames.shape[1] - 1), torch.nan)
        if travelled_units is not None:
            travelled.copy_(torch.from_numpy(travelled_units))
        self._travelled = travelled

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._frames)

    def __getitem__(self, index: int) -> TripletBatch:
        """One sample as a batch of one."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> TripletBatch:
        """Several samples as one batch; a ``DataLoader`` calls this."""
        chosen = list(indices)
        frames = self._frames[chosen]
        cameras = torch.from_numpy(frames[..., 0].astype(np.int64))
        return TripletBatch(
            target=self._pictures(frames[:, 0]),
            sources=self._pictures(frames[:, 1:]),
            K=self._K[cameras[:, 0]],
            K_sources=self._K[cameras[:, 1:]],
            T_target_to_cameras=self._T_between(cameras[:, :1], cameras[:, 1:]),
            travelled_units=self._travelled[chosen],
            ids=torch.from_numpy(frames[:, 0].astype(np.int64)),
        )

    def _T_between(self, targets: Tensor, sources: Tensor) -> Tensor:
        """From cameras [B, 1] to cameras [B, S] by number: float32 [B, S, 4, 4]."""
        T = torch.eye(4).repeat(*sources.shape, 1, 1)
        T[..., 0, 3] = self._x_units[targets] - self._x_units[sources]
        return T

    def _pictures(self, frames: NDArray[np.int32]) -> Tensor:
        """Pictures of cameras and indices [..., 2]: uint8 [..., 3, H, W]."""
        size = (3, self._store.height, self._store.width)
        pictures = np.empty((*frames.shape[:-1], *size), np.uint8)
        for place, frame in zip(pictures.reshape(-1, *size), frames.reshape(-1, 2), strict=True):
            place[...] = self._store.image(int(frame[0]), int(frame[1]))
        return torch.from_numpy(pictures)


def frame_indices(samples: Sequence[Sample]) -> NDArray[np.int32]:
    """Camera and index of the target and the sources of samples of one mode, [N, 1 + S, 2]."""
    return np.array([((s.camera, s.target), *s.sources) for s in samples], np.int32)
