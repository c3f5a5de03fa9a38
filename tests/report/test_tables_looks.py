"""Looks at growing data: which runs count as one, and what they change in tables."""

from collections.abc import Sequence

import pytest
from support.planted_store import LATE, MEAN, Planted, analysis_table, rows_of

from sweeper.report.answers import short_answer
from sweeper.report.settle import settlements
from sweeper.spec.records.rows import ModelRow
from sweeper.store.statistics.looks import level_at, level_at_next
from sweeper.store.statistics.runs_needed import Parts, expected_half_width

TABLES = ("more_data", "connected", "random_control")


class Growing:
    """A store that grows: models of several settings and stitches between the first of them."""

    def __init__(self, planted: Planted):
        self.planted = planted
        self.weak = planted.models(5)
        self.strong = planted.models(5, seed=10, samples=1200)
        self.random = planted.models(5, seed=20, steps=0)
        self.done: set[tuple[str, str, str]] = set()

    def stitch(self, run: str, seeds: int, cuts: Sequence[str] = LATE[:2], **fields: str) -> None:
        """Add the stitches of the first models of each setting that aren't there yet, made by a run."""
        tops = self.weak[:seeds]
        for bottoms in (self.strong, self.weak, self.random):
            for a, b in ((a, b) for a in bottoms[:seeds] for b in tops):
                for cut in cuts:
                    self._stitch(a, b, cut, run, fields)

    def _stitch(self, a: ModelRow, b: ModelRow, cut: str, run: str, fields: dict[str, str]) -> None:
        key = (a.task, b.task, f"{cut} {fields}")
        if key not in self.done:
            self.done.add(key)
            gain = 0.0 if a is b else (a.seed % 10) * 1.5 - (b.seed % 10) * 0.7
            self.planted.stitch(a, b, cut, gain, run=run, **fields)

    def looks(self, **where: str) -> dict[str, set[int]]:
        """Return the numbers of looks that the rows of each table have."""
        store = self.planted.commit()
        return {name: {row["looks"] for row in rows_of(analysis_table(store, name), **where)} for name in TABLES}


@pytest.fixture
def growing(planted: Planted) -> Growing:
    """Return a store with a first look at two seeds."""
    growing = Growing(planted)
    planted.start("first", seeds=2)
    growing.stitch("first", 2)
    return growing


def all_tables(looks: int) -> dict[str, set[int]]:
    return {name: {looks} for name in TABLES}


def test_the_first_data_are_the_first_look(growing: Growing):
    assert growing.looks() == all_tables(1)


def test_each_extension_by_seeds_is_a_look(growing: Growing):
    for number, seeds in enumerate((3, 4, 5), start=2):
        growing.planted.start(f"with {seeds} seeds", seeds=seeds)
        growing.stitch(f"with {seeds} seeds", seeds)
        assert growing.looks() == all_tables(number)


def test_a_resumed_run_is_no_look(growing: Growing):
    """Runs of the same models and stitches have one plan, whatever the settings of the engine."""
    growing.planted.start("resumed", seeds=2, engine={"workers": 7})
    growing.stitch("resumed", 3)
    assert growing.looks() == all_tables(1)


def test_runs_that_bring_no_model_and_no_cut_are_no_look(growing: Growing):
    growing.planted.start("other job", seeds=4)
    growing.planted.stitch(growing.strong[0], growing.weak[0], LATE[0], 1.0, run="other job", seed=1)
    growing.stitch("other job", 4, stitcher="low_rank")
    assert growing.looks(stitcher="conv1x1") == all_tables(1)
    assert growing.looks(stitcher="low_rank") == all_tables(1)


def test_a_new_cut_is_a_look(growing: Growing):
    growing.planted.start("more cuts", seeds=3)
    growing.stitch("more cuts", 2, LATE[:3])
    assert growing.looks() == all_tables(2)


def test_a_new_level_is_a_look_at_the_means_that_it_joins(growing: Growing):
    growing.planted.start("another level", seeds=3)
    middle = growing.planted.models(2, seed=10, samples=400)  # of the same seeds
    growing.planted.stitches(middle, growing.weak[:2], lambda depth: 1.0, cuts=LATE[:2], run="another level")
    looks = growing.looks()
    assert looks["more_data"] == {2}
    assert looks["connected"] == {1}


def test_runs_whose_start_is_not_stored_are_one_plan(planted: Planted):
    growing = Growing(planted)
    growing.stitch("lost", 2)
    growing.stitch("also lost", 3)
    assert growing.looks() == all_tables(1)


def test_intervals_with_a_verdict_have_the_level_of_their_look(growing: Growing):
    growing.planted.start("more", seeds=4)
    growing.stitch("more", 4)
    store = growing.planted.commit()
    for name, count in (("more_data", 2), ("random_control", 1), ("connected", 1)):
        headline = rows_of(analysis_table(store, name))[0]
        assert headline["cut"] == ("(every cut)" if name == "connected" else MEAN)
        assert headline["confidence"] == pytest.approx(100 * level_at(count, 2))


def test_a_note_and_the_answer_say_that_data_were_extended(growing: Growing):
    first = analysis_table(growing.planted.commit(), "random_control")
    assert not any("extended" in text for text in (*first.notes, *short_answer(first)))
    growing.planted.start("more", seeds=4)
    growing.stitch("more", 4)
    extended = analysis_table(growing.planted.commit(), "random_control")
    (note,) = (note for note in extended.notes if "extended" in note)
    assert note.startswith("3 of 3 verdicts are on data that jobs extended")
    assert "up to 1 time." in note
    assert "4 x 4 runs; extended 1 time; 99.2 % interval" in short_answer(extended)[0]


def test_what_would_settle_is_at_the_level_of_the_next_look(growing: Growing):
    growing.planted.start("more", seeds=4)
    growing.stitch("more", 4)
    table = analysis_table(growing.planted.commit(), "random_control", parameters={"margin": 5.0})
    (settlement,) = settlements(table)
    row = rows_of(table)[settlement.row]
    parts = Parts(row["net_variances"], row["net_degrees"], False)
    level = row["confidence"] / 100
    assert settlement.half_width == pytest.approx(expected_half_width(parts, 0, level))
    assert settlement.more
    next_level = level_at_next(level, row["looks"])
    assert settlement.expected == expected_half_width(parts, settlement.more, next_level)
    assert expected_half_width(parts, settlement.more - 1, next_level) >= settlement.target > settlement.expected
