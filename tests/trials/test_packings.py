"""Tests that the result of a task is independent of the other tasks of its pack, their order, and interruptions.

The tolerances are 1e-5 after the first step and half a point of error at the end.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.packs import WEIGHTS, model, pack, stitch

from sweeper.spec.cards.card import OUTPUT
from sweeper.spec.records.rows import Row, SimilarityRow, StitchRow
from sweeper.spec.records.task import Measurement, Stitch
from sweeper.trials.perform import perform

LOW_HIGH = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
A, B, C = (model(seed, arch="myrtle", samples=samples) for seed, samples in ((1, 1200), (2, 100), (3, 300)))
LOW = model(4, arch="myrtle", labels=LOW_HIGH)
ROUNDING = 1e-5

Task = Stitch | Measurement


def tasks(steps: int) -> dict[str, Task]:
    """Return one task of each kind that a pack of A may contain, by the setting that it covers."""

    def task(b: object, cut: str, cut_b: str = "", **changes: object) -> Stitch:
        return stitch(A, b, cut, cut_b, steps=steps, **changes)  # type: ignore[arg-type]

    def measurement(b: object, cut: str, name: str, options: tuple, null: int = 0) -> Measurement:
        return Measurement(f"{name} {null} {options}", A, cut, b, cut, name, options, null)  # type: ignore[arg-type]

    return {
        "strict": task(B, "conv2"),
        "same top": task(B, "conv2", lr=0.02),
        "own labels": task(LOW, "conv2"),
        "own labels, paper": task(LOW, "conv3", protocol="paper"),
        "paper": task(B, "conv2", protocol="paper"),
        "paper, same top": task(B, "conv2", protocol="paper", lr=0.02),
        "label sender": task(B, "conv3", sender="label"),
        "no stop": task(B, "conv3", stop="none"),
        "adapter": task(C, "conv2", "conv3", stitcher="adapter", options=(("places", "pool"),)),
        "adapter, paper": task(
            C, "conv4", "conv2", stitcher="adapter", options=(("places", "bilinear"),), protocol="paper"
        ),
        "two layers": task(C, "conv4", stitcher="conv", options=(("depth", 2), ("kernel", 3), ("norm", True))),
        "low rank": task(C, "pool", stitcher="low_rank", options=(("rank", 3),)),
        "solved": task(C, "conv1", stitcher="orthogonal"),
        "relative": task(C, "conv3", stitcher="relative", options=(("anchors", 100),)),
        "own images": task(B, "conv4", data="top"),
        "another stream": task(B, "conv4", seed=7, augment="crop_flip"),
        "null": measurement(B, "conv3", "linear_cka", (("debiased", True),), null=2),
        "longer null": measurement(B, "conv3", "mutual_knn", (("distance", "cosine"), ("k", 10)), null=3),
        "no null": measurement(C, "conv2", "svcca", (("maps", "pixels"), ("variance", 0.99))),
        "output": Measurement("output", A, OUTPUT, B, OUTPUT, "output_kappa", ()),
    }


ONE_STEP, TWENTY_STEPS = tasks(steps=1), tasks(steps=20)


def receipts(tasks: Sequence[Task], until: int | None = None) -> dict[str, Row]:
    """Perform a pack and return the receipts by task id; with `until`, stop after this number of tasks."""
    stitches = [task for task in tasks if isinstance(task, Stitch)]
    measurements = [task for task in tasks if isinstance(task, Measurement)]
    outcomes = perform(pack(stitches, measurements), WEIGHTS.__getitem__)
    return {outcome.rows[-1].task: outcome.rows[-1] for outcome in islice(outcomes, until)}


@cache
def receipt_alone(task: Task) -> Row:
    """Return the receipt of a task that is the only one of its pack."""
    (row,) = receipts([task]).values()
    return row


def result_numbers(row: Row) -> Mapping[str, float | None]:
    """Return the numbers of a receipt that must not depend on the other tasks of the pack; fail for a failure."""
    if isinstance(row, SimilarityRow):
        return {"value": row.value, "mean of the null": row.null_mean, "standard deviation of the null": row.null_std}
    assert isinstance(row, StitchRow), row
    names = ("steps", "train_loss", "test_loss", "direct_loss", "direct_r2", "a_loss", "b_loss", "drift")
    return {name: getattr(row, name) for name in names}


# Lists, since the order of the tasks varies as well as their choice.
packings = st.lists(st.sampled_from(sorted(ONE_STEP)), min_size=2, max_size=8, unique=True)


def assert_equal_to_alone(names: list[str], cut: int) -> None:
    """Interrupt a pack after `cut` tasks, perform the others as a second pack, and compare all with lone tasks."""
    chosen_tasks = [ONE_STEP[name] for name in names]
    receipt_by_task = receipts(chosen_tasks, until=cut)
    if remaining_tasks := [task for task in chosen_tasks if task.id not in receipt_by_task]:
        receipt_by_task |= receipts(remaining_tasks)
    assert set(receipt_by_task) == {task.id for task in chosen_tasks}
    for name, task in zip(names, chosen_tasks, strict=True):
        numbers = result_numbers(receipt_by_task[task.id])
        for quantity, number_alone in result_numbers(receipt_alone(task)).items():
            expected = number_alone if number_alone is None else pytest.approx(number_alone, abs=ROUNDING, rel=ROUNDING)
            assert numbers[quantity] == expected, (name, quantity, names)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(names=packings, cut=st.integers(0, 8))
def test_other_tasks_order_and_interruption_do_not_change_the_first_step(names: list[str], cut: int) -> None:
    assert_equal_to_alone(names, cut)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=packings, cut=st.integers(0, 8))
def test_many_packings_do_not_change_the_first_step(names: list[str], cut: int) -> None:
    assert_equal_to_alone(names, cut)


def test_every_kind_of_task_gives_a_result() -> None:
    """Check that the tasks of these tests don't fail, since equal failures would pass the tests above."""
    for name, task in ONE_STEP.items():
        row = receipt_alone(task)
        assert isinstance(row, StitchRow | SimilarityRow), (name, row)


@pytest.mark.parametrize("backwards", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_all_tasks_in_one_pack_end_with_the_results_of_lone_tasks(backwards: bool) -> None:
    receipt_by_task = receipts(list(TWENTY_STEPS.values())[:: -1 if backwards else 1])
    for name, task in TWENTY_STEPS.items():
        row, lone_row = receipt_by_task[task.id], receipt_alone(task)
        if isinstance(row, StitchRow) and isinstance(lone_row, StitchRow):
            assert row.test_error == pytest.approx(lone_row.test_error, abs=0.5), name
            assert row.agreement == pytest.approx(lone_row.agreement, abs=1.0), name
        else:
            assert result_numbers(row) == pytest.approx(result_numbers(lone_row), abs=ROUNDING), name


def test_batch_statistics_of_protocol_paper_are_separate_for_each_stitch() -> None:
    """Compare, bit for bit, stitches that share a top whose norms have other statistics in each of them."""
    names = ("paper", "paper, same top", "own labels, paper", "adapter, paper")
    receipt_by_task = receipts([TWENTY_STEPS[name] for name in names])
    for name in names:
        task = TWENTY_STEPS[name]
        assert result_numbers(receipt_by_task[task.id]) == result_numbers(receipt_alone(task)), name
