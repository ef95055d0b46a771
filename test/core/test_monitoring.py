# SPDX-License-Identifier: Apache-2.0
"""No frame is lost without a cause, and every figure of the diagnostics by hand values."""

from __future__ import annotations

import random

import pytest

from monodepth2_ros.frame_monitor import FrameMonitor
from monodepth2_ros.monitoring import (
    DeliveryCheck,
    Drop,
    DurationWindow,
    FrameLedger,
    LogThrottle,
    RateWindow,
    SilenceWatch,
)

MS_NS = 1_000_000


def test_received_is_published_plus_drops_plus_in_flight():
    ledger = FrameLedger()
    for _ in range(10):
        ledger.received()
    for _ in range(4):
        ledger.published()
    for cause in (Drop.REPLACED, Drop.REPLACED, Drop.BAD_IMAGE):
        ledger.dropped(cause)
    counts = ledger.counts()
    assert (counts.received, counts.published, counts.in_flight) == (10, 4, 3)
    assert counts.dropped == {Drop.REPLACED: 2, Drop.BAD_IMAGE: 1}


def test_a_steady_stream_has_its_rate():
    window = RateWindow(5.0)
    for k in range(300):
        window.add(k / 30)
    assert window.rate_hz(299 / 30) == pytest.approx(30.0, abs=0.01)


def test_the_rate_falls_when_the_stream_stops():
    window = RateWindow(5.0)
    for k in range(31):
        window.add(k / 10)
    assert window.rate_hz(3.05) == pytest.approx(10.0)
    assert window.rate_hz(5.0) == pytest.approx(6.0)
    assert window.rate_hz(20.0) == 0.0


def test_one_event_has_no_rate():
    window = RateWindow()
    window.add(1.0)
    assert window.rate_hz(1.0) == 0.0


def test_percentiles_by_nearest_rank():
    window = DurationWindow()
    for value in range(100, 0, -1):
        window.add(value / 1000)
    summary = window.summary()
    assert (summary.p50_s, summary.p95_s, summary.max_s) == (0.050, 0.095, 0.100)


@pytest.mark.parametrize('duration_s', [-0.001, 61.0, float('nan'), float('inf')])
def test_an_impossible_latency_is_left_out(duration_s):
    window = DurationWindow()
    window.add(duration_s)
    assert window.summary() is None


def test_silence_counts_from_the_start_and_then_from_the_last_frame():
    watch = SilenceWatch(10.0)
    assert (watch.heard, watch.silent_s(12.0)) == (False, 2.0)
    watch.seen(12.5)
    assert (watch.heard, watch.silent_s(13.0)) == (True, 0.5)


def test_one_line_a_second_for_each_cause():
    throttle = LogThrottle(1.0)
    assert throttle.admit('a', 0.0) == 0
    assert throttle.admit('a', 0.5) is None
    assert throttle.admit('a', 0.9) is None
    assert throttle.admit('b', 0.9) == 0
    assert throttle.admit('a', 1.1) == 2
    assert throttle.admit('a', 2.2) == 0


def test_images_missing_beside_camera_info_are_noticed():
    check = DeliveryCheck()
    for k in range(150):
        check.camera_info(k / 30)
        if k % 7 == 0:
            check.image(k / 30, k * 33 * MS_NS)
    assert check.finding(5.0) == 'only 22 images arrived beside 150 camera_info'


def test_camera_info_alone_is_noticed_although_no_image_ever_came():
    check = DeliveryCheck()
    for k in range(30):
        check.camera_info(k / 30)
    assert check.finding(1.0) == 'only 0 images arrived beside 30 camera_info'


def test_randomly_missing_images_show_in_their_stamps():
    check = DeliveryCheck()
    choice = random.Random(5)
    for k in range(300):
        if choice.random() < 0.25:
            check.image(k / 60, k * 10 * MS_NS)
    assert 'only' in check.finding(5.0)
    assert 'stamps are multiples of' in check.finding(5.0)


@pytest.mark.parametrize('every', [1, 2, 5])
def test_a_camera_whose_every_image_arrives_is_not_accused(every):
    check = DeliveryCheck()
    for k in range(0, 150, every):
        check.image(k / 30, k * 33 * MS_NS + (k % 3) * MS_NS)
        check.camera_info(k / 30)
    assert check.finding(5.0) is None


RHYTHMS_MS = {
    'a pause': [*range(0, 4000, 100), *range(7000, 12_000, 100)],
    'from 30 to 10 Hz': [*range(0, 5000, 33), *range(5000, 12_000, 100)],
    'from 15 to 60 Hz': [*range(0, 5000, 66), *range(5000, 12_000, 16)],
    'pairs': sorted([*range(0, 12_000, 100), *range(10, 12_000, 100)]),
    'bursts of three': sorted(k + each for k in range(0, 12_000, 300) for each in (0, 20, 40)),
}


@pytest.mark.parametrize('with_camera_info', [True, False])
@pytest.mark.parametrize('jitter_ms', [0, 2])
@pytest.mark.parametrize('times_ms', RHYTHMS_MS.values(), ids=RHYTHMS_MS.keys())
def test_a_camera_with_a_rhythm_of_its_own_is_not_accused(times_ms, jitter_ms, with_camera_info):
    check, choice = DeliveryCheck(), random.Random(5)
    for time_ms in times_ms:
        taken_ms = time_ms + choice.randint(-jitter_ms, jitter_ms)
        check.image(taken_ms / 1000, taken_ms * MS_NS)
        if with_camera_info:
            check.camera_info(taken_ms / 1000)
        assert check.finding(taken_ms / 1000) is None


def test_images_that_come_at_random_are_not_accused_beside_as_many_camera_info():
    check, choice = DeliveryCheck(), random.Random(5)
    for k in range(300):
        if choice.random() < 0.25:
            check.image(k / 60, k * 10 * MS_NS)
            check.camera_info(k / 60)
    assert check.finding(5.0) is None


@pytest.mark.parametrize('rate_hz', [30, 60])
@pytest.mark.parametrize('arriving', [0.2, 0.3, 0.4])
def test_losses_show_in_the_stamps_beside_a_rare_camera_info_too(arriving, rate_hz):
    check, choice = DeliveryCheck(), random.Random(5)
    found = []
    for k in range(30 * rate_hz):
        if k % (rate_hz // 3) == 0:
            check.camera_info(k / rate_hz)
        if choice.random() < arriving:
            check.image(k / rate_hz, k * 1000 // rate_hz * MS_NS)
            found.append(check.finding(k / rate_hz) is not None)
    assert sum(found) > 0.6 * len(found)


def test_images_without_stamps_are_not_accused():
    check = DeliveryCheck()
    for k in range(60):
        check.image(k / 30, 0)
    assert check.finding(2.0) is None


def test_a_camera_info_topic_that_is_slower_than_the_images_is_no_loss():
    check = DeliveryCheck()
    for k in range(150):
        check.image(k / 30, k * 33 * MS_NS)
        if k % 10 == 0:
            check.camera_info(k / 30)
    assert check.finding(5.0) is None


def test_a_backward_jump_is_noted_and_restarts_the_latency():
    monitor = FrameMonitor(0.0)
    assert not monitor.received(1.0, stamp_ns=5_000 * MS_NS)
    monitor.published(1.1, received_s=1.0, stamp_age_s=0.2, stages_s={'infer': 0.05})
    assert monitor.received(2.0, stamp_ns=1_000 * MS_NS)
    report = monitor.report(2.0)
    assert report.backward_jumps == 1
    assert report.stamp_to_publish is None
    assert report.receive_to_publish.p50_s == pytest.approx(0.1)
    assert report.stages['infer'].max_s == 0.05


def test_failures_in_a_row_are_counted_until_an_answer():
    monitor = FrameMonitor(0.0)
    assert monitor.dropped(Drop.FAILED) == 1
    assert monitor.dropped(Drop.BAD_IMAGE) == 1
    assert monitor.dropped(Drop.FAILED) == 2
    monitor.published(1.0, received_s=1.0, stamp_age_s=0.0, stages_s={})
    assert monitor.dropped(Drop.FAILED) == 1


def test_a_restart_keeps_the_counts_and_forgets_the_windows():
    monitor = FrameMonitor(0.0)
    monitor.received(1.0, stamp_ns=1)
    monitor.restart(9.0)
    report = monitor.report(10.0)
    assert report.counts.received == 1
    assert (report.heard, report.silent_s, report.output_age_s) == (False, 1.0, None)
