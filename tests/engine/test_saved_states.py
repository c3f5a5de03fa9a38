"""Tests of the states of a worker's pack, without Ray: when one is due, and what is committed before it."""

import logging

import pytest

from sweeper.engine.saved_states import SavedStates
from sweeper.engine.work import StoreRefusedError
from sweeper.errors import StoreError


class Clock:
    """A clock that a test sets."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Pack:
    """The work on a pack, which records its commits."""

    def __init__(self, events: list[str]):
        self.events, self.idle, self.refuses = events, 0.0, False

    def commit(self) -> None:
        if self.refuses:
            raise StoreRefusedError("full")
        self.events.append("commit")


class Scratch:
    """A scratch that records its calls, takes some time, and may refuse."""

    def __init__(self, clock: Clock):
        self.events: list[str] = []
        self.clock, self.seconds, self.refuses = clock, 0.0, False

    def read(self, computation: str) -> list[tuple[str, bytes]]:
        return [(computation, b"state")]

    def write(self, computation: str, content: bytes) -> str:
        self.clock.seconds += self.seconds
        if self.refuses:
            raise StoreError("no space")
        self.events.append("write")
        return "name"

    def drop(self, path: str) -> None:
        if self.refuses:
            raise StoreError("no right")
        self.events.append("drop")


@pytest.fixture
def clock() -> Clock:
    """Return a clock at 0 s."""
    return Clock()


@pytest.fixture
def scratch(clock: Clock) -> Scratch:
    """Return an empty scratch."""
    return Scratch(clock)


@pytest.fixture
def states(scratch: Scratch, clock: Clock) -> SavedStates:
    """Return the states of a pack, one every 100 s."""
    states = SavedStates(scratch, every=100, clock=clock)
    states.work = Pack(scratch.events)  # type: ignore[assignment]
    return states


def at(states: SavedStates, clock: Clock, seconds: float, idle: float) -> bool:
    """Return whether a state is due at a time, if no task has ended for `idle` seconds."""
    clock.seconds = seconds
    states.work.idle = idle  # type: ignore[union-attr, misc]
    return states.due()


def test_a_state_is_due_after_long_work_on_one_task(states: SavedStates, clock: Clock) -> None:
    assert not at(states, clock, 99, idle=99)
    assert at(states, clock, 100, idle=100)
    assert not at(states, clock, 500, idle=99), "short tasks save nothing, however many there are"
    assert at(states, clock, 501, idle=100)


def test_the_next_state_is_due_as_long_after_the_last(states: SavedStates, clock: Clock) -> None:
    assert at(states, clock, 120, idle=120)
    states.write("computation", b"state")
    assert not at(states, clock, 219, idle=219)
    assert at(states, clock, 220, idle=220)


def test_half_of_the_time_is_work_however_slow_the_store_is(
    states: SavedStates, scratch: Scratch, clock: Clock
) -> None:
    scratch.seconds, clock.seconds = 1000, 100
    states.write("computation", b"state")
    assert not at(states, clock, 1149, idle=1149)
    assert at(states, clock, 1150, idle=1150)


def test_rows_are_committed_before_a_state_is_written_or_dropped(states: SavedStates, scratch: Scratch) -> None:
    assert states.write("computation", b"state") == "name"
    states.drop("name")
    assert scratch.events == ["commit", "write", "commit", "drop"]


def test_a_refused_state_is_a_line_and_the_work_goes_on(
    states: SavedStates, scratch: Scratch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    scratch.refuses = True
    with caplog.at_level(logging.WARNING):
        assert states.write("computation", b"state") is None
        states.drop("name")
    assert "a state was not saved, so a killed worker would lose more of its task: no space" in caplog.text
    assert "the saved state name was not deleted: no right" in caplog.text
    assert not at(states, clock, 50, idle=1000), "the next try is not at once"


def test_a_state_is_neither_written_nor_dropped_if_rows_can_not_be_committed(
    states: SavedStates, scratch: Scratch
) -> None:
    states.work.refuses = True  # type: ignore[union-attr]
    assert states.write("computation", b"state") is None
    states.drop("name")
    assert scratch.events == []


def test_an_unusable_state_is_deleted_with_a_line(
    states: SavedStates, scratch: Scratch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        states.ignore("name", "its step is missing")
    assert "the saved state name was deleted, and its tasks start anew: its step is missing" in caplog.text
    assert scratch.events == ["commit", "drop"]
