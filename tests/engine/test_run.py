"""Whole sweeps of toys, scheduled by a real Ray Tune on two workers."""

from sweeper.engine.pack_scheduler import PackScheduler
from sweeper.spec.records.task import TrainPack


def test_a_whole_sweep(toys):
    """Each task once, by warm workers, none before its models, and no barrier: a stitch whose A and B exist runs
    while another model still trains."""
    slow = toys.plan.models[-1].id
    toys.rules({slow: "after 12"})  # ends once 12 tasks have begun: more than the models
    summary = toys.run()
    assert (summary.outcome, summary.tasks, summary.done, summary.failed) == ("complete", 84, 84, 0)
    assert toys.store.done() == set(toys.plan.ids())
    assert toys.seen[-1].done == 84

    assert sorted(task for task, _, _ in toys.log) == sorted(toys.plan.ids()), "each task once"
    packs = len(list(toys.plan.packs()))
    assert len({process for _, process, _ in toys.log}) <= 4 < packs, "warm workers are reused"
    at = {task: time for task, _, time in toys.log}  # toys.perform asserts that the weights are there
    assert all(at[pack.a.id] < min(at[task] for task in pack.tasks) for pack in toys.plan.packs() if pack.inputs)

    start, end = toys.store.runs()
    assert (start.event, start.tasks, start.done_before) == ("start", 84, 0)
    assert (end.event, end.outcome, end.done, end.failed) == ("end", "complete", 84, 0)
    rows = toys.store.sql("select distinct run, attempt, code <> '' as code, versions from stitches").to_pylist()
    assert [(row["run"], row["attempt"], row["code"]) for row in rows] == [(summary.run, 0, True)]
    assert '"torch"' in rows[0]["versions"]

    again = toys.run()
    assert (again.outcome, again.done_before, again.done) == ("complete", 84, 0)
    assert len(toys.log) == 84, "nothing is done twice"


def test_each_fault_stays_with_its_task(toys):
    """A task that raises, one that raises once, one that kills its worker, one that fells its pack, one that hangs,
    one of which nothing is said, and a model that fails: all others are done in the same run."""
    packs = [pack for pack in toys.plan.packs() if not isinstance(pack, TrainPack)]
    model = packs[-1].a.id
    needy = {task for pack in packs if model in pack.inputs for task in pack.tasks}
    healthy = sorted((pack for pack in packs if model not in pack.inputs), key=lambda pack: len(pack.tasks))
    raising, shaky, silent, crashing = (pack.tasks[len(pack.tasks) // 2] for pack in healthy[-4:])
    hanging, killing = [pack.tasks[1] for pack in healthy[:-4] if len(pack.tasks) > 1][:2]
    toys.rules(
        {
            model: "raise no such luck",
            raising: "raise bad luck",
            shaky: "once",
            silent: "silent",
            killing: "kill",
            crashing: "crash",
            hanging: "hang",
        }
    )
    summary = toys.run(toys.with_engine(timeout=6))
    assert summary.outcome == "failed"

    assert toys.failures() == {
        model: ("ValueError", "no such luck", True),
        raising: ("ValueError", "bad luck", True),
        silent: ("NoOutcome", "the performer ended without an outcome for this task", True),
        killing: ("worker killed", toys.failures()[killing][1], True),
        crashing: ("RuntimeError", f"the pack fell over {crashing}", True),
        hanging: ("timeout", "no task ended within 6 s", True),
    }
    assert (summary.failed, summary.blocked) == (6, len(needy))
    assert summary.done == 84 - 6 - len(needy)
    assert not needy & {task for task, _, _ in toys.log}
    assert toys.attempts(shaky) == [(0, "failed"), (1, "done")]
    assert toys.attempts(raising) == [(0, "failed"), (1, "failed")]

    toys.rules({})
    again = toys.run()
    assert (again.outcome, again.done) == ("complete", 6 + len(needy)), "failed is never done"


def test_a_sweep_in_which_everything_fails_is_stopped(toys):
    toys.models_done()
    toys.rules({"*": "raise the settings are wrong"})
    summary = toys.run()
    assert summary.outcome == "failed"
    assert "the settings are wrong" in summary.message
    assert len(toys.log) < 60, "of 80 tasks, each of which might be tried twice"


def test_fit_follows_fit(toys, monkeypatch):
    """One ends when an error escapes from Tune, one when Tune has had enough trials; the next goes on where it
    stopped. What the packs that were out had committed, but not told, may be done again."""
    told, real = [], PackScheduler.on_report

    def told_once(self, pack_id, report):
        real(self, pack_id, report)
        told.append(pack_id)
        if len(told) == 8:
            raise RuntimeError("Caught unexpected exception: the sky fell")

    monkeypatch.setattr(PackScheduler, "on_report", told_once)
    monkeypatch.setattr("sweeper.engine.run.ROTATION", 6)  # of some 24 packs
    summary = toys.run()
    assert (summary.outcome, summary.done) == ("complete", 84)
    attempts = toys.store.sql("select task from attempts where outcome = 'done'")["task"].to_pylist()
    assert set(attempts) == set(toys.plan.ids())
    largest = max(len(pack.tasks) for pack in toys.plan.packs())
    assert len(attempts) - 84 <= largest, "one other worker had one pack in hand"
    assert len({process for _, process, _ in toys.log}) >= 3, "each fit has workers of its own"
