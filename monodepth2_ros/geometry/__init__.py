# SPDX-License-Identifier: Apache-2.0
"""Cameras, depth and projection: the conventions of docs/conventions.md as code."""
