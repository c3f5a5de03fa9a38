"""Tests of the Python API: docs/python.md describes every exported name, and its examples run."""

import re
import sys
from pathlib import Path

import pytest
from support.toy_store import JOB, fill

import sweeper
from sweeper.errors import UsageError

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return the store of `toy.yaml`, with every task done, in the current folder."""
    monkeypatch.chdir(tmp_path)
    job = tmp_path / "toy.yaml"
    job.write_text(JOB)
    return fill(job, tmp_path / "runs" / "toy")


def test_the_page_documents_every_exported_name_and_no_other():
    assert sorted(re.findall(r"^## `(\w+)`$", PAGE, flags=re.M)) == sorted(sweeper.__all__)


def test_the_examples_of_the_page_run(store):
    namespace = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.S):
        exec(compile(block, "docs/python.md", "exec"), namespace)
    assert namespace["summary"].outcome == "complete"
    assert namespace["summary"].done == 0


def test_the_module_for_authors_of_stitchers_exports_what_its_page_imports():
    from sweeper import stitchers

    imported = re.search(r"from sweeper\.stitchers import (.+)", (ROOT / "docs" / "stitchers.md").read_text())
    assert imported
    assert set(imported[1].split(", ")) <= set(stitchers.__all__)
    assert all(hasattr(stitchers, name) for name in stitchers.__all__)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_query_returns_a_data_frame(store, library):
    pytest.importorskip(library)
    frame = getattr(store, f"sql_to_{library}")("SELECT * FROM models")
    assert len(frame) == 4


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_data_frame_of_a_missing_library_is_refused(store, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=f"{library} is not installed"):
        getattr(store, f"sql_to_{library}")("SELECT * FROM models")


def test_unknown_tables_are_refused(store):
    with pytest.raises(UsageError, match="did you mean 'zoo'"):
        store.tables("zo")
