"""A flat namespace of whole objects, in a folder and in a bucket."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sweeper.errors import StoreError
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Bucket, Folder, Objects, open_objects


def test_create_never_overwrites(objects: Objects):
    assert objects.create("a/b", b"first")
    assert not objects.create("a/b", b"second")
    assert objects.read("a/b") == b"first"


def test_of_many_creators_one_wins(objects: Objects):
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda i: objects.create("lease/1", str(i).encode()), range(8)))
    assert sum(won) == 1
    assert objects.read("lease/1") == str(won.index(True)).encode()


def test_list_is_sorted_and_says_sizes(objects: Objects):
    for path, content in {"rows/b/2": b"22", "rows/a/1": b"1", "other/3": b"333"}.items():
        objects.create(path, content)
    assert [(found.path, found.size) for found in objects.list("rows/")] == [("rows/a/1", 1), ("rows/b/2", 2)]
    assert objects.list("nothing/") == []


def test_the_stamp_moves_with_the_content(objects: Objects):
    objects.create("a/b", b"one")
    objects.create("a/c", b"two")
    objects.move("a/c", "a/d")
    before = objects.list("a/")[0].stamp
    objects.move("a/d", "a/b")
    assert objects.list("a/")[0].stamp != before


def test_move_and_delete(objects: Objects):
    objects.create("a/b", b"x")
    objects.move("a/b", "damaged/a/b")
    assert objects.read("damaged/a/b") == b"x"
    with pytest.raises(FileNotFoundError):
        objects.read("a/b")
    objects.delete("damaged/a/b")
    objects.delete("damaged/a/b")
    assert objects.list("damaged/") == []


def test_move_of_what_is_gone(objects: Objects):
    with pytest.raises(FileNotFoundError):
        objects.move("a/b", "a/c")


def test_a_file_is_on_disk_before_its_name_and_the_name_before_create_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = Folder(tmp_path)
    folder.create("rows/first", b"")  # so that no folder has to be made
    calls: list[str] = []
    fsync, link = os.fsync, os.link

    def noted_fsync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append("fsync folder" if target.is_dir() else "fsync file")
        fsync(descriptor)

    def noted_link(source: Path, target: Path) -> None:
        calls.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "link", noted_link)
    folder.create("rows/second", b"x")
    assert calls == ["fsync file", "link", "fsync folder"]
    assert folder.list(store_paths.TEMPORARY) == []


def test_without_hard_links_nothing_is_overwritten_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    folder = Folder(tmp_path)
    assert folder.create("a/b", b"first")
    assert not folder.create("a/b", b"second")
    assert folder.read("a/b") == b"first"


def test_errors_of_the_disk_name_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(StoreError, match=f"{tmp_path} can't be reached.*disk full"):
        Folder(tmp_path).create("a/b", b"x")
    assert Folder(tmp_path).list(store_paths.TEMPORARY) == []


def test_leftovers_of_killed_processes_are_cleaned_once_old(tmp_path: Path):
    folder = Folder(tmp_path)
    (tmp_path / "tmp").mkdir()
    for name in ("old", "new"):
        (tmp_path / "tmp" / name).write_bytes(b"half")
    os.utime(tmp_path / "tmp" / "old", (0, 0))
    folder.clean(3600)
    assert [found.path for found in folder.list("tmp/")] == ["tmp/new"]


def test_urls(tmp_path: Path, s3: None):
    assert open_objects(f"file://{tmp_path}").url == open_objects(str(tmp_path)).url == str(tmp_path)
    assert isinstance(open_objects("s3://bucket/prefix/"), Bucket)
    assert open_objects("s3://bucket/prefix/").url == "s3://bucket/prefix"
    with pytest.raises(StoreError, match="ftp://host"):
        open_objects("ftp://host/folder")


def test_a_bucket_that_is_not_there_is_named(s3: None):
    with pytest.raises(StoreError, match="s3://nowhere/x can't be reached"):
        open_objects("s3://nowhere/x").create("a", b"x")
