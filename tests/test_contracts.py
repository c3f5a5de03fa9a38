"""The walls of the house: what may import what, and what a module must do without."""

import subprocess
import sys
from pathlib import Path

import pytest

import sweeper

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "torchvision", "ray")


def imported_by(statement: str) -> set[str]:
    """The top-level modules that are loaded in a fresh interpreter after a statement."""
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_import_contracts_hold():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("sweeper", (*HEAVY, "pydantic", "duckdb")),
        ("sweeper.cli.main", (*HEAVY, "pydantic", "duckdb", "numpy")),
        ("sweeper.spec.job.load", (*HEAVY, "duckdb")),
        ("sweeper.plan.plan", (*HEAVY, "duckdb")),
        ("sweeper.plan.explain", (*HEAVY, "duckdb")),
        ("sweeper.plan.frontier", HEAVY),
        ("sweeper.store.store", HEAVY),
        ("sweeper.report.tables", HEAVY),
        ("sweeper.report.page", HEAVY),
        ("sweeper.report.audit.show", HEAVY),
        ("sweeper.cli.status", HEAVY),
        ("sweeper.trials.perform", ("ray", "duckdb")),
        ("sweeper.engine.run", ("torch", "torchvision")),
    ],
)
def test_what_a_module_does_without(module, without):
    assert not imported_by(f"import {module}") & set(without)


def test_what_is_exported_is_what_is_there():
    """`__all__`, `dir()` and what the attributes give agree; nothing is named like a folder of ours."""
    folders = {path.name for path in (ROOT / "sweeper").iterdir() if path.is_dir()}
    assert sweeper.__all__ == sorted(sweeper.__all__)
    assert set(sweeper.__all__) <= set(dir(sweeper))
    assert not set(sweeper.__all__) & folders
    named = [name for name in sweeper.__all__ if name not in ("__version__", "errors", "stitchers")]
    assert [getattr(sweeper, name).__name__ for name in named] == named
    assert sweeper.errors.__name__ == "sweeper.errors"
    assert sweeper.Sweep.__module__ == "sweeper.spec.job.sweep"
    with pytest.raises(AttributeError, match="no attribute 'Stitch'"):
        sweeper.Stitch  # noqa: B018


def test_the_public_names_come_late():
    assert "torch" not in imported_by(
        "import sweeper; sweeper.Plan, sweeper.Sweep, sweeper.Store, sweeper.load, sweeper.stitchers"
    )
