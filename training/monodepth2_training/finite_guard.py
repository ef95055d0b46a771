# SPDX-License-Identifier: Apache-2.0
"""Keeps numbers that are not finite out of the weights, and says which batch they came from.

The decision is taken on the device, by the switch that fused Adam has for it (``found_inf``), so
that a GPU is not waited for; the count follows one step later. All processes of a distributed run
decide alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import distributed

from monodepth2_ros.errors import TrainingError
from monodepth2_training.run.processes import has_others


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    """Whether a step was skipped, perhaps still on its way from the device."""

    step: int
    bad: torch.Tensor
    loss: torch.Tensor
    ids: torch.Tensor
    ready: torch.cuda.Event | None


class FiniteGuard:
    """Judges each step; counts, reports and limits those that are skipped."""

    def __init__(self, limit: int, describe: Callable[[torch.Tensor], str]) -> None:
        """Start with a clean record.

        Args:
            limit: number of skipped steps in a row that ends the training.
            describe: turns a batch's ids, int64 [B, 2], into words.
        """
        self._limit = limit
        self._describe = describe
        self._pending: deque[_Verdict] = deque()
        self.skipped = 0
        self._in_a_row = 0

    def judge(
        self, loss: torch.Tensor, parameters: Sequence[torch.nn.Parameter], clip: float = 0.0
    ) -> torch.Tensor:
        """Whether a step has to be skipped, after its gradients were computed.

        Args:
            loss: scalar.
            parameters: those with gradients.
            clip: greatest norm of the whole gradient; longer ones are shortened. 0 for none.

        Returns:
            float32 scalar on the loss's device: 1 if loss or gradient is not finite, else 0.
        """
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if clip > 0.0:
            torch.nn.utils.clip_grads_with_norm_(parameters, clip, norm)
        bad = (~torch.isfinite(loss.detach() + norm)).float()
        if has_others():
            distributed.all_reduce(bad, distributed.ReduceOp.MAX)
        return bad

    def note(self, step: int, bad: torch.Tensor, loss: torch.Tensor, ids: torch.Tensor) -> None:
        """Remember a verdict until it is read."""
        ready = None
        if bad.is_cuda:
            bad, loss, ids = (_on_its_way(tensor) for tensor in (bad, loss.detach(), ids))
            ready = torch.cuda.current_stream().record_event()
        self._pending.append(_Verdict(step=step, bad=bad, loss=loss, ids=ids, ready=ready))

    def read(self, *, wait: bool) -> list[str]:
        """Read the verdicts.

        Args:
            wait: whether to wait for the last step's, too, where it is still being computed.

        Returns:
            one line for each skipped step.

        Raises:
            TrainingError: too many in a row were skipped.
        """
        lines = []
        while self._pending and (wait or len(self._pending) > 1 or not self._pending[0].ready):
            line = self._settle(self._pending.popleft())
            lines += [line] if line else []
        return lines

    def _settle(self, verdict: _Verdict) -> str:
        """Count one step; a line if it was skipped."""
        if verdict.ready is not None:
            verdict.ready.synchronize()
        if not bool(verdict.bad):
            self._in_a_row = 0
            return ''
        self.skipped += 1
        self._in_a_row += 1
        line = f'step {verdict.step}: {self._cause(verdict)}'
        if self._in_a_row >= self._limit:
            raise TrainingError(
                f'{line}; {self._in_a_row} steps in a row could not be used. The last checkpoint '
                'is good: look at the frames named, or lower optimisation.learning_rate, and '
                'resume with --resume'
            )
        return f'{line}; the step is skipped ({self.skipped} in all)'

    def _cause(self, verdict: _Verdict) -> str:
        """What was not finite, and for which frames if it was due to those of this process."""
        if not torch.isfinite(verdict.loss):
            return f'the loss is {float(verdict.loss):g} for {self._describe(verdict.ids)}'
        if has_others():
            return "this process's loss is finite, another's or the gradient is not"
        return f'the gradient is not finite for {self._describe(verdict.ids)}'


def _on_its_way(tensor: torch.Tensor) -> torch.Tensor:
    """A copy in pinned memory that may not have arrived yet."""
    return torch.empty_like(tensor, device='cpu', pin_memory=True).copy_(tensor, non_blocking=True)
