# SPDX-License-Identifier: Apache-2.0
"""In which order samples come, for each process of a run, in every epoch anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from monodepth2_ros.errors import TrainingError


class EpochSampler(Sampler[int]):
    """One process's share of a shuffled epoch, in whole steps.

    The order follows from (seed, epoch) alone. A step takes the next ``world_size * batch_size``
    samples of it, and each process an equal part: any number of processes sees the same steps.
    Every sample comes at most once an epoch; those of a last, incomplete step are left out, and
    those beyond ``most``. Fewer samples than a step make one smaller step.

    Attributes:
        batch_size: samples of one step in this process.
        epoch: whose order comes next.
        first_batch: where this epoch is begun; for runs that go on in the middle.
    """

    def __init__(
        self,
        samples: int,
        *,
        batch_size: int,
        seed: int,
        most: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Prepare epoch 0.

        Args:
            samples: how many there are.
            batch_size: samples of one step in each process.
            seed: 0 or more.
            most: of them that one epoch takes, others in each; 0 for all.
            rank: number of this process.
            world_size: number of processes.

        Raises:
            TrainingError: there are fewer samples than processes.
        """
        if samples < world_size:
            raise TrainingError(
                f'{samples} training sample(s) for {world_size} process(es): expected one each '
                'at least; record more, or start fewer processes'
            )
        self._taken = min(samples, max(most, world_size) if most else samples)
        self.batch_size = min(batch_size, self._taken // world_size)
        self.epoch, self.first_batch = 0, 0
        self._samples, self._seed = samples, seed
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        """Samples of a whole epoch in this process."""
        steps = self._taken // (self.batch_size * self._world_size)
        return steps * self.batch_size

    def __iter__(self) -> Iterator[int]:
        """Indices from ``first_batch`` on."""
        steps = self._order()[: len(self) * self._world_size]
        mine = steps.reshape(-1, self._world_size, self.batch_size)[self.first_batch :, self._rank]
        return iter(mine.ravel().tolist())

    def set_epoch(self, epoch: int) -> None:
        """Choose an epoch, from its beginning unless it is the one chosen already."""
        if epoch != self.epoch:
            self.epoch, self.first_batch = epoch, 0

    def _order(self) -> NDArray[np.int64]:
        """The order of an epoch, [samples].

        A counter-based generator needs no state of the epochs before, and its raw numbers are the
        same in every version of NumPy.
        """
        raw = np.random.Philox(key=[self._seed, self.epoch]).random_raw(self._samples)
        return np.argsort(raw, kind='stable')


def validation_order(samples: int, *, rank: int = 0, world_size: int = 1) -> range:
    """One process's share of the validation samples, in fixed order; none is left out.

    A process without a share repeats one, since all have to take part in averaging.
    """
    return range(rank, samples, world_size) if rank < samples else range(min(samples, 1))
