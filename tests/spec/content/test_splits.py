"""Tests of the words of splits."""

from sweeper.spec.content.splits import unlabelled_split_hint


def test_a_later_word_of_the_test_split_is_proposed():
    hint = "; move the test split out of the folder, and validation is used in its place"
    assert unlabelled_split_hint("test", ["train-0.parquet", "test-0.parquet", "validation-0.parquet"]) == hint
    assert unlabelled_split_hint("test", ["train", "test", "VAL"]).endswith("and val is used in its place")


def test_no_word_is_proposed_where_there_is_none():
    assert unlabelled_split_hint("test", ["train", "test", "valuable"]) == ""
    assert unlabelled_split_hint("val", ["train", "test", "val"]) == ""
    assert unlabelled_split_hint("train", ["train", "val"]) == ""
