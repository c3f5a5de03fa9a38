"""Tests of the shards of a split: those that are missing or doubled are named, gaps are stated."""

from pathlib import Path

import pytest
from support.image_sets import refusal, write_parquet

from sweeper.spec.content.folders import contents
from sweeper.spec.content.parquet_shards import shard_of


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("train", ("train", None, None, "")),
        ("train-00002-of-00005", ("train", 2, 5, "")),
        ("Train_2 of 5", ("train", 2, 5, "")),
        ("train-00002-of-00005-0a1b2c3d", ("train", 2, 5, "-0a1b2c3d")),
        ("mnist-train-3.snappy", ("mnist-train", 3, None, "")),
        ("0000", ("", 0, None, "")),
        ("train (1)", ("train (1)", None, None, "")),
        ("train-v2.1", ("train-v2", 1, None, "")),
    ],
)
def test_the_parts_of_a_name(name, parts):
    shard = shard_of(Path(f"{name}.parquet"))
    assert (shard.stem, shard.index, shard.total, shard.hash) == parts


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["train-00000-of-00005", "train-00001-of-00005", "train-00002-of-00005", "train-00004-of-00005"],
            "has 4 of the 5 train files; missing: train-00003-of-00005.parquet",
        ),
        (["train-00001-of-00002"], "missing: train-00000-of-00002.parquet"),
        (
            ["train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"],
            "the train split more than once, as train-00000-of-00001.parquet and train-00000-of-00002.parquet, ",
        ),
        (["train", "train-00000-of-00001"], "more than once, as train-00000-of-00001.parquet and train.parquet"),
        (["train", "train-0", "train-1"], "more than once"),
        (["train-0-of-2-00112233", "train-0-of-2-44556677", "train-1-of-2-00112233"], "shard 0 of the train split"),
        (["train-00", "train-0"], "shard 0 of the train split more than once"),
        (
            ["train-00000-of-00002", "train-00001-of-00002", "train-00007-of-00002"],
            "3 train files named as parts of",
        ),
    ],
)
def test_shards_that_are_missing_or_doubled(tmp_path, names, message):
    for name in names:
        write_parquet(tmp_path / f"{name}.parquet", [0, 1])
    write_parquet(tmp_path / "test.parquet", [0, 1])
    assert message in refusal("parquet", tmp_path)


def test_a_missing_shard_with_a_hash_is_named_with_a_star(tmp_path):
    write_parquet(tmp_path / "train-00001-of-00002-0a1b2c3d4e5f6071.parquet", [0, 1])
    assert "missing: train-00000-of-00002-*.parquet" in refusal("parquet", tmp_path)


def test_numbers_with_gaps_are_stated(tmp_path):
    for name in ("train-0", "train-1", "train-4", "test"):
        write_parquet(tmp_path / f"{name}.parquet", [0, 1])
    assert contents("parquet", tmp_path).notes == ("the numbers of the train files have gaps: 2, 3",)
