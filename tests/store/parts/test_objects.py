"""Object storage in a folder and in a bucket."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.s3_proxy import CLOSED, UNAVAILABLE, S3Proxy

from sweeper.errors import StoreError, StorePlaceError, StoreUnreachableError
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Bucket, Folder, Objects, open_objects


def test_create_never_overwrites(objects: Objects):
    assert objects.create("a/b", b"first")
    assert not objects.create("a/b", b"second")
    assert objects.read("a/b") == b"first"


def test_one_of_many_simultaneous_calls_creates_an_object(objects: Objects):
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda i: objects.create("lease/1", str(i).encode()), range(8)))
    assert sum(created) == 1
    assert objects.read("lease/1") == str(created.index(True)).encode()


def test_list_is_sorted_and_has_sizes(objects: Objects):
    for path, content in {"rows/b/2": b"22", "rows/a/1": b"1", "other/3": b"333"}.items():
        objects.create(path, content)
    assert [(info.path, info.size) for info in objects.list("rows/")] == [("rows/a/1", 1), ("rows/b/2", 2)]
    assert objects.list("nothing/") == []


def test_the_stamp_changes_with_the_content(objects: Objects):
    objects.create("a/b", b"one")
    objects.create("a/c", b"two")
    objects.move("a/c", "a/d")
    first_stamp = objects.list("a/")[0].stamp
    objects.move("a/d", "a/b")
    assert objects.list("a/")[0].stamp != first_stamp


def test_an_object_can_be_moved_and_deleted(objects: Objects):
    objects.create("a/b", b"x")
    objects.move("a/b", "damaged/a/b")
    assert objects.read("damaged/a/b") == b"x"
    with pytest.raises(FileNotFoundError):
        objects.read("a/b")
    objects.delete("damaged/a/b")
    objects.delete("damaged/a/b")
    assert objects.list("damaged/") == []


def test_moving_a_missing_object_raises(objects: Objects):
    with pytest.raises(FileNotFoundError):
        objects.move("a/b", "a/c")


def test_create_syncs_the_file_before_it_gets_its_name_and_then_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = Folder(tmp_path)
    folder.create("rows/first", b"")  # makes the folders
    calls: list[str] = []
    fsync, link = os.fsync, os.link

    def recording_fsync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append("fsync folder" if target.is_dir() else "fsync file")
        fsync(descriptor)

    def recording_link(source: Path, target: Path) -> None:
        calls.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "link", recording_link)
    folder.create("rows/second", b"x")
    assert calls == ["fsync file", "link", "fsync folder"]
    assert folder.list(store_paths.TEMPORARY) == []


def test_old_temporary_files_of_killed_processes_are_deleted(tmp_path: Path):
    folder = Folder(tmp_path)
    (tmp_path / "tmp").mkdir()
    for name in ("old", "new"):
        (tmp_path / "tmp" / name).write_bytes(b"half")
    os.utime(tmp_path / "tmp" / "old", (0, 0))
    folder.clean(3600)
    assert [info.path for info in folder.list("tmp/")] == ["tmp/new"]


def test_a_path_or_url_opens_a_folder_or_a_bucket(tmp_path: Path, s3: int):
    assert open_objects(f"file://{tmp_path}").url == open_objects(str(tmp_path)).url == str(tmp_path)
    assert isinstance(open_objects("s3://bucket/prefix/"), Bucket)
    assert open_objects("s3://bucket/prefix/").url == "s3://bucket/prefix"
    with pytest.raises(StoreError, match="ftp://host"):
        open_objects("ftp://host/folder")


def test_the_error_of_a_missing_bucket_names_the_store(s3: int):
    with pytest.raises(StoreError, match="s3://nowhere/x can't be reached"):
        open_objects("s3://nowhere/x").create("a", b"x")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("s3:bucket/x", r"did you mean s3://bucket/x\?"),
        ("s3:/bucket", r"did you mean s3://bucket\?"),
        ("GS:bucket", r"did you mean gs://bucket\?"),
        ("ftp://bucket/x", "s3://BUCKET/FOLDER"),
        ("s3://", "s3://BUCKET/FOLDER"),
    ],
)
def test_a_url_of_no_bucket_is_refused_with_one_that_is(url: str, problem: str):
    with pytest.raises(StorePlaceError, match=problem):
        open_objects(url)


@pytest.mark.parametrize(
    ("fault", "words"),
    [(UNAVAILABLE, "503 Service Unavailable: SlowDown: Please reduce"), (CLOSED, "error sending request")],
)
def test_a_bucket_that_does_not_answer_now_is_told_from_one_that_never_will(
    disturbed_bucket: Bucket, proxy: S3Proxy, fault: str, words: str
):
    disturbed_bucket.create("a", b"x")
    proxy.faults = {fault: 1.0}
    nowhere = "s3://nowhere/x"
    with pytest.raises(
        StoreUnreachableError, match=f"{disturbed_bucket.url} can't be reached: .*{words}"
    ) as error_info:
        disturbed_bucket.read("a")
    assert "Debug" not in str(error_info.value)
    assert "<" not in str(error_info.value)
    proxy.faults = {}
    with pytest.raises(StorePlaceError) as other_error_info:
        open_objects(nowhere).create("a", b"x")
    assert "NoSuchBucket" in str(other_error_info.value)
    assert not isinstance(other_error_info.value, StoreUnreachableError)


def test_expired_credentials_are_named_and_taken_anew_at_the_next_request(
    disturbed_bucket: Bucket, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
):
    disturbed_bucket.create("a", b"x")
    proxy.expired_key = os.environ["AWS_ACCESS_KEY_ID"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")
    with pytest.raises(StoreUnreachableError, match=r"credentials of .* have expired .*ExpiredToken: The provided tok"):
        disturbed_bucket.read("a")
    assert disturbed_bucket.read("a") == b"x"
