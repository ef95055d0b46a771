# SPDX-License-Identifier: Apache-2.0
"""Generated drives, commands and training for monodepth2_ros: what the robot never runs."""
