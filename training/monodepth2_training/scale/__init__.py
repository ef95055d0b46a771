# SPDX-License-Identifier: Apache-2.0
"""Measures how many metres a unit of a network's depth is, from what a recording knows."""
