# SPDX-License-Identifier: Apache-2.0
"""The worst finding sets the level, and each one says what to do."""

from __future__ import annotations

from monodepth2_ros import health
from monodepth2_ros.frame_monitor import FrameMonitor
from monodepth2_ros.health import Level
from monodepth2_ros.monitoring import Drop


def test_the_worst_finding_comes_first():
    found = [health.remark('a'), health.error('b'), health.warning('c')]
    assert health.worst(found) == (Level.ERROR, 'b; c; a')


def test_no_finding_is_good_news():
    assert health.worst([]) == (Level.OK, 'giving depth')


def test_a_finding_keeps_its_key_while_its_figures_change():
    monitor = FrameMonitor(0.0)
    first, second = (
        health.stream_findings(monitor.report(now_s), camera_timeout_s=2.0)[0]
        for now_s in (3.0, 4.0)
    )
    assert first.text != second.text
    assert first.key == second.key == 'camera silent'


def test_a_camera_within_its_timeout_is_no_finding():
    monitor = FrameMonitor(0.0)
    monitor.received(1.0, stamp_ns=1)
    assert health.stream_findings(monitor.report(2.9), camera_timeout_s=2.0) == []


def test_lost_images_name_the_profile_and_the_page():
    monitor = FrameMonitor(0.0)
    monitor.received(1.0, stamp_ns=1)
    for _ in range(20):
        monitor.camera_info(1.0)
    (finding,) = health.stream_findings(monitor.report(1.5), camera_timeout_s=2.0)
    assert finding.level == Level.WARN
    assert 'only 1 images arrived beside 20 camera_info' in finding.text
    assert 'config/fastdds_large_messages.xml' in finding.text
    assert 'docs/deployment.md' in finding.text


def test_ten_failures_in_a_row_are_an_error():
    monitor = FrameMonitor(0.0)
    monitor.received(1.0, stamp_ns=1)
    for _ in range(10):
        monitor.dropped(Drop.FAILED)
    (finding,) = health.stream_findings(monitor.report(1.0), camera_timeout_s=2.0)
    assert (finding.level, finding.text) == (Level.ERROR, '10 frames in a row failed')


def test_images_that_give_no_depth_are_an_error_with_their_causes_until_one_does():
    monitor = FrameMonitor(0.0)

    def found(now_s):
        return health.stream_findings(monitor.report(now_s), camera_timeout_s=2.0)

    for now_s in (1.0, 2.0, 3.0, 4.0):
        monitor.received(now_s, stamp_ns=round(1e9 * now_s))
        monitor.dropped(Drop.UNSUPPORTED_ENCODING if now_s < 2.5 else Drop.REPLACED)
    assert found(2.9) == []
    (finding,) = found(4.0)
    assert finding.level == Level.ERROR
    assert finding.text == (
        'no depth for 3.0 s although images come: 2 x encoding not supported, '
        '2 x a newer frame came'
    )
    monitor.published(4.1, received_s=4.0, stamp_age_s=0.1, stages_s={})
    assert found(4.1) == []


def test_images_that_nobody_wants_answered_are_no_finding():
    monitor = FrameMonitor(0.0)
    for number in range(10):
        monitor.received(float(number), stamp_ns=number)
        monitor.dropped(Drop.BAD_IMAGE if number == 0 else Drop.DISABLED)
    assert health.stream_findings(monitor.report(9.0), camera_timeout_s=2.0) == []


def test_a_rate_limit_hides_no_fault():
    monitor = FrameMonitor(0.0)
    for number in range(10):
        monitor.received(float(number), stamp_ns=number)
        monitor.dropped(Drop.RATE_LIMITED if number % 2 else Drop.BAD_IMAGE)
    (finding,) = health.stream_findings(monitor.report(9.0), camera_timeout_s=2.0)
    assert '5 x image not decodable' in finding.text


def test_figures_show_every_cause_even_at_zero():
    monitor = FrameMonitor(0.0)
    monitor.received(1.0, stamp_ns=1)
    monitor.published(1.2, received_s=1.0, stamp_age_s=0.3, stages_s={'infer': 0.1})
    figures = health.stream_figures(monitor.report(1.2))
    assert {f'dropped: {cause.value}' for cause in Drop} <= set(figures)
    assert figures['latency stamp to publish (ms)'] == 'p50 300.0, p95 300.0, max 300.0'
    assert figures['stage infer (ms)'] == 'p50 100.0, p95 100.0, max 100.0'
    assert figures['age of newest depth (s)'] == '0.00'
