"""Tests of the text of `sweeper status`."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from sweeper.cli.status import JobStatus, NewStitch
from sweeper.cli.status_view import log_line, page
from sweeper.store.failure_causes import FailureCause
from sweeper.store.progress import NodeProgress, Progress

NOW = datetime.now(UTC)
FRESH = (NOW + timedelta(days=1)).isoformat()  # fresh however long after the import of this file a test runs
PROGRESS = Progress(
    "r1", FRESH, done=44, failed=3, blocked=2, running=3, starting=1, queued=10, rate=1.1, left=60.0,
    left_range=(50.0, 80.0), nodes=(NodeProgress("box", 4, 3, 1, 0.97, 12.0), NodeProgress("idle", 2, 0, 0, 0.0)),
)  # fmt: skip
JOB = JobStatus(
    job="toy", tasks={"models": {"tasks": 4, "done": 4}, "stitches": {"tasks": 80, "done": 40}}, done=44, missing=35,
    failed=3, blocked=2, run="r1", outcome="running", started=NOW, seconds=40.0, left=60.0,
    failures={"ValueError": 2, "timeout": 1}, causes=(
        FailureCause("stitches", "ValueError at trials/stitch.py:12", 2, "0a1b2c3d4e5f6071", "no\nsuch cut " * 20),
        FailureCause("models", "timeout", 1, "ffeeddccbbaa9988", "more than 10 s"),
    ),
    newest=[NewStitch(NOW, "strong seed 10", "weak seed 0", "block4", "conv1x1", 12.34, 14.0)], progress=PROGRESS,
)  # fmt: skip


def text(job: JobStatus, width: int = 100) -> str:
    """Return the page of a store with one job."""
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False).print(page("runs/toy", [job], None))
    return out.getvalue()


def test_the_page_has_packs_nodes_failures_and_the_newest_results():
    lines = [" ".join(row.split()) for row in text(JOB).splitlines()]
    assert "44/84 tasks done, 35 missing, 3 failed, 2 blocked" in lines
    assert "run r1: running, 40 s, about 1 min 0 s (50 s to 1 min 20 s) left" in lines
    assert "failed: 2 stitches: ValueError at trials/stitch.py:12" in lines
    assert "for example ffeeddccbbaa: more than 10 s" in lines
    assert "details: sweeper explain 0a1b2c3d4e5f --store runs/toy" in lines
    assert "packs: 3 running, 1 on workers that are being set up, 10 queued; 1.1 a second" in lines
    assert "box 4 3 97 % 12 s" in lines
    assert "idle 2 0 0 %" in lines
    assert f"{NOW:%H:%M:%S} strong seed 10 weak seed 0 block4 conv1x1 12.3 % 14.0 %" in lines


def test_old_news_of_a_driver_has_its_age():
    old, fresh = (replace(PROGRESS, at=(datetime.now(UTC) - timedelta(minutes=m)).isoformat()) for m in (3, 0))
    assert "(as of 3 min" in text(replace(JOB, progress=old))
    assert "as of" not in text(replace(JOB, progress=fresh))


def test_what_a_run_waits_for_is_shown():
    assert "waiting for a node" in text(replace(JOB, progress=replace(PROGRESS, waiting="waiting for a node")))


@pytest.mark.parametrize("width", [40, 80])
def test_the_page_fits_a_narrow_terminal(width):
    assert max(map(len, text(JOB, width).splitlines())) <= width


def test_a_line_has_the_same_in_short():
    assert log_line(JOB).partition(" toy: ")[2] == (
        "44/84 tasks (52%), running, 3 packs running on 1 node, 10 queued, 1.1 a second, 1 min 0 s (50 s to 1 min "
        "20 s) left, 3 failed (ValueError 2, timeout 1), 2 blocked"
    )
    assert log_line(replace(JOB, progress=None, left=None, failed=0, blocked=0, outcome="lost")).endswith("(52%), lost")
