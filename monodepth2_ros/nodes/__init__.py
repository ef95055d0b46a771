# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 nodes: parameters and messages in, one call into the core, messages out."""
