"""Tests of the pack scheduler, without Ray."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.toys import toy_sweep

from sweeper.engine.faults import Budgets, Fault
from sweeper.engine.node_use import BusyWorker
from sweeper.engine.pack_scheduler import FailureGroup, PackScheduler, Report
from sweeper.plan.pack import dependent_tasks
from sweeper.plan.plan import Plan
from sweeper.spec.job import resolve
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.records.task import TrainPack

PLAN = Plan.of(toy_sweep())
PACKS = list(PLAN.packs())


def make_scheduler(retries: int = 2, clock=lambda: 0.0, **options) -> PackScheduler:
    budgets = Budgets(retries)
    return PackScheduler(PACKS, models=(), weights={}, tasks=84, done=0, budgets=budgets, clock=clock, **options)


def scheduler_of_stitches(**options) -> PackScheduler:
    """Return a scheduler for which all models are done."""
    weights = {model.id: "w" for model in PLAN.models}
    packs = [pack for pack in PACKS if pack.inputs]
    return PackScheduler(packs, models=weights, weights=weights, tasks=84, done=4, budgets=Budgets(2), **options)


def failing_report(pack, *indices: int, text: str = "no", **fields) -> Report:
    """Return a report on tasks of a pack that raised; each error has a text of its own."""
    group = FailureGroup("ValueError at perform.py:1", f"ValueError: {text}", list(indices))
    return Report(raised=list(indices), groups=[group], error=group.error, **fields)


def complete_report(pack, **fields) -> Report:
    weights = {index: f"of {task}" for index, task in enumerate(pack.tasks)} if isinstance(pack, TrainPack) else {}
    return Report(finished=list(range(len(pack.tasks))), weights=weights, over=True, **fields)


def test_an_order_has_the_digests_of_the_weights_that_its_pack_reads():
    scheduler = make_scheduler()
    while order := scheduler.next():
        if not isinstance(order.pack, TrainPack):
            assert order.pack.weights == {model: f"of {model}" for model in order.pack.inputs}
        scheduler.on_report(order.pack.id, complete_report(order.pack))
    assert scheduler.over
    assert scheduler.status().done == 84


def test_the_order_of_a_training_run_has_the_digest_of_its_initial_weights():
    family = {"arch": "resnet18k", "width": 4, "samples": 100, "steps": 20}
    models = {"parent": family, "child": family | {"init_from": "parent"}}
    plan = Plan.of(resolve.resolve(Sweep.model_validate({"name": "x", "models": models})))
    scheduler = PackScheduler(
        plan.packs(), models=(), weights={}, tasks=2, done=0, budgets=Budgets(2), clock=lambda: 0.0
    )
    parent = scheduler.next()
    assert parent is not None
    assert (parent.pack.weights, scheduler.next()) == ({}, None)
    scheduler.on_report(parent.pack.id, complete_report(parent.pack))
    child = scheduler.next()
    assert child is not None
    assert child.pack.weights == {parent.pack.tasks[0]: f"of {parent.pack.tasks[0]}"}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.9), st.integers(0, 3), st.sampled_from([0, 3, 20]))
def test_each_task_ends_once_whatever_faults_occur(seed, fault_rate, retries, stop_after):
    """Simulate workers that report in parts, raise, die, hang or lose their node, and check the final counts."""
    rng, running_orders = random.Random(seed), []
    scheduler = make_scheduler(retries, stop_after_failures=stop_after)
    reported_as_finished, weights_lost = Counter(), False
    for _ in range(20_000):
        if scheduler.over:
            break
        while len(running_orders) < 3 and (order := scheduler.next()):
            running_orders.append(order)
        order = running_orders.pop(rng.randrange(len(running_orders)))
        pack, cut = order.pack, rng.randrange(len(order.pack.tasks) + 1)
        if rng.random() > fault_rate:
            scheduler.on_report(pack.id, complete_report(pack))
            reported_as_finished.update(pack.tasks)
            continue
        finished = list(range(cut))
        weights = dict.fromkeys(finished, "w") if isinstance(pack, TrainPack) else {}
        reported_as_finished.update(pack.tasks[:cut])
        scheduler.on_report(pack.id, Report(finished=finished, weights=weights))
        match rng.choice(["raise", "lose", *Fault]):
            case "raise":
                unfinished = list(range(cut, len(pack.tasks)))
                failed, raised = (unfinished, []) if order.final else ([], unfinished)
                groups = [FailureGroup("ValueError", "ValueError: no", unfinished)] if unfinished else []
                report = Report(failed=failed, raised=raised, groups=groups, error="ValueError: no", over=True)
                scheduler.on_report(pack.id, report)
            case "lose":
                scheduler.recall()
                running_orders.clear()
            case fault:
                weights_lost |= fault is Fault.WEIGHTS
                scheduler.on_pack_end(pack.id, fault, "dead")
    counts = scheduler.frontier.counts()
    assert scheduler.over
    frontier = scheduler.frontier
    ended = [*frontier.done, *frontier.failed, *frontier.blocked, *frontier.dropped]
    assert sorted(ended) == sorted(PLAN.ids()), "each task ends once"
    assert bool(frontier.dropped) <= bool(scheduler.stops or weights_lost)
    assert scheduler.status().done == counts.done
    assert max(reported_as_finished.values(), default=1) == 1, "a task reported as finished is not sent out again"


def test_a_failure_that_no_worker_could_record_is_returned_once():
    scheduler = make_scheduler(retries=0)
    order = scheduler.next()
    assert order is not None
    scheduler.on_pack_end(order.pack.id, Fault.KILLED, "it died")
    [row] = scheduler.unrecorded()
    assert (row.task, row.of, row.error, row.message, row.final) == (
        order.pack.tasks[0], "models", "worker killed", "it died", True,
    )  # fmt: skip
    assert scheduler.unrecorded() == []


def test_running_out_of_memory_counts_as_a_try_only_for_the_pack_to_blame():
    scheduler = make_scheduler()
    first, second = scheduler.next(), scheduler.next()
    assert first is not None
    assert second is not None
    scheduler.recall(blame=first.pack.id, fault=Fault.MEMORY)
    orders = {order.pack.id: order for order in (scheduler.next() for _ in range(4)) if order}
    assert not orders[second.pack.id].final
    assert orders[first.pack.id].final
    assert orders[second.pack.id].attempt == orders[first.pack.id].attempt == 1


def test_a_kind_is_stopped_after_twenty_failures_of_a_class_without_a_success():
    scheduler = scheduler_of_stitches()
    hit: set[str] = set()
    while not scheduler.stops:
        order = scheduler.next()
        assert order is not None
        stitches, tasks = len(order.pack.stitches), len(order.pack.tasks)
        hit.update(order.pack.tasks[:stitches])
        finished = list(range(stitches, tasks))
        report = failing_report(order.pack, *range(stitches), text=order.pack.id, finished=finished, over=True)
        scheduler.on_report(order.pack.id, report)
    [(stop, not_started)] = scheduler.stops
    assert stop.kinds == ("stitches",)
    assert stop.task in hit
    assert 20 <= len(hit) < 40
    count, reason = stop.reason.split(" ", 1)
    assert 20 <= int(count) <= len(hit)
    assert reason == "stitches failed with ValueError at perform.py:1 and none succeeded meanwhile"
    assert not_started > 0
    while order := scheduler.next():
        assert not order.pack.stitches
        scheduler.on_report(order.pack.id, complete_report(order.pack))
    assert scheduler.over
    frontier = scheduler.frontier
    assert set(frontier.failed) <= hit, "tasks that were not started are missing, not failed"
    assert len(frontier.dropped) + len(frontier.failed) == 40


def fail_all_stitches(scheduler: PackScheduler, successes: int) -> None:
    """Perform all packs; of each, every measurement and the first `successes` stitches succeed."""
    while order := scheduler.next():
        finished = list(range(len(order.pack.tasks)))
        raised = finished[successes : len(order.pack.stitches)]
        finished = [index for index in finished if index not in raised]
        scheduler.on_report(order.pack.id, failing_report(order.pack, *raised, finished=finished, over=True))


def test_a_success_of_the_kind_or_the_setting_zero_prevents_the_stop():
    scheduler = scheduler_of_stitches(stop_at_failed_share=1.0)
    fail_all_stitches(scheduler, successes=1)
    assert not scheduler.stops
    never = scheduler_of_stitches(stop_after_failures=0, stop_at_failed_share=1.0)
    fail_all_stitches(never, successes=0)
    assert not never.stops
    assert len(never.frontier.failed) == 40


def test_lost_nodes_stop_nothing():
    scheduler = make_scheduler(retries=99)
    for _ in range(100):
        order = scheduler.next()
        assert order is not None
        scheduler.on_pack_end(order.pack.id, Fault.LOST)
    assert not scheduler.stops


def test_packs_whose_workers_die_count_once_each():
    scheduler = scheduler_of_stitches(stop_at_failed_share=1.0)
    packs = 0
    while not scheduler.stops:
        order = scheduler.next()
        assert order is not None
        packs += 1
        scheduler.on_pack_end(order.pack.id, Fault.KILLED, "it died")
    [(stop, _)] = scheduler.stops
    assert stop.reason == "20 stitches failed with worker killed and none succeeded meanwhile"
    assert packs >= 20


def test_the_time_left_is_estimated_from_the_speed_so_far():
    seconds = [0.0]
    scheduler = make_scheduler(clock=lambda: seconds[0])
    total = sum(pack.seconds for pack in PACKS)
    assert scheduler.status().left is None
    done = 0.0
    while order := scheduler.next():
        seconds[0] += order.pack.seconds / 2  # twice as fast as planned
        done += order.pack.seconds
        scheduler.on_report(order.pack.id, complete_report(order.pack, seconds=order.pack.seconds / 2))
        assert scheduler.status().left == pytest.approx((total - done) / 2, abs=1e-6)


def test_the_time_before_the_first_task_counts_neither_in_the_speed_nor_in_the_length_of_packs():
    """Check a run whose first pack waits an hour for a node: after it the end is as near as without the wait."""
    seconds = [0.0]
    scheduler = make_scheduler(clock=lambda: seconds[0])
    total = sum(pack.seconds for pack in PACKS)
    order, second = scheduler.next(), scheduler.next()
    assert order
    assert second
    first = order.pack
    seconds[0] = 3600.0
    assert scheduler.status().elapsed == 0.0
    seconds[0] += first.seconds
    scheduler.on_report(first.id, complete_report(first, seconds=first.seconds))
    status = scheduler.status()
    assert status.elapsed == pytest.approx(first.seconds)
    assert status.left == pytest.approx(total - first.seconds)

    seconds[0] += 1.0  # the second worker began before the first one
    scheduler.on_report(second.pack.id, complete_report(second.pack, seconds=first.seconds + 3.0))
    assert scheduler.status().elapsed == pytest.approx(first.seconds + 3.0)
    while scheduler.status().left_range is None and (order := scheduler.next()):
        seconds[0] += order.pack.seconds
        scheduler.on_report(order.pack.id, complete_report(order.pack, seconds=order.pack.seconds))
    left_range = scheduler.status().left_range
    assert left_range
    assert left_range[1] < 3600.0


def test_time_limits_scale_with_the_estimate_of_a_pack_on_its_worker():
    pack = max(PACKS, key=lambda pack: len(pack.tasks))
    weights = dict.fromkeys(pack.inputs, "w")
    long_pack = replace(pack, seconds=72_000.0)

    def limit(gpus: float = 0.0, **options) -> float:
        scheduler = PackScheduler(
            [long_pack], models=weights, weights=weights, tasks=9, done=0, budgets=Budgets(2), **options
        )
        order = scheduler.next(gpus)
        assert order is not None
        return order.time_limit.seconds

    assert limit() == 5 * 72_000
    assert limit(gpus=0.25) == 5 * 72_000 / 25
    assert limit(timeout=60.0) == 60


def test_a_part_of_a_pack_has_as_much_time_as_the_whole():
    """Check halves of halves: each repeats the passes of the pack, which its share of the estimate does not contain."""
    pack = replace(max(PACKS, key=lambda pack: len(pack.tasks)), seconds=72_000.0)
    weights = dict.fromkeys(pack.inputs, "w")
    scheduler = PackScheduler([pack], models=weights, weights=weights, tasks=9, done=0, budgets=Budgets(2))
    limits = []
    for _ in range(4):
        order = scheduler.next()
        assert order is not None
        limits.append(order.time_limit.seconds)
        scheduler.on_pack_end(order.pack.id, Fault.TIMEOUT)
    assert limits == [5 * 72_000.0] * 4


def test_a_pack_that_was_sent_out_counts_as_queued_until_a_worker_has_it():
    scheduler = scheduler_of_stitches()
    packs = len([pack for pack in PACKS if pack.inputs])
    orders = [scheduler.next() for _ in range(3)]
    assert all(orders)
    status = scheduler.status()
    assert (status.running, status.starting, status.queued) == (0, 0, packs)
    working, set_up = (BusyWorker(f"pack {number}", "n", 1.0, began=number == 0) for number in range(2))
    status = scheduler.status([working, set_up])
    assert (status.running, status.starting, status.queued) == (1, 1, packs - 2)


def test_lost_weights_drop_the_tasks_that_need_their_model_and_stop_nothing():
    scheduler = scheduler_of_stitches(stop_after_failures=1)
    lost = next(pack for pack in PACKS if pack.inputs).inputs[0]
    scheduler.weights[lost] = "lost"
    needing = {task for pack in PACKS for task in dependent_tasks(pack, lost)}
    while order := scheduler.next():
        if lost in order.pack.inputs:
            tasks = order.pack.tasks
            raised = [index for index, task in enumerate(tasks) if task in needing]
            report = Report(raised=raised, lost_weights=["lost"], fault=Fault.WEIGHTS, over=True)
            report.finished = [index for index in range(len(tasks)) if index not in raised]
        else:
            report = complete_report(order.pack)
        scheduler.on_report(order.pack.id, report)
    assert scheduler.lost_weights == {"lost"}
    assert scheduler.frontier.dropped == needing
    assert scheduler.frontier.done == {task for pack in PACKS if pack.inputs for task in pack.tasks} - needing
    assert (scheduler.frontier.failed, scheduler.stops, scheduler.unrecorded()) == ({}, [], [])
