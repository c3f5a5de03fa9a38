"""Tests of runs whose bucket can't be reached for a while: a real server of S3, behind a proxy that disturbs it.

The toy tasks of the runs sleep, so that they last longer than the outage's beginning.
"""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import toys as performers
from support.compaction import all_views, fill_store, part_paths
from support.driver_process import Driver, until
from support.s3_proxy import CLOSED, LOST_ANSWER, UNAVAILABLE, S3Proxy
from support.s3_server import s3_server
from support.toys import toy_sweep

from sweeper.cli.compact import compact_store
from sweeper.engine.outage import Outage, StoreLost, WaitingStore
from sweeper.engine.pack_scheduler import Order
from sweeper.engine.rerun import perform_here
from sweeper.engine.work import Work
from sweeper.errors import StoreUnreachableError
from sweeper.plan.plan import Plan
from sweeper.plan.time_limit import TimeLimit
from sweeper.spec.job import resolve
from sweeper.spec.records.task import TrainPack
from sweeper.store.store import Store


class Clock:
    """A clock that goes on only where it is waited for."""

    seconds = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let the time go on."""
        self.seconds += seconds


@pytest.fixture(scope="module")
def server_port() -> Iterator[int]:
    """Start an S3 server and return its port."""
    with s3_server() as port:
        yield port


@pytest.fixture
def proxy(server_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """Return a proxy before the server, to which stores are opened from now on."""
    s3_proxy = S3Proxy(server_port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_proxy.url)
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    yield s3_proxy
    s3_proxy.close()


@pytest.fixture
def store(proxy: S3Proxy) -> Store:
    """Create an empty store in the bucket, behind the proxy."""
    return Store.open(f"s3://sweeps/{uuid.uuid4().hex}", create=True)


def failing_until(clock: Clock, end: float):
    """Return a function that raises until a time, and counts its calls."""
    calls = []

    def call() -> int:
        calls.append(clock.seconds)
        if clock.seconds < end:
            raise StoreUnreachableError("the store can't be reached: 503")
        return len(calls)

    return call


def test_a_call_is_repeated_until_the_store_answers_and_each_wait_is_told():
    clock, texts = Clock(), []
    outage = Outage(600.0, texts.append, clock=clock, sleep=clock.sleep)
    assert outage.wait_out(failing_until(clock, 45.0)) == 7  # at 0, 1, 3, 7, 15, 30 and 45 s
    assert set(texts[:-1]) == {"waiting for the store, for up to 10 min 0 s: the store can't be reached: 503"}
    assert (texts[-1], outage.text) == ("", "")
    assert outage.wait_out(lambda: "at once") == "at once"
    assert len(texts) == 7


def test_an_outage_that_lasts_too_long_is_given_up():
    clock = Clock()
    outage = Outage(20.0, clock=clock, sleep=clock.sleep)
    with pytest.raises(StoreUnreachableError, match="503; given up after 20 s"):
        outage.wait_out(failing_until(clock, 1e9))
    assert clock.seconds == 20.0
    assert outage.text == ""


def test_a_process_that_must_end_does_not_wait():
    clock = Clock()
    outage = Outage(600.0, may_wait=lambda: clock.seconds < 2.0, clock=clock, sleep=clock.sleep)
    with pytest.raises(StoreUnreachableError, match=r"503$"):
        outage.wait_out(failing_until(clock, 1e9))
    assert clock.seconds < 3.0


def test_other_errors_are_raised_at_once():
    with pytest.raises(ZeroDivisionError):
        Outage(600.0).wait_out(lambda: 1 // 0)


def test_a_worker_that_gives_up_blames_no_task(store: Store, proxy: S3Proxy):
    """Let the error pass through a performer, which records every other error as the failure of a task."""
    with proxy.outage(), pytest.raises(StoreLost, match=r"can't be reached.*given up after 1 s"):
        WaitingStore(store, Outage(1.0)).put_weights(b"x")
    assert not issubclass(StoreLost, Exception)


@pytest.mark.parametrize("kind", [CLOSED, LOST_ANSWER, UNAVAILABLE, "expired"])
def test_the_work_of_a_worker_waits_for_its_store_and_loses_nothing(
    store: Store, proxy: S3Proxy, monkeypatch, kind: str
):
    """Disturb the store while a pack is performed, for longer than obstore repeats a request."""
    pack = next(pack for pack in Plan.of(toy_sweep()).packs() if isinstance(pack, TrainPack))
    clock, texts = Clock(), []
    order = Order(pack, 0, True, TimeLimit(3600.0, "engine.timeout"))
    ended = threading.Event()

    def disturb() -> None:
        ended.wait(timeout=60)
        proxy.faults, proxy.expired_key = {}, ""

    def end_at_the_first_wait(text: str) -> None:
        texts.append(text)
        ended.set()

    waiting_store = WaitingStore(store, Outage(120.0, end_at_the_first_wait))
    pack_work = Work(order, performers.perform_immediately(pack, None), run="run", store=waiting_store, clock=clock)
    thread = threading.Thread(target=disturb)
    if kind == "expired":
        proxy.expired_key = "testing"
    else:
        proxy.faults = {kind: 1.0}
    thread.start()
    assert pack_work.advance().over
    ended.set()
    thread.join()
    assert store.done() == set(pack.tasks)
    assert store.sql("SELECT count(*) AS n FROM attempts")["n"].to_pylist() == [len(pack.tasks)]
    assert "for up to 2 min" in texts[0]
    assert texts[-1] == ""


@contextmanager
def away_after_two_writes(proxy: S3Proxy, capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """Let the bucket close connections after the second write in the block, until stderr says that it is waited for.

    Yields:
        What was printed on stderr in that time.
    """
    printed = [""]
    proxy.last_write = proxy.counts["PUT"] + 2

    def is_said() -> bool:
        printed[0] += capfd.readouterr().err
        return "waiting for the store, for up to 10 min 0 s" in printed[0]

    def end_when_said() -> None:
        until(is_said, timeout=60)
        proxy.last_write = 0

    thread = threading.Thread(target=end_when_said)
    thread.start()
    yield printed
    thread.join()
    assert is_said()


@pytest.mark.slow
def test_a_compaction_waits_for_its_store(store: Store, proxy: S3Proxy, capfd: pytest.CaptureFixture[str]):
    fill_store(store)
    expected = all_views(store)
    with away_after_two_writes(proxy, capfd) as printed:
        compact_store(store.url, dry_run=False, grace=0.0, wait=False)
    assert "the wait for the store is over" in printed[0]
    assert len(part_paths(store)) == 6
    assert all_views(store) == expected


def test_a_task_that_is_performed_again_in_this_process_waits_for_its_store(
    store: Store, proxy: S3Proxy, capfd: pytest.CaptureFixture[str]
):
    plan = Plan.of(toy_sweep())
    task = plan.ids()[0]
    with away_after_two_writes(proxy, capfd):
        rerun = perform_here(plan, task, store, commit=True, performer="support.toys:perform_immediately")
    assert rerun.error is None
    assert store.done() == {task}
    assert [run.event for run in store.runs()] == ["start", "end"]


def wait_in_a_run(folder: Path, store: Store, proxy: S3Proxy, seconds: float, wait_for_store: float):
    """Run the toy sweep with an outage of `seconds` in its middle; return the summary and what was printed."""
    job = folder / "job.json"
    job.write_text(resolve.to_json(toy_sweep(wait_for_store=wait_for_store, timeout=3600)))
    rules = folder / "rules.json"
    rules.write_text(json.dumps({"*": "sleep 0.5"}))
    driver = Driver(store.url, "support.toys:perform", str(job), TOYS=str(rules))
    try:
        assert until(lambda: len(store.done()) >= 6, timeout=500)
        with proxy.outage():
            time.sleep(seconds)
        return driver.end(timeout=600)
    finally:
        driver.kill_all()


@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.parametrize("seconds", [15.0, 300.0])
def test_an_outage_of_the_bucket_costs_a_run_no_task(tmp_path: Path, store: Store, proxy: S3Proxy, seconds: float):
    out, errors = wait_in_a_run(tmp_path, store, proxy, seconds, 600.0)
    assert out, errors
    summary = json.loads(out)
    assert (summary["outcome"], summary["failed"], summary["blocked"]) == ("complete", 0, 0)
    assert store.done() == set(Plan.of(toy_sweep()).ids())
    rows = store.sql("SELECT outcome, count(*) AS n, count(DISTINCT task) AS tasks FROM attempts GROUP BY ALL")
    assert rows.to_pylist() == [{"outcome": "done", "n": len(store.done()), "tasks": len(store.done())}]
    assert "waiting for the store, for up to 10 min 0 s" in errors
    assert store.url in errors


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_whose_bucket_stays_away_ends_and_is_continued(tmp_path: Path, store: Store, proxy: S3Proxy):
    out, errors = wait_in_a_run(tmp_path, store, proxy, 60.0, 3.0)
    assert out == ""
    assert "can't be reached" in errors
    assert "finished tasks are kept; `sweeper resume" in errors
    done = store.done()
    assert store.failed() == set()
    driver = Driver(store.url)
    try:
        out, errors = driver.end(timeout=600)
    finally:
        driver.kill_all()
    assert json.loads(out)["outcome"] == "complete", errors
    assert json.loads(out)["done_before"] == len(done)
