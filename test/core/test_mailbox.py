# SPDX-License-Identifier: Apache-2.0
"""The newest item wins, every replaced one is known, and an error never ends the worker."""

from __future__ import annotations

import threading

import pytest

from monodepth2_ros.mailbox import Mailbox, RateLimiter, Worker

WAIT_S = 10.0


class Recorder:
    """Collects handled items; can be held so that items pile up in the mailbox."""

    def __init__(self) -> None:
        self.items: list[object] = []
        self.errors: list[Exception] = []
        self.threads: set[int] = set()
        self.busy = threading.Event()
        self.release = threading.Event()
        self.release.set()

    def handle(self, item: object) -> None:
        self.threads.add(threading.get_ident())
        self.busy.set()
        assert self.release.wait(WAIT_S)
        if item == 'bad':
            raise ValueError('bad item')
        self.items.append(item)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def worker(recorder):
    worker = Worker(recorder.handle, on_error=recorder.errors.append, name='test worker')
    yield worker
    recorder.release.set()
    assert worker.stop(WAIT_S)


def test_a_mailbox_gives_what_was_put():
    mailbox = Mailbox()
    assert mailbox.put(1) is None
    assert mailbox.take() == 1


def test_the_newest_item_replaces_the_waiting_one():
    mailbox = Mailbox()
    mailbox.put(1)
    assert mailbox.put(2) == 1
    assert mailbox.replaced == 1
    assert mailbox.take() == 2


def test_an_interrupt_lets_take_return_once():
    mailbox = Mailbox()
    mailbox.interrupt()
    assert mailbox.take() is None
    mailbox.put(3)
    assert mailbox.take() == 3


def test_clearing_returns_the_waiting_item():
    mailbox = Mailbox()
    mailbox.put(1)
    assert mailbox.clear() == 1
    assert mailbox.clear() is None


def test_a_busy_worker_answers_only_the_newest(worker, recorder):
    recorder.release.clear()
    worker.offer(0)
    assert recorder.busy.wait(WAIT_S)
    replaced = [worker.offer(number) for number in range(1, 100)]
    recorder.release.set()
    worker.run(lambda: None)
    worker.run(lambda: None)
    assert recorder.items == [0, 99]
    assert replaced == [None, *range(1, 99)]


def test_an_error_is_reported_and_the_next_item_answered(worker, recorder):
    worker.offer('bad')
    worker.run(lambda: None)
    worker.offer('good')
    worker.run(lambda: None)
    worker.run(lambda: None)
    assert [str(err) for err in recorder.errors] == ['bad item']
    assert recorder.items == ['good']


def test_an_error_in_reporting_an_error_does_not_end_the_worker(recorder, capfd):
    def broken(err):
        raise RuntimeError('nothing can be reported')

    worker = Worker(recorder.handle, on_error=broken)
    for item in ('bad', 'good'):
        worker.offer(item)
        worker.run(lambda: None)
    worker.run(lambda: None)
    assert recorder.items == ['good']
    assert worker.stop(WAIT_S)
    assert 'nothing can be reported' in capfd.readouterr().err


def test_jobs_and_items_share_one_thread(worker, recorder):
    worker.offer(1)
    job_thread = worker.run(threading.get_ident)
    worker.run(lambda: None)
    assert recorder.threads == {job_thread}
    assert job_thread != threading.get_ident()


def test_a_job_may_run_another_job(worker):
    assert worker.run(lambda: worker.run(lambda: 7)) == 7


def test_the_error_of_a_job_is_raised_to_the_caller(worker):
    with pytest.raises(ZeroDivisionError):
        worker.run(lambda: 1 // 0)


def test_a_timeout_raised_by_the_job_itself_reaches_the_caller(worker):
    def job():
        raise TimeoutError('from the job')

    with pytest.raises(TimeoutError, match='from the job'):
        worker.run(job)


def test_waiting_for_a_job_can_be_given_up(worker):
    gate = threading.Event()
    with pytest.raises(TimeoutError, match='test worker was stopped before the job was done'):
        worker.run(lambda: gate.wait(WAIT_S), keep_waiting=lambda: False)
    gate.set()


def test_stopping_a_held_worker_says_that_it_is_still_busy(worker, recorder):
    recorder.release.clear()
    worker.offer(1)
    assert recorder.busy.wait(WAIT_S)
    assert not worker.stop(0.01)


def test_a_rate_limit_keeps_every_third_frame_of_a_jittering_camera():
    limiter = RateLimiter()
    jitter_s = (0.0, 0.004, -0.003, 0.002)
    times_s = [100 + k / 30 + jitter_s[k % 4] for k in range(300)]
    admitted = sum(limiter.admits(time_s, 10.0) for time_s in times_s)
    assert 99 <= admitted <= 101


def test_a_rate_limit_lets_a_camera_of_25_hz_through_at_10_hz():
    limiter = RateLimiter()
    admitted = sum(limiter.admits(100 + k / 25, 10.0) for k in range(250))
    assert 98 <= admitted <= 102


def test_a_rate_limit_does_not_save_up_for_a_burst():
    limiter = RateLimiter()
    assert limiter.admits(0.0, 1.0)
    admitted = [limiter.admits(100.0 + 0.01 * k, 1.0) for k in range(50)]
    assert sum(admitted) <= 2


def test_no_rate_limit_admits_everything():
    limiter = RateLimiter()
    assert all(limiter.admits(1.0, 0.0) for _ in range(10))


def test_a_higher_rate_holds_at_once():
    limiter = RateLimiter()
    assert limiter.admits(100.0, 0.01)
    assert not limiter.admits(101.0, 0.01)
    admitted = sum(limiter.admits(102.0 + 0.1 * k, 10.0) for k in range(10))
    assert admitted >= 9
