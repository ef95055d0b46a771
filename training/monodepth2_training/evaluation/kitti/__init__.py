# SPDX-License-Identifier: Apache-2.0
"""KITTI as it is shipped: calibration, lidar, test files and true depth of the raw drives."""
