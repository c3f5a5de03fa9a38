"""Tests of the import contracts between packages, and of the libraries that a module must not load."""

import subprocess
import sys
from pathlib import Path

import pytest

import sweeper

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "torchvision", "ray")


def imported_by(statement: str) -> set[str]:
    """Return the top-level modules that are loaded in a new interpreter after a statement."""
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(result.stdout.split())


def test_import_contracts_hold():
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "excluded"),
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
def test_importing_a_module_does_not_load_heavy_libraries(module, excluded):
    assert not imported_by(f"import {module}") & set(excluded)


def test_every_exported_name_exists():
    """Check that `__all__`, `dir()` and the attributes agree, and that no name is that of a folder."""
    folders = {path.name for path in (ROOT / "sweeper").iterdir() if path.is_dir()}
    assert sweeper.__all__ == sorted(sweeper.__all__)
    assert set(sweeper.__all__) <= set(dir(sweeper))
    assert not set(sweeper.__all__) & folders
    names = [name for name in sweeper.__all__ if name not in ("__version__", "errors", "stitchers")]
    assert [getattr(sweeper, name).__name__ for name in names] == names
    assert sweeper.errors.__name__ == "sweeper.errors"
    assert sweeper.Sweep.__module__ == "sweeper.spec.job.sweep"
    with pytest.raises(AttributeError, match="no attribute 'Stitch'"):
        sweeper.Stitch  # noqa: B018


def test_public_names_are_imported_without_torch():
    assert "torch" not in imported_by(
        "import sweeper; sweeper.Plan, sweeper.Sweep, sweeper.Store, sweeper.load, sweeper.stitchers"
    )
