"""The books, without Ray: reports in, orders out."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.toys import toy_sweep

from sweeper.engine.faults import Budgets, Fault
from sweeper.engine.pack_scheduler import ABORT_AFTER_FAILURES, PackScheduler, Report
from sweeper.plan.plan import Plan
from sweeper.spec.job import resolve
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.records.task import TrainPack

PLAN = Plan.of(toy_sweep())
PACKS = list(PLAN.packs())


def scheduler(retries: int = 2, clock=lambda: 0.0) -> PackScheduler:
    return PackScheduler(PACKS, models=(), weights={}, tasks=84, done=0, budgets=Budgets(retries), clock=clock)


def everything(pack, **more) -> Report:
    weights = {index: f"of {task}" for index, task in enumerate(pack.tasks)} if isinstance(pack, TrainPack) else {}
    return Report(finished=list(range(len(pack.tasks))), weights=weights, over=True, **more)


def test_weights_are_pinned_when_a_pack_is_handed_out():
    boss = scheduler()
    while order := boss.next():
        if not isinstance(order.pack, TrainPack):
            assert order.pack.weights == {model: f"of {model}" for model in order.pack.inputs}
        boss.on_report(order.pack.id, everything(order.pack))
    assert boss.over
    assert boss.status().done == 84


def test_the_weights_that_a_run_begins_with_are_pinned_too():
    family = {"arch": "resnet18k", "width": 4, "samples": 100, "steps": 20}
    models = {"parent": family, "child": family | {"init_from": "parent"}}
    plan = Plan.of(resolve.resolve(Sweep.model_validate({"name": "x", "models": models})))
    boss = PackScheduler(plan.packs(), models=(), weights={}, tasks=2, done=0, budgets=Budgets(2), clock=lambda: 0.0)
    parent = boss.next()
    assert parent is not None
    assert (parent.pack.weights, boss.next()) == ({}, None)
    boss.on_report(parent.pack.id, everything(parent.pack))
    child = boss.next()
    assert child is not None
    assert child.pack.weights == {parent.pack.tasks[0]: f"of {parent.pack.tasks[0]}"}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.5), st.integers(0, 3))
def test_whatever_goes_wrong_each_task_ends_as_done_failed_or_blocked(seed, evil, retries):
    """Workers that report in pieces, raise, die, hang, lose their nodes: the books always balance, and end."""
    chance, boss, out = random.Random(seed), scheduler(retries), []
    told = Counter()
    for _ in range(20_000):
        if boss.over:
            break
        while len(out) < 3 and (order := boss.next()):
            out.append(order)
        order = out.pop(chance.randrange(len(out)))
        pack, cut = order.pack, chance.randrange(len(order.pack.tasks) + 1)
        if chance.random() > evil:
            boss.on_report(pack.id, everything(pack))
            told.update(pack.tasks)
            continue
        finished = list(range(cut))
        weights = dict.fromkeys(finished, "w") if isinstance(pack, TrainPack) else {}
        told.update(pack.tasks[:cut])
        boss.on_report(pack.id, Report(finished=finished, weights=weights))
        match chance.choice(["raise", "lose", *Fault]):
            case "raise":
                rest = list(range(cut, len(pack.tasks)))
                failed, raised = (rest, []) if order.final else ([], rest)
                boss.on_report(pack.id, Report(failed=failed, raised=raised, error="ValueError: no", over=True))
            case "lose":
                boss.recall()
                out.clear()
            case fault:
                boss.on_pack_end(pack.id, fault, "dead")
    counts = boss.frontier.counts()
    assert boss.over
    if not boss.abort_reason:
        assert counts.done + counts.failed + counts.blocked == 84
    assert boss.status().done == counts.done
    assert max(told.values(), default=1) == 1, "what was told as finished is not handed out again"


def test_failures_that_no_worker_could_record_are_recorded_once():
    boss = scheduler(retries=0)
    order = boss.next()
    assert order is not None
    boss.on_pack_end(order.pack.id, Fault.KILLED, "it died")
    [row] = boss.unrecorded()
    assert (row.task, row.of, row.error, row.message, row.final) == (
        order.pack.tasks[0], "models", "worker killed", "it died", True,
    )  # fmt: skip
    assert boss.unrecorded() == []


def test_only_the_pack_to_blame_pays_when_a_machine_ran_out_of_memory():
    boss = scheduler()
    first, second = boss.next(), boss.next()
    assert first is not None
    assert second is not None
    boss.recall(blame=first.pack.id, fault=Fault.MEMORY)
    orders = {order.pack.id: order for order in (boss.next() for _ in range(4)) if order}
    assert not orders[second.pack.id].final
    assert orders[first.pack.id].final
    assert orders[second.pack.id].attempt == orders[first.pack.id].attempt == 1


def test_a_sweep_in_which_all_fails_the_same_way_is_stopped():
    weights = {model.id: "w" for model in PLAN.models}
    stitching = [pack for pack in PACKS if pack.inputs]
    boss = PackScheduler(stitching, models=weights, weights=weights, tasks=84, done=4, budgets=Budgets(2))
    for _ in range(ABORT_AFTER_FAILURES):
        assert not boss.over
        order = boss.next()
        assert order is not None
        boss.on_report(order.pack.id, Report(raised=[0], error="ImportError: no such module", over=True))
    assert boss.over
    assert "20 tasks failed the same way: ImportError: no such module" in boss.abort_reason


def test_one_success_is_hope():
    boss = scheduler(retries=99)
    order = boss.next()
    assert order is not None
    boss.on_report(order.pack.id, everything(order.pack))
    for _ in range(2 * ABORT_AFTER_FAILURES):
        order = boss.next()
        assert order is not None
        boss.on_pack_end(order.pack.id, Fault.LOST)
    assert not boss.abort_reason


def test_time_left():
    now = [0.0]
    boss = scheduler(clock=lambda: now[0])
    total = sum(pack.seconds for pack in PACKS)
    assert boss.status().left is None
    done = 0.0
    while order := boss.next():
        now[0] += order.pack.seconds / 2  # twice as fast as planned
        done += order.pack.seconds
        boss.on_report(order.pack.id, everything(order.pack))
        assert boss.status().left == pytest.approx((total - done) / 2, abs=1e-6)
