# SPDX-License-Identifier: Apache-2.0
"""How good predicted motion is: the paper's snippets, KITTI's drift, and evo's pose errors."""
