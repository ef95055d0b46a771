# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

import pytest

from monodepth2_ros.errors import DeviceError, ExportError
from monodepth2_ros.optional_packages import load_package, missing_package


def test_a_package_that_is_there_is_not_missing_and_loads() -> None:
    assert missing_package('json') == ''
    decoder = load_package('json.decoder', cannot='nothing', error=ExportError)
    assert decoder is sys.modules['json.decoder']


def test_a_missing_package_says_what_cannot_be_done_and_how_to_get_it() -> None:
    with pytest.raises(ExportError) as caught:
        load_package('no_such.part', cannot='int8 cannot be made', error=ExportError)
    assert str(caught.value) == (
        'int8 cannot be made: Python has no no_such (pip install no_such)'
    )
    assert missing_package('no_such', install='ask') == 'Python has no no_such (ask)'


def test_a_package_that_does_not_import_says_why_and_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'half_installed.py').write_text("raise ImportError('libhalf.so.3 is not there')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert missing_package('half_installed') == ''
    with pytest.raises(DeviceError, match=r'engine half cannot be used: libhalf\.so\.3 is not'):
        load_package('half_installed', cannot='engine half cannot be used', error=DeviceError)
