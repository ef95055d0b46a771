# SPDX-License-Identifier: Apache-2.0
"""Names in the order in which people number them: ``part_2`` before ``part_10``."""

from __future__ import annotations

import re


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """What names are sorted by: numbers in them by value, then the letters themselves."""
    return [_word(word) for word in re.split(r'(\d+)', name)], name


def _word(word: str) -> tuple[int, str]:
    return (int(word), '') if word.isdecimal() else (-1, word)
