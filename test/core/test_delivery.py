# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from monodepth2_ros.delivery import Delivery, from_line, to_line
from monodepth2_ros.errors import ConfigError
from monodepth2_ros.health import Level

GOOD = Delivery(middleware='rmw_x', message_bytes=2_764_800, sent=20, received=20, median_ms=6.84)


def test_an_outcome_survives_its_line() -> None:
    assert from_line(to_line(GOOD)) == GOOD


def test_what_arrived_is_said_with_size_and_delay() -> None:
    assert GOOD.summary() == '20 of 20 messages of 2.76 MB arrived, median 6.8 ms (rmw_x)'
    assert GOOD.finding().level is Level.OK


@pytest.mark.parametrize(
    ('received', 'arrives'), [(20, True), (18, True), (17, False), (0, False)]
)
def test_one_in_ten_may_get_lost(received: int, arrives: bool) -> None:
    assert replace(GOOD, received=received).arrives is arrives


def test_lost_messages_are_a_warning_with_the_remedy() -> None:
    finding = replace(GOOD, received=5).finding()
    assert finding.level is Level.WARN
    assert '5 of 20 messages' in finding.text
    assert 'fastdds_large_messages.xml' in finding.text


def test_processes_that_do_not_find_each_other_are_told_from_lost_messages() -> None:
    finding = replace(GOOD, sent=0, received=0).finding()
    assert 'do not find each other' in finding.text
    assert 'ROS_DOMAIN_ID' in finding.text


@pytest.mark.parametrize('line', ['', 'Traceback', '{"sent": 3}', '[]'])
def test_a_line_that_is_no_outcome_is_refused(line: str) -> None:
    with pytest.raises(ConfigError):
        from_line(line)
