# SPDX-License-Identifier: Apache-2.0
"""From a recording to training batches: bags, frame store, triplets, batches, augmentation."""
