# SPDX-License-Identifier: Apache-2.0
"""Depth of stored pictures: images, folders, videos and bags in, depth files out."""
