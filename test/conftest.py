# SPDX-License-Identifier: Apache-2.0
"""Property-based tests take as long as the machine needs, and try the same values every time."""

from hypothesis import settings

settings.register_profile('suite', deadline=None, derandomize=True)
settings.load_profile('suite')
