"""Tests of the atomic replacement of files and of the cache folder."""

import os
import re
from pathlib import Path

import pytest
from support.damage import flipped

from sweeper import files
from sweeper.errors import SetupError
from sweeper.files import (
    cache_folder,
    check_cache_folder,
    check_output,
    delete_temporaries,
    expand_user,
    read_cached_text,
    replaced_by_path,
    replaced_folder,
    write_atomically,
    write_cache,
    write_cached_text,
    write_output,
    write_with_folders,
)


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


def test_a_file_is_written_with_its_folders_or_an_error_is_raised(tmp_path: Path) -> None:
    write_with_folders(tmp_path / "a" / "b" / "c.txt", "text")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "text"
    with pytest.raises(FileExistsError):
        write_with_folders(tmp_path / "a" / "b" / "c.txt" / "d.txt", "text")


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    write_cache(tmp_path / "cache" / "a.txt", "text")
    write_cache(tmp_path / "cache" / "a.txt" / "b.txt", "text")
    assert [path.name for path in tmp_path.rglob("*.txt")] == ["a.txt"]


def test_a_cached_text_is_read_as_it_was_written_and_refused_with_any_other_bit(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    for text in ("", "[1.0]", "é\n\n"):
        write_cached_text(file, text)
        assert read_cached_text(file) == text
    content = file.read_bytes()
    for bit in range(8 * len(content)):
        file.write_bytes(flipped(content, bit))
        with pytest.raises(ValueError, match="damaged"):
            read_cached_text(file)
    with pytest.raises(FileNotFoundError):
        read_cached_text(tmp_path / "b.json")


def test_a_file_of_the_user_is_replaced_and_a_link_or_a_device_is_written_through(tmp_path: Path) -> None:
    file, link = tmp_path / "a.txt", tmp_path / "link"
    link.symlink_to(file)
    write_output(link, "through")
    assert link.is_symlink()
    assert file.read_text() == "through"
    write_output(file, b"new")
    assert link.read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_output(tmp_path / "pipe", "data")
    assert os.read(reader, 10) == b"data"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "(it is a folder); name a file in it"),
        ("none/a", "(there is no folder {}/none); make it, or name a file in another"),
        ("file/a", "(there is no folder {}/file); make it, or name a file in another"),
    ],
)
def test_a_place_that_cannot_be_written_is_named_before_and_when_it_is_written(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    message = re.escape(f"{tmp_path / name} can't be written {reason.format(tmp_path)}")
    with pytest.raises(SetupError, match=message):
        write_output(tmp_path / name, "text")
    with pytest.raises(SetupError, match=message):
        check_output(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_check_of_an_output_leaves_nothing_and_allows_folders_that_will_be_made(tmp_path: Path) -> None:
    check_output(None)
    check_output(Path("/dev/null"))
    check_output(tmp_path / "a.txt")
    check_output(tmp_path / "new" / "folder" / "a.txt", makes_folders=True)
    assert list(tmp_path.iterdir()) == []


def test_the_check_of_the_cache_folder_leaves_nothing_and_finds_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    check_cache_folder()
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.setattr(files, "LEAST_BYTES", 2**80)
    with pytest.raises(SetupError, match=r"cache can't be written \(No space left on device\); set SWEEPER_CACHE"):
        check_cache_folder()


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


def test_a_folder_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for name in ("a", "b"):
        with replaced_folder(folder) as new:
            (new / name).write_text(name)
            assert not (folder / name).exists()
        assert [path.name for path in folder.iterdir()] == [name]
    with pytest.raises(ZeroDivisionError), replaced_folder(folder) as new:
        (new / "c").write_text(str(1 / 0))
    with pytest.raises(SetupError, match="out can't be written"), replaced_folder(folder) as new:
        new.rmdir()
    assert [path.name for path in folder.iterdir()] == ["b"]
    (tmp_path / "link").symlink_to(folder)
    with replaced_folder(tmp_path / "link") as new:
        (new / "d").write_text("d")
    assert [path.name for path in folder.iterdir()] == ["d"]
    assert {path.name for path in tmp_path.iterdir()} == {"out", "link"}


def test_a_file_that_is_written_by_its_path_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    file = tmp_path / "a"
    for content in ("old", "new"):
        with replaced_by_path(file) as new:
            new.write_text(content)
            new.with_suffix(".journal").write_text("left over")
    with pytest.raises(SetupError, match="a can't be written"), replaced_by_path(file):
        pass
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_process_that_ends_at_once_deletes_what_it_was_writing(tmp_path: Path) -> None:
    def write() -> None:
        with replaced_folder(tmp_path / "out") as new:
            (new / "a").write_text("a")
            delete_temporaries()
            assert list(tmp_path.iterdir()) == []

    with pytest.raises(SetupError, match="out can't be written"):
        write()
