"""Tests of the tutorial: its blocks run one after the other, and its text says what they show."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.toy_store import fill

from sweeper.cli.init import STARTERS

TUTORIAL = (Path(__file__).parent.parent / "docs" / "tutorial.md").read_text()
JOB, STORE = "own-images.yaml", "runs/own-images"


def blocks() -> Iterator[tuple[str, str]]:
    """Yield the language and the text of each block that a reader runs."""
    for language, text in re.findall(r"```(\w+)\n(.*?)```", TUTORIAL, flags=re.S):
        if language in ("sh", "python"):
            yield language, text


def run_block(language: str, text: str, folder: Path) -> str:
    """Run a block in a folder, check that each of its commands succeeds, and return what it prints."""
    shell = ["bash", "-e", "-c", text]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        shell if language == "sh" else [sys.executable, "-c", text],
        check=False, capture_output=True, text=True, cwd=folder, env=environment, timeout=900,
    )  # fmt: skip
    assert result.returncode == 0, f"{text}\n{result.stderr}"
    return result.stdout


def test_the_tutorial_shows_the_job_that_init_writes():
    (shown,) = re.findall(r"```yaml\n(.*?)```", TUTORIAL, flags=re.S)
    assert yaml.safe_load(shown) == yaml.safe_load(STARTERS["own-images"].text())


@pytest.mark.slow
def test_every_block_runs_in_a_store_that_has_the_results(tmp_path):
    """Fill the store with rows that nothing was computed for, so that this takes seconds."""
    for language, text in blocks():
        if text.startswith("sweeper run") and not (tmp_path / STORE).exists():
            job = tmp_path / JOB
            with_all_cuts = job.with_name("filled.yaml")
            with_all_cuts.write_text(job.read_text().replace("layers: [", "layers: [block4, "))
            fill(with_all_cuts, tmp_path / STORE)
        run_block(language, text, tmp_path)
    assert (tmp_path / "images.png").exists()
    assert (tmp_path / STORE / "report.html").exists()
    assert len(list((tmp_path / "small").rglob("*.png"))) == 998 + 799


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_block_runs_and_the_answer_is_that_of_the_text(tmp_path):
    for language, text in blocks():
        run_block(language, text, tmp_path)
    tables = run_block("sh", f"sweeper tables more_data --json --store {STORE}", tmp_path)
    (answer,) = [
        row
        for row in json.loads(tables)[0]["rows"]
        if row["a_samples"] > row["b_samples"] and row["cut"].startswith("(depth")
    ]
    assert answer["verdict"] == "better"
    assert 5 < answer["net_gain"] < 20, "the text says about 12"
