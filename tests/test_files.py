"""Tests of the atomic replacement of files and of the cache folder."""

from pathlib import Path

import pytest

from sweeper.files import cache_folder, expand_user, write_atomically


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_atomically(file, "old")
    write_atomically(file, b"new \xc3\xa9")
    assert file.read_text("utf-8") == "new é"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failed_write_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.txt"
    write_atomically(file, "old")

    def fail(_: Path, __: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SWEEPER_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "sweeper"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/sweeper")
    monkeypatch.setenv("SWEEPER_CACHE", "/y")
    assert cache_folder() == Path("/y")


def test_the_folder_of_a_user_is_filled_in_if_there_is_such_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expand_user("~/x") == Path("/home/me/x")
    assert expand_user(Path("~no-such-user/x")) == Path("~no-such-user/x")
