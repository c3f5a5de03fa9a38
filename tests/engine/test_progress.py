"""Tests of the progress line."""

import io
import os
import pty
import sys
import time
from dataclasses import replace

from sweeper.engine.progress import PlainDisplay, Status, display, line

STATUS = Status(tasks=300, done=120, failed=0, blocked=0, running=2, settled=60, elapsed=30.0, left=90.0)


def test_the_line_has_the_rate_the_time_left_and_the_failures():
    assert line(STATUS) == "120/300 tasks (40%), 2.0 a second, 1 min 30 s left"
    assert line(replace(STATUS, failed=3, blocked=12)).endswith("left, 3 failed, 12 blocked")
    assert line(replace(STATUS, done=0, settled=0, elapsed=0.0, left=None)) == "0/300 tasks (0%)"
    assert line(replace(STATUS, done=300, left=0.0)) == "300/300 tasks (100%), 2.0 a second"
    assert "6.0 a minute" in line(replace(STATUS, settled=3))
    assert line(replace(STATUS, measured=True)).endswith("1 min 30 s left by measured times")
    assert "1 min 30 s (1 min 10 s to 2 min 5 s) left" in line(replace(STATUS, left_range=(70.0, 125.0)))
    assert "12.0 an hour" in line(replace(STATUS, settled=1, elapsed=300.0))


def test_plain_lines_are_printed_once_a_period_and_at_the_end():
    seconds, out = [0.0], io.StringIO()
    with PlainDisplay(out, period=10, clock=lambda: seconds[0]) as show:
        for second in range(26):
            seconds[0] = float(second)
            show(replace(STATUS, done=second))
    done_counts = [text.split("/")[0] for text in out.getvalue().splitlines()]
    assert done_counts == ["10", "20", "25"]


def test_a_plain_line_is_printed_when_a_run_begins_to_wait():
    seconds, out = [0.0], io.StringIO()
    with PlainDisplay(out, period=10, clock=lambda: seconds[0]) as show:
        show(STATUS)
        for second in range(1, 5):
            seconds[0] = float(second)
            show(replace(STATUS, waiting=f"waiting for a node with 1 CPU, {second} s"))
    waiting = [text.partition("; ")[2] for text in out.getvalue().splitlines()]
    assert waiting == ["waiting for a node with 1 CPU, 1 s", "waiting for a node with 1 CPU, 4 s"]


def test_what_a_run_waits_for_at_its_start_is_said_first():
    out = io.StringIO()
    with PlainDisplay(out, first="starting Ray on this machine") as show:
        assert out.getvalue() == "starting Ray on this machine\n"
        show(STATUS)
    assert out.getvalue().splitlines()[1:] == [line(STATUS)]


def test_on_a_terminal_the_time_of_the_start_is_counted(monkeypatch):
    master, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with display("starting Ray on this machine"):
            time.sleep(1.3)
    text = os.read(master, 100_000).decode()
    os.close(master)
    assert "starting Ray on this machine, 0 s" in text
    assert "starting Ray on this machine, 1 s" in text
