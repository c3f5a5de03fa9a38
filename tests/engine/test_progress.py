import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.engine.progress import PlainDisplay, Status, estimate_left, line

STATUS = Status(tasks=300, done=120, failed=0, blocked=0, running=2, settled=60, elapsed=30.0, left=90.0)


def test_line():
    assert line(STATUS) == "120/300 tasks (40%), 2.0 a second, 1 min 30 s left"
    assert line(replace(STATUS, failed=3, blocked=12)).endswith("left, 3 failed, 12 blocked")
    assert line(replace(STATUS, done=0, settled=0, elapsed=0.0, left=None)) == "0/300 tasks (0%)"
    assert line(replace(STATUS, done=300, left=0.0)) == "300/300 tasks (100%), 2.0 a second"
    assert "6.0 a minute" in line(replace(STATUS, settled=3))
    assert "12.0 an hour" in line(replace(STATUS, settled=1, elapsed=300.0))


@given(st.floats(0.1, 1e4), st.floats(0.1, 10), st.integers(1, 64))
def test_the_estimate_is_right_when_the_speed_stays(total, speed, workers):
    """Half of the work done: as long again, however wrong the plan's seconds are and however many work."""
    elapsed = total / 2 * speed / workers
    assert estimate_left(total / 2, total / 2, elapsed) == pytest.approx(elapsed)


def test_no_estimate_without_experience():
    assert estimate_left(10, 0, 5) is None


def test_plain_lines_come_seldom_and_the_last_word_always():
    now, out = [0.0], io.StringIO()
    with PlainDisplay(out, every=10, clock=lambda: now[0]) as show:
        for second in range(26):
            now[0] = float(second)
            show(replace(STATUS, done=second))
    shown = [text.split("/")[0] for text in out.getvalue().splitlines()]
    assert shown == ["10", "20", "25"]
