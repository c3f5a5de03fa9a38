"""Tests of the folder of a data set and of the words of splits."""

import os
from pathlib import Path

import pytest

from sweeper.errors import DataError
from sweeper.spec.content.splits import check_folder, unlabelled_split_hint


def test_a_later_word_of_the_test_split_is_proposed():
    hint = "; move the test split out of the folder, and validation is used in its place"
    assert unlabelled_split_hint("test", ["train-0.parquet", "test-0.parquet", "validation-0.parquet"]) == hint
    assert unlabelled_split_hint("test", ["train", "test", "VAL"]).endswith("and val is used in its place")


def test_no_word_is_proposed_where_there_is_none():
    assert unlabelled_split_hint("test", ["train", "test", "valuable"]) == ""
    assert unlabelled_split_hint("val", ["train", "test", "val"]) == ""
    assert unlabelled_split_hint("train", ["train", "val"]) == ""


def test_a_folder_must_exist_and_have_a_name_in_utf8(tmp_path):
    (tmp_path / "file").touch()
    odd = Path(os.fsdecode(bytes(tmp_path) + b"/\xff"))
    odd.mkdir()
    for folder, message in (
        (tmp_path / "none", f"there is no folder {tmp_path}/none; {tmp_path} exists"),
        (tmp_path / "file", "file is a file, not a folder"),
        (odd, r"/\xff is not UTF-8; rename it"),
    ):
        with pytest.raises(DataError) as error:
            check_folder(folder)
        assert message in str(error.value)
    check_folder(tmp_path)
