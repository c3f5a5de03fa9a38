"""Tests of the progress of long work."""

import io
from contextlib import redirect_stderr

from sweeper.cli import show


def progress_lines(monkeypatch, seconds: list[float]) -> list[str]:
    """Return the lines on stderr of work whose updates come at the given seconds."""
    clock = iter([0.0, *seconds])
    monkeypatch.setattr(show.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with redirect_stderr(stream), show.progress("checking images") as update:
        for done, _ in enumerate(seconds, start=1):
            update(done, 10)
    return stream.getvalue().splitlines()


def test_short_work_says_nothing(monkeypatch):
    assert progress_lines(monkeypatch, [1.0, 2.0, 9.0]) == []


def test_long_work_says_how_much_is_left_every_ten_seconds(monkeypatch):
    assert progress_lines(monkeypatch, [5.0, 11.0, 15.0, 22.0]) == [
        "checking images: 2 of 10, about 44 s left",
        "checking images: 4 of 10, about 33 s left",
    ]
