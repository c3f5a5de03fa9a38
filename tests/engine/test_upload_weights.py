"""Files of weights are put into the store before anything starts, or the run says why it can't."""

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
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "net.safetensors"
    path.write_bytes(CONTENT)
    return path


def plan(file: Path) -> Plan:
    family = {"arch": "resnet18k", "width": 2, "steps": 0, "weights": [str(file), "none"]}
    return Plan.of(resolve(Sweep.model_validate({"name": "s", "models": {"m": family}})))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "store"), create=True)


def test_a_file_is_needed_until_the_store_has_it(file: Path, store: Store) -> None:
    planned = plan(file)
    upload_weights(planned, store)
    assert store.get_weights(digest(CONTENT)) == CONTENT
    file.unlink()
    upload_weights(planned, store)


def test_a_file_that_is_gone_or_another_stops_the_run(file: Path, store: Store) -> None:
    planned = plan(file)
    file.write_bytes(CONTENT + b" ")
    with pytest.raises(SweeperError, match="changed since its job was resolved"):
        upload_weights(planned, store)
    file.unlink()
    with pytest.raises(SweeperError, match="can't be read: No such file"):
        upload_weights(planned, store)


def test_what_is_done_needs_no_file(file: Path, store: Store) -> None:
    planned = plan(file)
    file.unlink()
    upload_weights(Plan.of(planned.sweep, {model.id for model in planned.models}), store)
