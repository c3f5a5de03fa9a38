"""Tests of the decisions on packs after faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.core.generated.common_pb2 import ActorDiedErrorContext, NodeDeathInfo
from ray.exceptions import ActorDiedError, ActorUnavailableError, OutOfMemoryError, RayTaskError

from sweeper.engine.faults import Budgets, Decision, Fault, Tries, classify, decide, is_final, largest_worker

BUDGETS = Budgets(retries=2)


def tries_after(*faults: Fault) -> Tries:
    tries = Tries()
    for fault in faults:
        tries = tries.after(fault)
    return tries


@pytest.mark.parametrize(
    ("fault", "tasks", "earlier_faults", "expected"),
    [
        (Fault.KILLED, 8, [], Decision.RETRY),  # perhaps another program killed it
        (Fault.KILLED, 8, [Fault.KILLED], Decision.SPLIT),
        (Fault.KILLED, 1, [], Decision.RETRY),
        (Fault.KILLED, 1, [Fault.KILLED] * 2, Decision.FAIL),
        (Fault.MEMORY, 8, [], Decision.SPLIT),
        (Fault.MEMORY, 1, [Fault.MEMORY] * 2, Decision.FAIL),
        (Fault.TIMEOUT, 8, [], Decision.SPLIT),
        (Fault.TIMEOUT, 1, [], Decision.FAIL),  # a second wait would cost as much as the first
        (Fault.CRASHED, 8, [Fault.CRASHED] * 9, Decision.SPLIT),
        (Fault.CRASHED, 1, [], Decision.RETRY),
        (Fault.CRASHED, 1, [Fault.CRASHED], Decision.FAIL),
        (Fault.RAISED, 3, [], Decision.RETRY),
        (Fault.RAISED, 3, [Fault.RAISED], Decision.FAIL),
        (Fault.LOST, 8, [Fault.KILLED] * 5, Decision.RETRY),
        (Fault.LOST, 8, [Fault.LOST] * 49, Decision.RETRY),
        (Fault.LOST, 8, [Fault.LOST] * 50, Decision.FAIL),
        (Fault.DEFECT, 8, [Fault.DEFECT], Decision.RETRY),
        (Fault.DEFECT, 8, [Fault.DEFECT] * 2, Decision.FAIL),
    ],
)
def test_the_decision_depends_on_the_fault_and_the_earlier_faults(fault, tasks, earlier_faults, expected):
    assert decide(fault, tasks, tries_after(*earlier_faults), BUDGETS) is expected


@given(st.sampled_from(Fault), st.integers(1, 64), st.integers(0, 5))
def test_every_fault_leads_to_failure_after_a_bounded_number_of_tries(fault, tasks, retries):
    """Check that a fault of any class that occurs in every try ends as a failure, or is left to the next plan."""
    budgets, tries, steps = Budgets(retries), Tries(), 0
    while (decision := decide(fault, tasks, tries, budgets)) not in (Decision.FAIL, Decision.DROP):
        tasks = (tasks + 1) // 2 if decision is Decision.SPLIT else tasks
        tries, steps = tries.after(fault), steps + 1
        assert steps <= budgets.losses + retries + 8


@given(st.sampled_from([Fault.KILLED, Fault.MEMORY, Fault.TIMEOUT, Fault.CRASHED]), st.integers(2, 64))
def test_a_pack_of_several_tasks_never_fails_as_a_whole(fault, tasks):
    for tries in (Tries(n) for n in range(10)):
        assert decide(fault, tasks, tries, BUDGETS) is not Decision.FAIL


def test_a_lost_node_does_not_count_against_the_retries_of_a_task():
    assert not is_final(tries_after(Fault.LOST, Fault.LOST), BUDGETS)
    assert is_final(tries_after(Fault.RAISED), BUDGETS)
    assert is_final(Tries(), Budgets(retries=0))
    assert tries_after(Fault.LOST, Fault.RAISED).attempt == 2


def actor_died(text: str = "The process was killed", preempted: bool = False) -> ActorDiedError:
    """Return the error as Ray makes it."""
    context = ActorDiedErrorContext(error_message=text, class_name="Worker", actor_id=b"0" * 16, pid=7)
    if preempted:
        context.node_death_info.reason = NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED
    return ActorDiedError(context)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (actor_died(), Fault.KILLED),
        (actor_died(preempted=True), Fault.LOST),
        (actor_died("The actor died because its node has died. Node Id: 12"), Fault.LOST),
        (ActorUnavailableError("The actor is unavailable", b"\0" * 16), Fault.LOST),
        (OutOfMemoryError("Task was killed due to the node running low on memory"), Fault.MEMORY),
        (RayTaskError("step", "trace", ValueError("no")), Fault.DEFECT),
        (RuntimeError("Traceback ... ray.exceptions.OutOfMemoryError: Task was killed"), Fault.MEMORY),
        (None, Fault.DEFECT),
    ],
)
def test_ray_errors_are_classified(error, expected):
    assert classify(error) is expected


OUT_OF_MEMORY = """Caught unexpected exception: 1 worker(s) were killed due to the node running low on memory. \
Memory on the node (IP: 192.0.2.2, ID: ec35) was 5.14GB used / 23.54GB limit (0.218463)
Considered workers: [
Selected to kill: (Actor(99): job ID=01, task name=Worker.__init__, pid=9185, actual memory used=0.74GB, worker ID=3f)
(Actor(85): job ID=01, required resources={}, pid=9158, actual memory used=2.06GB, worker ID=0b)
]"""


def test_the_worker_with_the_most_memory_is_returned_not_the_killed_one():
    assert largest_worker(RuntimeError(OUT_OF_MEMORY)) == ("192.0.2.2", 9158)
    assert largest_worker(RuntimeError("out of memory, somewhere")) is None
