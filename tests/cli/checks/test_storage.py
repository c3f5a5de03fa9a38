"""Tests of the check of a store."""

from datetime import UTC, datetime, timedelta

import pytest

from sweeper.cli.checks import storage
from sweeper.cli.checks.check import FAILED, OK, WARNING
from sweeper.store.parts.objects import Folder
from sweeper.store.store import Store


def test_a_store_is_written_read_back_and_left_as_it_was(complete_store, tmp_path):
    root = tmp_path / "runs" / "toy"
    before = {path for path in root.rglob("*") if path.is_file()}
    check = storage.check_store(str(root), True)
    assert check.state == OK
    assert check.details == f"rows can be written and read; {root}: 24 tasks done"
    assert {path for path in root.rglob("*") if path.is_file()} == before


def test_a_store_that_does_not_exist_yet_is_checked_where_it_would_be_made(tmp_path):
    assert storage.check_store(str(tmp_path / "new"), True).state == OK
    check = storage.check_store(str(tmp_path / "new"), False)
    assert (check.state, check.fix) == (WARNING, f"sweeper run JOB --store {tmp_path / 'new'}")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    check = storage.check_store(str(tmp_path / "file"), True)
    assert (check.state, "is a file" in check.details) == (FAILED, True)


class ReplacingFolder(Folder):
    """A storage without put-if-absent, as some servers with the protocol of S3 are."""

    def create(self, path: str, content: bytes) -> bool:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)
        return True


def test_a_storage_that_replaces_objects_is_refused(tmp_path, monkeypatch):
    Store.open(str(tmp_path), create=True)
    monkeypatch.setattr(storage, "open_objects", lambda url: ReplacingFolder(tmp_path))
    check = storage.check_store(str(tmp_path), True)
    assert (check.state, check.details) == (FAILED, f"{tmp_path} replaces objects that exist")
    assert "put-if-absent" in check.fix


@pytest.mark.parametrize(
    ("hours", "seconds", "state", "words"),
    [(0, 0, OK, "fine"), (0, 25, WARNING, "25 s ahead of"), (-1, 0, FAILED, "3600 s behind")],
)
def test_the_clock_is_compared_with_that_of_the_store(tmp_path, hours, seconds, state, words):
    """Shift the time of this machine, because a test may not set the system's clock."""
    shift = timedelta(hours=hours, seconds=seconds + (1 if seconds else 0))  # a second is allowed for
    check = storage._probe(Folder(tmp_path), "fine", now=lambda: datetime.now(UTC) + shift)
    assert check.state == state
    assert words in check.details
