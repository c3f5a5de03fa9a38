"""Tests of the how-to pages: their blocks run one after the other, those of buckets on a server of S3's protocol."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from obstore.store import from_url
from support.s3_server import s3_server
from support.toy_store import fill

from sweeper.resources import jobs_dir

ROOT = Path(__file__).parent.parent
SLURM, NOTEBOOK, BUCKET = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("slurm", "notebook", "bucket"))


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.S)


def run_lines(lines: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run lines of shell in a folder, check that each succeeds, and return what they print."""
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-e", "-c", lines],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | path | dict(environment or {}),
        timeout=280,
    )
    assert result.returncode == 0, f"{lines}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small `more-data.yaml` and its filled store."""
    folder = tmp_path_factory.mktemp("how_to")
    job = folder / "more-data.yaml"
    job.write_text("""\
name: more-data
dataset: digits
models:
  weak: {arch: mlp, width: 8, samples: 100, steps: 20, seed: [0, 1]}
  strong: {arch: mlp, width: 8, samples: 300, steps: 20, seed: [10, 11]}
stitch:
  - {bottom: [weak, strong], top: weak, layers: [hidden2]}
""")
    fill(job, folder / "runs" / "more-data")
    return folder


class TestSlurm:
    def test_the_page_shows_the_script_that_comes_with_sweeper(self):
        script = (jobs_dir() / "launch" / "slurm.sh").read_text()
        lines = [line for line in script.splitlines() if not re.match(r"# |#$", line)]
        (shown,) = blocks(SLURM, "bash")
        assert re.sub(r"\n+", "\n", shown).splitlines() == [line for line in lines if line]

    def test_the_script_is_correct_bash(self):
        (shown,) = blocks(SLURM, "bash")
        check = subprocess.run(["bash", "-n"], input=shown, check=False, capture_output=True, text=True)
        assert (check.returncode, check.stderr) == (0, "")

    def test_one_task_on_each_node_gets_the_job_the_store_and_the_head(self, tmp_path):
        """Run the script with an `srun` that prints its arguments; `test_launch_lines` runs it on a real Ray."""
        for name, line in (("scontrol", "echo first; seq 100000"), ("srun", 'printf "%s\\n" "$@"')):
            (tmp_path / name).write_text(f"#!/bin/bash\n{line}\n")
            (tmp_path / name).chmod(0o755)
        (shown,) = blocks(SLURM, "bash")
        (tmp_path / "slurm.sh").write_text(shown)
        environment = {"SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2"}
        line = 'PATH=".:$PATH" bash slurm.sh "my job.yaml" /shared/paper'
        words = run_lines(line, tmp_path, environment).splitlines()
        assert words[:4] == ["ray", "symmetric-run", "--address", "first:6379"]
        assert words[words.index("--min-nodes") + 1] == "2"
        command = words[words.index("--") + 1 :]
        assert command == [
            *("sweeper", "run", "my job.yaml", "--wait", "--store", "/shared/paper", "engine.address=auto")
        ]

    def test_the_commands_of_the_login_node_run(self, folder):
        (lines,) = blocks(SLURM, "sh")
        assert "more_data" in run_lines(lines, folder) or "More data" in run_lines(lines, folder)


def test_the_blocks_of_the_notebook_run(folder, monkeypatch):
    pytest.importorskip("pandas")
    import vl_convert

    monkeypatch.chdir(folder)
    shown: list[dict[str, Any]] = []
    namespace = {"display": lambda bundle, raw: shown.append(bundle)}
    for block in blocks(NOTEBOOK, "python"):
        exec(compile(block, "docs/notebook.md", "exec"), namespace)
    assert namespace["summary"].outcome == "complete"
    assert set(namespace["by_cut"].columns) == {"a_samples", "cut_b", "depth", "net_gain", "pairs"}
    assert len(namespace["frame"]) > 0
    [bundle] = shown
    assert "<path" in vl_convert.vegalite_to_svg(bundle["application/vnd.vegalite.v5+json"])


@pytest.mark.slow
def test_the_commands_of_the_page_on_buckets_run(folder):
    """Copy the files of the filled store first, as the page says, so that `run` finds every task done."""
    store = folder / "runs" / "more-data"
    with s3_server():
        bucket = from_url("s3://sweeps/more-data")
        for file in filter(Path.is_file, store.rglob("*")):
            bucket.put(file.relative_to(store).as_posix(), file.read_bytes())
        for block in blocks(BUCKET, "sh"):
            printed = run_lines(block.replace("s3://BUCKET", "s3://sweeps"), folder)
            if "sweeper sql" in block:
                assert "stitches" in printed
    assert (folder / "report.html").stat().st_size > 1000
