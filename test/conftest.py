# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: no time limit of its own, the same values, nothing left in a home."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile('suite', deadline=None, derandomize=True)
settings.load_profile('suite')


@pytest.fixture(scope='session', autouse=True)
def cache_of_the_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep engine files out of the user's cache, in child processes as well."""
    folder = tmp_path_factory.mktemp('cache')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(folder))
        yield folder
