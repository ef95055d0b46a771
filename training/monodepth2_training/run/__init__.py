# SPDX-License-Identifier: Apache-2.0
"""One training run: its folder, its checkpoints, what it writes down, and how it ends."""
