"""Independence: a task ends as it does alone, whatever shares its pack, in whatever order, wherever it is cut short.

The bounds are the design's: 1e-5 after the first step, half a point of error at the end.
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
    """One of each kind that a pack of A may hold, by what it is there for."""

    def asked(b: object, cut: str, cut_b: str = "", **changes: object) -> Stitch:
        return stitch(A, b, cut, cut_b, steps=steps, **changes)  # type: ignore[arg-type]

    def compared(b: object, cut: str, name: str, options: tuple, null: int = 0) -> Measurement:
        return Measurement(f"{name} {null} {options}", A, cut, b, cut, name, options, null)  # type: ignore[arg-type]

    return {
        "strict": asked(B, "conv2"),
        "same top": asked(B, "conv2", lr=0.02),
        "own labels": asked(LOW, "conv2"),
        "own labels, paper": asked(LOW, "conv3", protocol="paper"),
        "paper": asked(B, "conv2", protocol="paper"),
        "paper, same top": asked(B, "conv2", protocol="paper", lr=0.02),
        "label sender": asked(B, "conv3", sender="label"),
        "no stop": asked(B, "conv3", stop="none"),
        "adapter": asked(C, "conv2", "conv3", stitcher="adapter", options=(("places", "pool"),)),
        "adapter, paper": asked(
            C, "conv4", "conv2", stitcher="adapter", options=(("places", "bilinear"),), protocol="paper"
        ),
        "two layers": asked(C, "conv4", stitcher="conv", options=(("depth", 2), ("kernel", 3), ("norm", True))),
        "low rank": asked(C, "pool", stitcher="low_rank", options=(("rank", 3),)),
        "solved": asked(C, "conv1", stitcher="orthogonal"),
        "relative": asked(C, "conv3", stitcher="relative", options=(("anchors", 100),)),
        "own images": asked(B, "conv4", data="top"),
        "another stream": asked(B, "conv4", seed=7, augment="crop_flip"),
        "null": compared(B, "conv3", "linear_cka", (("debiased", True),), null=2),
        "longer null": compared(B, "conv3", "mutual_knn", (("distance", "cosine"), ("k", 10)), null=3),
        "no null": compared(C, "conv2", "svcca", (("maps", "pixels"), ("variance", 0.99))),
        "output": Measurement("output", A, OUTPUT, B, OUTPUT, "output_kappa", ()),
    }


FIRST, LAST = tasks(steps=1), tasks(steps=20)


def performed(asked: Sequence[Task], until: int | None = None) -> dict[str, Row]:
    """Receipts by task; `until`: the pack is interrupted after so many."""
    stitches = [task for task in asked if isinstance(task, Stitch)]
    measures = [task for task in asked if isinstance(task, Measurement)]
    outcomes = perform(pack(stitches, measures), WEIGHTS.__getitem__)
    return {outcome.rows[-1].task: outcome.rows[-1] for outcome in islice(outcomes, until)}


@cache
def alone(task: Task) -> Row:
    (row,) = performed([task]).values()
    return row


def numbers(row: Row) -> Mapping[str, float | None]:
    """What must not depend on company, of a stitch or a similarity that did not fail."""
    if isinstance(row, SimilarityRow):
        return {"value": row.value, "mean of the null": row.null_mean, "spread of the null": row.null_std}
    assert isinstance(row, StitchRow), row
    names = ("steps", "train_loss", "test_loss", "direct_loss", "direct_r2", "a_loss", "b_loss", "drift")
    return {name: getattr(row, name) for name in names}


# A list keeps the order that is drawn as well as the choice.
packings = st.lists(st.sampled_from(sorted(FIRST)), min_size=2, max_size=8, unique=True)


def ends_as_alone(names: list[str], cut: int) -> None:
    """Interrupted after `cut` tasks, what was published stays, and the rest is a pack of its own."""
    asked = [FIRST[name] for name in names]
    found = performed(asked, until=cut)
    if rest := [task for task in asked if task.id not in found]:
        found |= performed(rest)
    assert set(found) == {task.id for task in asked}
    for name, task in zip(names, asked, strict=True):
        for what, number in numbers(alone(task)).items():
            told = numbers(found[task.id])[what]
            close = number if number is None else pytest.approx(number, abs=ROUNDING, rel=ROUNDING)
            assert told == close, (name, what, names)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(names=packings, cut=st.integers(0, 8))
def test_company_order_and_interruption_move_no_first_step(names: list[str], cut: int) -> None:
    ends_as_alone(names, cut)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=packings, cut=st.integers(0, 8))
def test_many_packings_move_no_first_step(names: list[str], cut: int) -> None:
    ends_as_alone(names, cut)


def test_every_kind_ends() -> None:
    """The property holds of results, not of failures that are alike."""
    for name, task in FIRST.items():
        row = alone(task)
        assert isinstance(row, StitchRow | SimilarityRow), (name, row)


@pytest.mark.parametrize("backwards", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_all_together_end_where_each_ends_alone(backwards: bool) -> None:
    found = performed(list(LAST.values())[:: -1 if backwards else 1])
    for name, task in LAST.items():
        row, own = found[task.id], alone(task)
        if isinstance(row, StitchRow) and isinstance(own, StitchRow):
            assert row.test_error == pytest.approx(own.test_error, abs=0.5), name
            assert row.agreement == pytest.approx(own.agreement, abs=1.0), name
        else:
            assert numbers(row) == pytest.approx(numbers(own), abs=ROUNDING), name


def test_batch_statistics_of_protocol_paper_stay_with_their_stitch() -> None:
    """Bit for bit: a stitch in train mode before a top, beside others before the same top in another state."""
    names = ("paper", "paper, same top", "own labels, paper", "adapter, paper")
    together = performed([LAST[name] for name in names])
    for name in names:
        task = LAST[name]
        assert numbers(together[task.id]) == numbers(alone(task)), name
