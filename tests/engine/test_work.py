"""A pack in a worker's hands, without Ray: what is committed when, and what is told."""

from dataclasses import replace

import pytest
from support import toys as performers
from support.toys import toy_sweep

from sweeper.engine import work
from sweeper.engine.faults import Fault
from sweeper.engine.pack_scheduler import Order
from sweeper.engine.work import StoreRefusedError, Work, with_data_folder
from sweeper.engine.worker import from_plain, to_plain
from sweeper.plan.plan import Plan
from sweeper.spec.records.rows import FailureRow
from sweeper.spec.records.task import TrainPack
from sweeper.store.store import Store

PACKS = list(Plan.of(toy_sweep()).packs())
TRAIN = next(pack for pack in PACKS if isinstance(pack, TrainPack))
STITCH = next(
    replace(pack, weights=dict.fromkeys(pack.inputs, "w" * 64))
    for pack in PACKS
    if not isinstance(pack, TrainPack) and len(pack.tasks) > 3
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path):
    return Store.open(str(tmp_path / "store"), create=True)


@pytest.fixture
def clock():
    return Clock()


def outcomes(pack, clock, seconds=1.0, after=None):
    """Receipts, one every so many seconds; then what `after` does."""
    for outcome in performers.nothing(pack, None):
        clock.now += seconds
        yield outcome
    if after:
        raise after


def begin(pack, store, clock, result=None, final=False, **more):
    return Work(Order(pack, 3, final), result or outcomes(pack, clock), run="run", store=store, clock=clock, **more)


def test_rows_are_committed_every_few_seconds_and_at_the_end(store, clock):
    shift = begin(STITCH, store, clock, flush_seconds=2)
    reports = []
    while not (report := shift.advance()).over:
        reports.append(report)
        assert store.done() == {STITCH.tasks[index] for r in reports for index in r.finished}, "what is told is stored"
    assert [len(r.finished) for r in reports] == [2] * (len(STITCH.tasks) // 2)
    assert store.done() == set(STITCH.tasks)
    assert report.fault is None


def test_rows_say_whose_they_are(store, clock):
    begin(STITCH, store, clock).advance()
    [row] = store.sql("select distinct run, attempt, code from stitches").to_pylist()
    assert (row["run"], row["attempt"]) == ("run", 3)
    assert row["code"]


def test_weights_come_before_the_row_that_names_them(store, clock, monkeypatch):
    def commit(rows, **_):
        assert all(store.get_weights(row.weights) for row in rows)

    monkeypatch.setattr(store, "commit", commit)
    report = begin(TRAIN, store, clock).advance()
    assert list(report.weights) == [0]
    assert store.get_weights(report.weights[0]) == f"weights of {TRAIN.tasks[0]}".encode()


def test_weights_that_are_not_what_the_row_names_are_refused(store, clock):
    [outcome] = performers.nothing(TRAIN, None)
    outcome.weights = b"others"
    report = begin(TRAIN, store, clock, iter([outcome])).advance()
    assert (report.finished, report.raised) == ([], [0])
    assert "not what came with it" in report.error
    assert store.done() == set()


def test_a_failure_is_final_when_the_budget_is_spent(store, clock):
    row = FailureRow(task=STITCH.tasks[1], of="stitches", error="E", message="m", traceback="t", final=False)
    done = list(performers.nothing(STITCH, None))
    done[1] = performers.Outcome([row])
    first = begin(STITCH, store, clock, iter(done)).advance()
    assert (first.failed, first.raised, first.error) == ([], [1], "E: m")
    last = begin(STITCH, store, clock, iter(done), final=True).advance()
    assert (last.failed, last.raised) == ([1], [])


def test_a_gpu_that_ran_out_of_memory_asks_for_half(store, clock):
    row = FailureRow(
        task=STITCH.tasks[0], of="stitches", error="OutOfMemoryError", message="CUDA", traceback="", final=False
    )
    done = [performers.Outcome([row]), *list(performers.nothing(STITCH, None))[1:]]
    report = begin(STITCH, store, clock, iter(done), final=True).advance()
    assert (report.fault, report.failed, report.raised) == (Fault.MEMORY, [], [0])


def test_an_error_outside_the_tasks_blames_the_one_that_is_left_or_nobody(store, clock):
    several = begin(STITCH, store, clock, outcomes(STITCH, clock, after=None)).advance()
    assert several.fault is None

    def broken():
        yield from list(performers.nothing(STITCH, None))[:-2]
        raise RuntimeError("it broke")

    report = begin(STITCH, store, clock, broken()).advance()
    assert (report.fault, report.error) == (Fault.CRASHED, "RuntimeError: it broke")
    assert "it broke" in report.trace
    assert len(report.finished) == len(STITCH.tasks) - 2

    alone = begin(TRAIN, store, clock, iter_raising(ValueError("no"))).advance()
    assert (alone.fault, alone.raised, alone.error) == (None, [0], "ValueError: no")


def iter_raising(error):
    raise error
    yield


def test_an_ending_run_stops_after_the_current_task(store, clock):
    shift = begin(STITCH, store, clock)
    shift.ending = True
    report = shift.advance()
    assert (report.finished, report.fault, report.over) == ([0], Fault.LOST, True)
    assert store.done() == {STITCH.tasks[0]}


def test_an_abandoned_pack_leaves_what_was_ready(store, clock):
    taken = list(performers.nothing(STITCH, None))[:2]
    shift = begin(STITCH, store, clock)
    for outcome in taken:
        shift._take(outcome)
    report = shift.abandon(Fault.TIMEOUT, "too long")
    assert (report.finished, report.fault, report.error) == ([0, 1], Fault.TIMEOUT, "too long")
    assert store.done() == set(STITCH.tasks[:2])


def test_the_watchdog_does_not_wait_for_a_store_that_hangs(store, clock):
    shift = begin(STITCH, store, clock)
    with shift._lock:
        report = shift.abandon(Fault.TIMEOUT, "too long", patience=0.01)
    assert report.finished == []


def test_a_store_that_hiccups_is_waited_for_and_one_that_refuses_is_reported(store, clock, monkeypatch):
    slept, real, calls = [], store.commit, []
    monkeypatch.setattr(work.time, "sleep", slept.append)

    def hiccup(rows, **names):
        calls.append(1)
        if len(calls) < 3:
            raise OSError("try again")
        return real(rows, **names)

    monkeypatch.setattr(store, "commit", hiccup)
    assert begin(STITCH, store, clock).advance().over
    assert slept == [1, 2]
    assert store.done() == set(STITCH.tasks)

    def refuse(rows, **names):
        raise OSError("no space left")

    monkeypatch.setattr(store, "commit", refuse)
    with pytest.raises(StoreRefusedError, match="no space left"):
        begin(STITCH, store, clock).advance()


def test_a_report_survives_what_tune_does_to_it(store, clock):
    report = begin(TRAIN, store, clock).advance()
    assert from_plain(to_plain(report)) == report
    lost = replace(report, fault=Fault.TIMEOUT, error="late", trace="there")
    assert from_plain(to_plain(lost)) == lost


@pytest.mark.parametrize("pack", [TRAIN, STITCH], ids=["train", "stitch"])
def test_the_place_of_the_data_is_filled_in(pack):
    here = replace(TRAIN.training.data, where="/data/here")
    assert with_data_folder(pack, TRAIN.training.data) is pack
    there = with_data_folder(pack, here)
    assert there.tasks == pack.tasks
    models = there.models if isinstance(there, TrainPack) else [there.a, *(task.b for task in there.stitches)]
    assert {model.training.data.where for model in models} == {"/data/here"}
