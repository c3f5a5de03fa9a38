"""Tests that reading a job imports no heavy package, so that commands start quickly."""

import subprocess
import sys

HEAVY = ("torch", "torchvision", "ray", "pyarrow", "numpy", "PIL", "sklearn", "duckdb")


def heavy_packages_after(code: str) -> set[str]:
    """Return the heavy packages that are in memory after some code ran in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(result.stdout.split())


def test_importing_spec_imports_no_heavy_package():
    script = """
from sweeper.spec.cards import archs, datasets, measures, protocols, stitchers
from sweeper.spec.content import fingerprint, folders
from sweeper.spec.job import check, grid, load, resolve, where
from sweeper.spec.records import ident, rows, task
"""
    assert heavy_packages_after(script) == set()


def test_loading_a_job_with_a_named_data_set_imports_no_heavy_package(job):
    assert heavy_packages_after(f"from sweeper.spec.job.load import load\nload({str(job())!r})") == set()


def test_loading_a_job_with_a_data_set_in_a_folder_imports_only_arrow_pil_and_numpy(job, parquet_folder):
    text = f"name: x\ndataset: {{parquet: {parquet_folder}}}\nmodels: {{m: {{arch: myrtle, steps: 1}}}}\n"
    assert heavy_packages_after(f"from sweeper.spec.job.load import load\nload({str(job(text))!r})") <= {
        "pyarrow",
        "PIL",
        "numpy",
    }
