"""Tests of whole sweeps of toy tasks with Ray Tune and two workers."""

import random
import socket
import threading
import time
from pathlib import Path

import pytest
from support.damage import flipped
from support.stopwatch import Stopwatch
from support.toys import toy_sweep

from sweeper.engine.guard_process import process_state
from sweeper.engine.pack_scheduler import PackScheduler
from sweeper.plan.pack import tasks_of_kind
from sweeper.plan.plan import Plan
from sweeper.spec.records.task import TrainPack
from sweeper.store.parts import store_paths


def test_each_task_runs_once_and_after_its_models(toys):
    """Check also that workers are reused, and that a stitch whose models exist runs while another model trains."""
    slow_model = toys.plan.models[-1].id
    toys.set_rules({slow_model: "after 12"})  # it ends when 12 tasks have begun, so some of them are stitches
    summary = toys.run()
    assert (summary.outcome, summary.tasks, summary.done, summary.failed) == ("complete", 84, 84, 0)
    assert toys.store.done() == set(toys.plan.ids())
    assert toys.statuses[-1].done == 84

    assert sorted(task for task, _, _ in toys.log) == sorted(toys.plan.ids()), "each task once"
    packs = len(list(toys.plan.packs()))
    assert len({process for _, process, _ in toys.log}) <= 4 < packs, "workers are reused"
    start_times = {task: time for task, _, time in toys.log}  # toys.perform checks the weights
    assert all(
        start_times[pack.a.id] < min(start_times[task] for task in pack.tasks)
        for pack in toys.plan.packs()
        if pack.inputs
    )

    start, end = toys.store.runs()
    assert (start.event, start.tasks, start.done_before) == ("start", 84, 0)
    assert (end.event, end.outcome, end.done, end.failed) == ("end", "complete", 84, 0)
    rows = toys.store.sql("select distinct run, attempt, code <> '' as code, versions from stitches").to_pylist()
    assert [(row["run"], row["attempt"], row["code"]) for row in rows] == [(summary.run, 0, True)]
    assert '"torch"' in rows[0]["versions"]

    second = toys.run()
    assert (second.outcome, second.done_before, second.done) == ("complete", 84, 0)
    assert len(toys.log) == 84, "no task runs twice"


def test_a_fault_affects_only_its_own_task(toys):
    """Check that all other tasks are done in a run with seven kinds of faulty tasks.

    A task raises, raises once, kills its worker, raises outside of any task, hangs or has no outcome, or is a model
    that fails.
    """
    packs = [pack for pack in toys.plan.packs() if not isinstance(pack, TrainPack)]
    model = packs[-1].a.id
    dependent_tasks = {task for pack in packs if model in pack.inputs for task in pack.tasks}
    other_packs = sorted((pack for pack in packs if model not in pack.inputs), key=lambda pack: len(pack.tasks))
    raising, raising_once, silent, crashing = (pack.tasks[len(pack.tasks) // 2] for pack in other_packs[-4:])
    hanging, killing = [pack.tasks[1] for pack in other_packs[:-4] if len(pack.tasks) > 1][:2]
    toys.set_rules(
        {
            model: "raise no such luck",
            raising: "raise bad luck",
            raising_once: "once",
            silent: "silent",
            killing: "kill",
            crashing: "crash",
            hanging: "hang",
        }
    )
    summary = toys.run(toys.with_engine(timeout=6.0))
    assert summary.outcome == "failed"

    assert toys.failures() == {
        model: ("ValueError", "no such luck", True),
        raising: ("ValueError", "bad luck", True),
        silent: ("NoOutcome", "the performer ended without an outcome for this task", True),
        killing: ("worker killed", toys.failures()[killing][1], True),
        crashing: ("RuntimeError", f"the pack raised at task {crashing}", True),
        hanging: ("timeout", "no task ended within 6 s (engine.timeout)", True),
    }
    assert (summary.failed, summary.blocked) == (6, len(dependent_tasks))
    assert summary.done == 84 - 6 - len(dependent_tasks)
    assert not dependent_tasks & {task for task, _, _ in toys.log}
    assert toys.attempts(raising_once) == [(0, "failed"), (1, "done")]
    assert toys.attempts(raising) == [(0, "failed"), (1, "failed")]
    columns = "task, run, code <> '' AS code, host, signal, exit_code, log, attempts, place"
    rows = {row["task"]: row for row in toys.store.sql(f"SELECT {columns} FROM failures").to_pylist()}
    assert {(row["run"], row["code"], row["host"]) for row in rows.values()} == {
        (summary.run, True, socket.gethostname())
    }
    assert (rows[killing]["signal"], rows[killing]["exit_code"]) == ("SIGKILL", None)
    assert (rows[hanging]["signal"], rows[hanging]["exit_code"]) == (None, 1)
    assert (rows[raising]["signal"], rows[raising]["exit_code"]) == (None, None)
    assert f"{killing} is about to be killed" in rows[killing]["log"]
    assert rows[killing]["attempts"] == len(toys.attempts(killing)) >= 3, "each death leaves a row"
    assert rows[crashing]["place"].startswith("support/toys.py:")

    toys.set_rules({})
    begun = len(toys.log)
    second = toys.run()
    assert (second.outcome, second.done, second.failed, second.failed_before) == ("failed", 0, 0, 6)
    assert second.blocked == len(dependent_tasks)
    assert len(toys.log) == begun, "failed tasks stay failed"
    third = toys.run(retry_failed=True)
    assert (third.outcome, third.done) == ("complete", 6 + len(dependent_tasks))


def test_a_kind_of_which_every_task_fails_is_stopped_and_its_other_tasks_stay_missing(toys):
    stitches = [task for pack in toys.plan.packs() if pack.inputs for task in tasks_of_kind(pack, "stitches")]
    toys.set_rules({task: f"raise task {number} is wrong" for number, task in enumerate(stitches)})
    summary = toys.run()
    assert (summary.outcome, summary.done) == ("failed", 44), "all models and similarities are done"
    tried = [task for task, _, _ in toys.log if task in stitches]
    assert 20 <= len(tried) < 40, "of 40 stitches, each of which might be tried twice"
    [line] = summary.message.splitlines()
    assert "stitches failed with ValueError and none succeeded meanwhile" in line
    assert "is wrong; `sweeper rerun --store" in line
    assert toys.store.runs()[-1].outcome == "failed"

    toys.set_rules({})
    second = toys.run()
    assert second.done == 40 - second.failed_before, "the tasks that were not started are run"


@pytest.mark.slow
def test_a_new_fit_continues_after_an_error_of_tune_and_after_its_last_pack(toys, monkeypatch):
    """Check that only tasks that were committed but not reported before the error of Tune run twice."""
    reported_packs, on_report = [], PackScheduler.on_report

    def raise_at_the_eighth_report(self, pack_id, report):
        on_report(self, pack_id, report)
        reported_packs.append(pack_id)
        if len(reported_packs) == 8:
            raise RuntimeError("Caught unexpected exception")

    monkeypatch.setattr(PackScheduler, "on_report", raise_at_the_eighth_report)
    monkeypatch.setattr("sweeper.engine.fits.PACKS_PER_FIT", 6)  # packs of a fit, of about 24
    summary = toys.run()
    assert (summary.outcome, summary.done) == ("complete", 84)
    attempts = toys.store.sql("select task from attempts where outcome = 'done'")["task"].to_pylist()
    assert set(attempts) == set(toys.plan.ids())
    largest = max(len(pack.tasks) for pack in toys.plan.packs())
    assert len(attempts) - 84 <= largest, "the other worker had at most one pack"
    assert len({process for _, process, _ in toys.log}) >= 3, "each fit has its own workers"


@pytest.mark.slow
def test_workers_are_busy_from_the_first_task_to_the_last(toys):
    """Check four workers whose uneven packs take half to one and a half times the seconds that were estimated.

    They sleep for a minute in all, so that the seconds in which the processes of the workers start count little.
    """
    sweep = toy_sweep(workers=4, cpus=0.5, pack_seconds=1)
    packs, chance = list(Plan.of(sweep).packs()), random.Random(0)
    scale = 4 * 60 / sum(pack.seconds for pack in packs)
    seconds = {pack.id: scale * pack.seconds * chance.uniform(0.5, 1.5) for pack in packs}
    assert max(seconds.values()) > 4 * min(seconds.values())
    toys.set_rules({task: f"sleep {seconds[pack.id] / len(pack.tasks)}" for pack in packs for task in pack.tasks})
    assert toys.run(sweep).outcome == "complete"
    first = min(at for _, _, at in toys.log)
    last = toys.store.sql('select max("at") as t from attempts')["t"][0].as_py().timestamp()
    assert sum(seconds.values()) > 0.9 * 4 * (last - first)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["stop", "hold"])
def test_a_worker_that_can_not_run_its_watchdog_is_killed_within_half_a_minute(toys, rule):
    """Check a worker that is stopped (SIGSTOP), and one in a call that holds the interpreter."""
    toys.store_models()
    pack = min((pack for pack in toys.plan.packs() if pack.inputs), key=lambda pack: len(pack.tasks))
    faulty = pack.tasks[-1]
    toys.set_rules({faulty: rule})
    stopwatch = Stopwatch()
    summary = toys.run(toys.with_engine(timeout=10.0))
    assert (summary.outcome, summary.done, summary.failed) == ("failed", 79, 1)
    error, message, _ = toys.failures()[faulty]
    assert error == "timeout"
    assert message == "no task ended within 10 s (engine.timeout), and the worker did not respond, so it was killed"
    tries = [(pid, at) for task, pid, at in toys.log if task == faulty]
    last_row = toys.store.sql('select max("at") as t from attempts')["t"][0].as_py().timestamp()
    assert last_row - tries[0][1] - stopwatch.busy_seconds < 40 * len(tries), "timeout + 30 s for each try"
    assert not any(process_state(pid) for pid, _ in tries)


@pytest.mark.parametrize("damage", ["flip", pytest.param("delete", marks=pytest.mark.slow)])
def test_weights_that_are_lost_during_a_run_are_made_again_in_this_run(toys, damage):
    toys.store_models()
    toys.set_rules({"*": "gate 0"})
    lost = toys.plan.models[0]
    file = Path(toys.store.url, store_paths.weights(toys.store.weights()[lost.id]))

    def damage_at_the_first_task():
        while not toys.log:
            time.sleep(0.05)
        file.unlink() if damage == "delete" else file.write_bytes(flipped(file.read_bytes(), 9))
        toys.open_gate()

    thread = threading.Thread(target=damage_at_the_first_task)
    thread.start()
    summary = toys.run()
    thread.join()
    assert (summary.outcome, summary.done, summary.failed) == ("complete", 80, 0)
    assert toys.store.done() == set(toys.plan.ids())
    assert [task for task, _, _ in toys.log].count(lost.id) == 1, "the model was trained again"
    assert toys.store.failed() == set()
    assert toys.store.get_weights(toys.store.weights()[lost.id])


@pytest.mark.parametrize("damage", ["delete", "flip"])
def test_weights_that_were_damaged_before_a_run_are_made_again(toys, damage):
    toys.store_models()
    lost = toys.plan.models[0]
    file = Path(toys.store.url, store_paths.weights(toys.store.weights()[lost.id]))
    file.unlink() if damage == "delete" else file.write_bytes(flipped(file.read_bytes(), 9))
    assert lost.id not in toys.store.done()
    summary = toys.run_only(lost.id)
    assert (summary.outcome, summary.done) == ("complete", 1)
    assert lost.id in toys.store.done()


@pytest.mark.slow
def test_any_text_of_an_error_is_stored(toys):
    packs = sorted((pack for pack in toys.plan.packs() if pack.inputs), key=lambda pack: len(pack.tasks))
    raising, crashing = packs[0].tasks[0], packs[1].tasks[0]
    toys.store_models()
    toys.set_rules({raising: "raise caf\udce9\0", crashing: "crash caf\udce9\x1b[1m"})
    summary = toys.run()
    assert (summary.outcome, summary.failed) == ("failed", 2)
    assert toys.failures()[raising] == ("ValueError", "caf\\udce9\0", True)
    assert toys.failures()[crashing][1].endswith("caf\\udce9\x1b[1m")
    second = toys.run()
    assert (second.failed, second.failed_before) == (0, 2)
    assert {(group.tasks, group.task) for group in second.failures} == {(1, raising), (1, crashing)}
    toys.set_rules({})
    single = toys.run_only(raising)
    assert (single.outcome, single.done, toys.store.failed()) == ("complete", 1, {crashing})
    assert toys.run(retry_failed=True).outcome == "complete", "failed tasks can be tried again"
