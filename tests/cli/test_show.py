"""Tests of the progress of long work."""

import io
from contextlib import redirect_stderr

from sweeper.cli import show


def progress_lines(monkeypatch, seconds: list[float], step_of=lambda _: "checking images") -> list[str]:
    """Return the lines on stderr of work whose updates come at the given seconds; `step_of` names the step of each."""
    clock = iter([0.0, *seconds])
    monkeypatch.setattr(show.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with redirect_stderr(stream), show.progress() as update:
        for done, _ in enumerate(seconds, start=1):
            update(step_of(done), done, 10)
    return stream.getvalue().splitlines()


def test_short_work_says_nothing(monkeypatch):
    assert progress_lines(monkeypatch, [1.0, 2.0, 9.0]) == []


def test_long_work_says_how_much_is_left_every_ten_seconds(monkeypatch):
    assert progress_lines(monkeypatch, [5.0, 11.0, 15.0, 22.0]) == [
        "checking images: 2 of 10, about 48 s left",
        "checking images: 4 of 10, about 34 s left",
    ]


def test_the_time_before_a_step_is_not_that_of_its_things(monkeypatch):
    lines = progress_lines(monkeypatch, [20.0, 31.0, 33.0, 42.0], lambda done: "reading" if done < 2 else "checking")
    assert lines == ["reading: 1 of 10", "checking: 2 of 10", "checking: 4 of 10, about 33 s left"]
