"""Tests of paths that can't hold a store: refused before anything is written, and not recommended."""

from pathlib import Path

import pytest

from sweeper.errors import StoreError, StorePlaceError
from sweeper.store.parts.objects import Folder
from sweeper.store.store import Store
from sweeper.store.store_place import check_place


@pytest.mark.parametrize("below", ["", "/inside", "/deep/inside"])
def test_a_file_is_no_place_for_a_store(tmp_path, below):
    (tmp_path / "file").write_text("text")
    with pytest.raises(StorePlaceError, match="lies inside the file" if below else "is a file"):
        check_place(Folder(Path(f"{tmp_path}/file{below}")))


def test_a_folder_with_other_content_is_no_place_for_a_store(tmp_path):
    (tmp_path / "photo.png").touch()
    with pytest.raises(StorePlaceError, match=r"not empty \(it contains photo.png\)"):
        check_place(Folder(tmp_path))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux has /proc")
def test_proc_is_no_place_for_a_store():
    with pytest.raises(StorePlaceError, match="nothing can be written"):
        Store.open("/proc/store", create=True)


def test_a_new_folder_is_a_place_for_a_store_and_stays_empty(tmp_path):
    check_place(Folder(tmp_path / "new" / "store"))
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_hold_a_store_is_not_recommended(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text("text")
    with pytest.raises(StoreError, match="is a file") as caught:
        Store.open(str(file))
    assert "sweeper run" not in str(caught.value)


def test_a_recommended_command_quotes_the_path(tmp_path):
    with pytest.raises(StoreError, match=r"sweeper run JOB --store '.*/my store'"):
        Store.open(str(tmp_path / "my store"))


def test_a_web_page_is_no_place_for_a_store():
    with pytest.raises(StorePlaceError, match="a web server holds none; a store is a folder, or the URL of a bucket"):
        Store.open("https://example.org/x")


def test_a_store_of_a_similar_name_is_suggested(tmp_path):
    Store.open(str(tmp_path / "more-data"), create=True)
    (tmp_path / "mora-data").mkdir()
    with pytest.raises(StoreError, match=f"did you mean '{tmp_path}/more-data'\\? `sweeper run JOB"):
        Store.open(str(tmp_path / "mor-data"))
    with pytest.raises(StoreError) as caught:
        Store.open(str(tmp_path / "unlike"))
    assert "did you mean" not in str(caught.value)
