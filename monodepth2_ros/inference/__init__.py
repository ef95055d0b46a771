# SPDX-License-Identifier: Apache-2.0
"""From an image to depth, point cloud and colours, without ROS: one module for each stage."""
