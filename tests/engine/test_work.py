"""Tests of the processing of a pack in a worker, without Ray: when rows are committed, and what is reported."""

from dataclasses import replace

import pytest
from support import toys as performers
from support.toys import toy_sweep

from sweeper.engine import work
from sweeper.engine.faults import Fault
from sweeper.engine.pack_scheduler import Order
from sweeper.engine.work import InputWeights, StoreRefusedError, Work, with_data_folder
from sweeper.engine.worker import from_plain, to_plain
from sweeper.errors import WeightsError
from sweeper.plan.plan import Plan
from sweeper.plan.time_limit import TimeLimit
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
    """A clock that a test sets."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def store(tmp_path):
    """Create an empty store."""
    return Store.open(str(tmp_path / "store"), create=True)


@pytest.fixture
def clock():
    """Return a clock at 0 s."""
    return Clock()


def outcomes(pack, clock, seconds=1.0):
    """Yield the receipts of a pack, one every `seconds` on the clock."""
    for outcome in performers.perform_immediately(pack, None):
        clock.seconds += seconds
        yield outcome


def begin(pack, store, clock, task_outcomes=None, final=False, **options):
    """Return the work on a pack in its fourth try (attempts count from 0)."""
    return Work(
        Order(pack, 3, final, TimeLimit(3600.0, "engine.timeout")),
        task_outcomes or outcomes(pack, clock),
        run="run",
        store=store,
        clock=clock,
        **options,
    )


def test_rows_are_committed_every_few_seconds_and_at_the_end(store, clock):
    pack_work = begin(STITCH, store, clock, flush_seconds=2)
    reports = []
    while not (report := pack_work.advance()).over:
        reports.append(report)
        assert store.done() == {STITCH.tasks[index] for r in reports for index in r.finished}, (
            "a task is stored before it is reported"
        )
    assert [len(r.finished) for r in reports] == [2] * (len(STITCH.tasks) // 2)
    assert [r.seconds for r in reports] == [2.0 * (number + 1) for number in range(len(reports))]
    assert store.done() == set(STITCH.tasks)
    assert report.fault is None


def test_rows_have_the_run_the_attempt_and_the_version(store, clock):
    begin(STITCH, store, clock).advance()
    [row] = store.sql("select distinct run, attempt, code from stitches").to_pylist()
    assert (row["run"], row["attempt"]) == ("run", 3)
    assert row["code"]


def test_weights_are_stored_before_the_row_that_names_them(store, clock, monkeypatch):
    def commit(rows, **_):
        assert all(store.get_weights(row.weights) for row in rows)

    monkeypatch.setattr(store, "commit", commit)
    report = begin(TRAIN, store, clock).advance()
    assert list(report.weights) == [0]
    assert store.get_weights(report.weights[0]) == f"weights of {TRAIN.tasks[0]}".encode()


def test_weights_whose_digest_differs_from_the_row_are_refused(store, clock):
    [outcome] = performers.perform_immediately(TRAIN, None)
    outcome.weights = b"others"
    report = begin(TRAIN, store, clock, iter([outcome])).advance()
    assert (report.finished, report.raised) == ([], [0])
    assert "but the performer returned weights with the digest" in report.error
    assert store.done() == set()


def test_a_failure_is_final_when_no_retry_is_left(store, clock):
    row = FailureRow(task=STITCH.tasks[1], of="stitches", error="E", message="m", traceback="t", final=False)
    task_outcomes = list(performers.perform_immediately(STITCH, None))
    task_outcomes[1] = performers.Outcome([row])
    first = begin(STITCH, store, clock, iter(task_outcomes)).advance()
    assert (first.failed, first.raised, first.error) == ([], [1], "E: m")
    last = begin(STITCH, store, clock, iter(task_outcomes), final=True).advance()
    assert (last.failed, last.raised) == ([1], [])


def test_a_gpu_out_of_memory_is_reported_as_a_fault_that_splits_the_pack(store, clock):
    row = FailureRow(
        task=STITCH.tasks[0], of="stitches", error="OutOfMemoryError", message="CUDA", traceback="", final=False
    )
    task_outcomes = [performers.Outcome([row]), *list(performers.perform_immediately(STITCH, None))[1:]]
    report = begin(STITCH, store, clock, iter(task_outcomes), final=True).advance()
    assert (report.fault, report.failed, report.raised) == (Fault.MEMORY, [], [0])


def test_an_error_outside_of_any_task_fails_the_open_task_only_if_there_is_one(store, clock):
    assert begin(STITCH, store, clock).advance().fault is None

    def raise_before_the_last_two():
        yield from list(performers.perform_immediately(STITCH, None))[:-2]
        raise RuntimeError("it broke")

    report = begin(STITCH, store, clock, raise_before_the_last_two()).advance()
    assert (report.fault, report.error) == (Fault.CRASHED, "RuntimeError: it broke")
    assert "it broke" in report.trace
    assert len(report.finished) == len(STITCH.tasks) - 2

    report_of_one_task = begin(TRAIN, store, clock, iter_raising(ValueError("no"))).advance()
    assert (report_of_one_task.fault, report_of_one_task.raised, report_of_one_task.error) == (
        None,
        [0],
        "ValueError: no",
    )


def iter_raising(error):
    """Return an iterator that raises at its first step."""
    raise error
    yield


def test_an_ending_run_stops_after_the_current_task(store, clock):
    pack_work = begin(STITCH, store, clock)
    pack_work.ending = True
    report = pack_work.advance()
    assert (report.finished, report.fault, report.over) == ([0], Fault.LOST, True)
    assert store.done() == {STITCH.tasks[0]}


def test_the_finished_tasks_of_an_abandoned_pack_are_stored(store, clock):
    finished = list(performers.perform_immediately(STITCH, None))[:2]
    pack_work = begin(STITCH, store, clock)
    for outcome in finished:
        pack_work._take(outcome)
    report = pack_work.abandon(Fault.TIMEOUT, "too long")
    assert (report.finished, report.fault, report.error) == ([0, 1], Fault.TIMEOUT, "too long")
    assert store.done() == set(STITCH.tasks[:2])


def test_the_watchdog_does_not_wait_for_a_store_that_hangs(store, clock):
    pack_work = begin(STITCH, store, clock)
    with pack_work._lock:
        report = pack_work.abandon(Fault.TIMEOUT, "too long", lock_timeout=0.01)
    assert report.finished == []


def test_a_failed_commit_is_tried_again_and_the_last_failure_is_raised(store, clock, monkeypatch):
    waits, commit, calls = [], store.commit, []
    monkeypatch.setattr(work.time, "sleep", waits.append)

    def fail_twice(rows, **names):
        calls.append(1)
        if len(calls) < 3:
            raise OSError("try again")
        return commit(rows, **names)

    monkeypatch.setattr(store, "commit", fail_twice)
    assert begin(STITCH, store, clock).advance().over
    assert waits == [1, 2]
    assert store.done() == set(STITCH.tasks)

    def refuse(rows, **names):
        raise OSError("no space left")

    monkeypatch.setattr(store, "commit", refuse)
    with pytest.raises(StoreRefusedError, match="no space left"):
        begin(STITCH, store, clock).advance()


def test_a_report_is_unchanged_by_the_conversion_to_plain_values(store, clock):
    report = begin(TRAIN, store, clock).advance()
    assert from_plain(to_plain(report)) == report
    with_fault = replace(report, fault=Fault.TIMEOUT, error="late", trace="there")
    assert from_plain(to_plain(with_fault)) == with_fault


@pytest.mark.parametrize("pack", [TRAIN, STITCH], ids=["train", "stitch"])
def test_the_folder_of_the_data_set_is_filled_in(pack):
    data = replace(TRAIN.training.data, where="/data/here")
    assert with_data_folder(pack, TRAIN.training.data) is pack
    filled = with_data_folder(pack, data)
    assert filled.tasks == pack.tasks
    models = filled.models if isinstance(filled, TrainPack) else [filled.a, *(task.b for task in filled.stitches)]
    assert {model.training.data.where for model in models} == {"/data/here"}


@pytest.mark.parametrize("shows", ["a row", "an exception"])
def test_lost_weights_of_an_input_end_a_pack_without_a_failure_for_good(store, clock, shows):
    """Check both what `trials.perform` does, which yields rows, and a performer that raises."""
    inputs = InputWeights(store)

    def perform():
        try:
            inputs.load("w" * 64)
        except WeightsError as error:
            if shows == "an exception":
                raise
            for task in STITCH.tasks:
                row = FailureRow(
                    task=task, of="stitches", error=type(error).__name__, message=str(error), traceback="", final=False
                )
                yield performers.Outcome([row])

    report = begin(STITCH, store, clock, perform(), final=True, inputs=inputs).advance()
    assert (report.over, report.fault, report.lost_weights) == (True, Fault.WEIGHTS, ["w" * 64])
    assert (report.failed, report.groups) == ([], [])
    assert store.failed() == set()
    assert from_plain(to_plain(report)) == report
