# SPDX-License-Identifier: Apache-2.0
"""Dense depth from one camera, live in ROS 2: what runs on the robot."""

__version__ = '0.1.0'
