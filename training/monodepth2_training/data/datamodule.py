# SPDX-License-Identifier: Apache-2.0
"""Batches of triplets for the trainer, every sample once an epoch and resumable to the sample."""

from __future__ import annotations

from monodepth2_training.data.dataset import TripletBatch

__all__ = ['TripletBatch']
