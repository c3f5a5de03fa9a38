"""Reading a job is quick: it loads nothing that a worker needs."""

import subprocess
import sys

HEAVY = ("torch", "torchvision", "ray", "pyarrow", "numpy", "PIL", "sklearn", "duckdb")


def loaded_by(code: str) -> set[str]:
    """Which heavy packages are in memory after running some code in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(result.stdout.split())


def test_importing_spec_loads_nothing_heavy():
    script = """
from sweeper.spec.cards import archs, datasets, measures, protocols, stitchers
from sweeper.spec.content import fingerprint, folders
from sweeper.spec.job import check, grid, load, resolve, where
from sweeper.spec.records import ident, rows, task
"""
    assert loaded_by(script) == set()


def test_loading_a_job_on_a_named_set_loads_nothing_heavy(job):
    assert loaded_by(f"from sweeper.spec.job.load import load\nload({str(job())!r})") == set()


def test_a_folder_needs_arrow_and_pil_alone(job, parquet_folder):
    text = f"name: x\ndataset: {{parquet: {parquet_folder}}}\nmodels: {{m: {{arch: myrtle, steps: 1}}}}\n"
    assert loaded_by(f"from sweeper.spec.job.load import load\nload({str(job(text))!r})") <= {"pyarrow", "PIL", "numpy"}
