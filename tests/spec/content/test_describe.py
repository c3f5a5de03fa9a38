"""Tests of the description of a data set: text and JSON say the same."""

from support.image_sets import write_parquet

from sweeper.spec.content.describe import MOST_LISTED, describe_as_json, describe_as_text
from sweeper.spec.content.folders import contents


def test_text_has_a_line_for_each_split_and_for_each_note(tmp_path):
    write_parquet(tmp_path / "train.parquet", [0, 2, 2])
    write_parquet(tmp_path / "test.parquet", [0])
    write_parquet(tmp_path / "extra.parquet", [0])
    assert describe_as_text(contents("parquet", tmp_path)).splitlines() == [
        f"data set: parquet in {tmp_path}",
        "  training: 3 images, 1 to 2 a class, in 1 file (train.parquet)",
        "  test: 1 image, 1 a class, in 1 file (test.parquet)",
        "  2 classes; colour images of 6 x 4 pixels, values 0 .. 255",
        "  not read: extra.parquet",
        "  note: 2 classes are present; no image has a label 1, but networks get 3 outputs (labels 0 .. 2)",
        "  note: the label 2: train images but no test images",
    ]


def test_files_are_named_with_their_folders(tmp_path):
    for split in ("train", "test"):
        write_parquet(tmp_path / "data" / split / "0000.parquet", [0, 1])
    text = describe_as_text(contents("parquet", tmp_path))
    assert "in 1 file (data/train/0000.parquet)" in text
    assert "in 1 file (data/test/0000.parquet)" in text


def test_text_names_only_the_first_of_many_files(tmp_path):
    for name in ("train", "test"):
        write_parquet(tmp_path / f"{name}.parquet", [0, 1])
    for i in range(MOST_LISTED + 2):
        write_parquet(tmp_path / f"extra-{i:02}.parquet", [0])
    images = contents("parquet", tmp_path)
    assert "extra-09.parquet and 2 more" in describe_as_text(images)
    assert len(describe_as_json(images)["left_out"]) == MOST_LISTED + 2


def test_json_counts_each_class_that_is_present(image_folder):
    facts = describe_as_json(contents("imagefolder", image_folder))
    assert facts["classes"] == [
        {"label": 0, "name": "cat", "train": 10, "test": 2},
        {"label": 1, "name": "dog", "train": 10, "test": 2},
    ]
    assert (facts["train_files"], facts["test_files"], facts["outputs"]) == (20, 4, 2)
