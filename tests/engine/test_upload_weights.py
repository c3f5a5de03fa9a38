"""Tests of putting weight files into the store before a run starts."""

from pathlib import Path

import pytest

from sweeper.engine.upload_weights import upload_weights
from sweeper.errors import SweeperError
from sweeper.plan.plan import Plan
from sweeper.spec.job.resolve import resolve
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.records.ident import digest
from sweeper.store.store import Store

HEADER = b'{"__metadata__":{}}'
CONTENT = len(HEADER).to_bytes(8, "little") + HEADER


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a weight file, and set a cache folder for this test."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "net.safetensors"
    path.write_bytes(CONTENT)
    return path


def make_plan(file: Path) -> Plan:
    """Return the plan of a job with a model that starts from the file, and one that does not."""
    family = {"arch": "resnet18k", "width": 2, "steps": 0, "weights": [str(file), "none"]}
    return Plan.of(resolve(Sweep.model_validate({"name": "s", "models": {"m": family}})))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Create an empty store."""
    return Store.open(str(tmp_path / "store"), create=True)


def test_a_file_is_needed_until_the_store_has_it(file: Path, store: Store) -> None:
    plan = make_plan(file)
    upload_weights(plan, store)
    assert store.get_weights(digest(CONTENT)) == CONTENT
    file.unlink()
    upload_weights(plan, store)


def test_a_missing_or_changed_file_is_refused(file: Path, store: Store) -> None:
    plan = make_plan(file)
    file.write_bytes(CONTENT + b" ")
    with pytest.raises(SweeperError, match="changed since the job was resolved"):
        upload_weights(plan, store)
    file.unlink()
    with pytest.raises(SweeperError, match="can't be read: No such file"):
        upload_weights(plan, store)


def test_a_model_that_is_done_needs_no_file(file: Path, store: Store) -> None:
    plan = make_plan(file)
    file.unlink()
    upload_weights(Plan.of(plan.sweep, {model.id for model in plan.models}), store)
