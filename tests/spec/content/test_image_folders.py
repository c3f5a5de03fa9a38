"""Tests of image folders: the classes and files that are read, named as left out, or refused."""

import pytest
from support.image_sets import encode, png_in, refusal

from sweeper.spec.content.folders import contents, list_files


def test_a_folder(image_folder):
    data = contents("imagefolder", image_folder)
    assert (data.train, data.test, data.classes, data.shape) == (20, 4, 2, (1, 4, 6))
    assert (data.class_names, data.train_counts) == (("cat", "dog"), {0: 10, 1: 10})
    assert list(list_files("imagefolder", image_folder)) == list(data.files)


def test_images_in_folders_within_a_class_count(image_folder):
    nested = image_folder / "train" / "cat" / "images" / "deep"
    nested.mkdir(parents=True)
    for file in list((image_folder / "train" / "cat").glob("*.png")):
        file.rename(nested / file.name)
    assert contents("imagefolder", image_folder).train_counts == {0: 10, 1: 10}


def test_what_is_not_read_is_named(image_folder):
    (image_folder / "train" / "cat" / "README.txt").write_text("cats")
    (image_folder / "train" / ".DS_Store").write_text("")
    (image_folder / "train" / ".ipynb_checkpoints").mkdir()
    (image_folder / "masks").mkdir()
    (image_folder / "train" / "loose.png").write_bytes(encode())
    data = contents("imagefolder", image_folder)
    left_out = {"train/cat/README.txt", "train/.DS_Store", "train/.ipynb_checkpoints", "masks/", "train/loose.png"}
    assert (data.train, data.classes, set(data.left_out)) == (20, 2, left_out)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "val" / "bird").mkdir(), "bird is a class that"),
        (lambda folder: (folder / "train" / "bird").mkdir(), "bird has no images (.bmp, "),
        (lambda folder: (folder / "train" / ".b").mkdir() or png_in(folder / "train" / ".b"), "the hidden folder"),
        (
            lambda folder: (folder / "train" / "cat" / ".b").mkdir() or png_in(folder / "train" / "cat" / ".b"),
            "is an image in a hidden folder; remove the folder .b",
        ),
        (lambda folder: (folder / "train").rename(folder / "images"), "no folder train in"),
        (
            lambda folder: (folder / "train" / "cat" / "up").symlink_to(folder / "train" / "cat"),
            "a link to a folder",
        ),
    ],
)
def test_folders_that_are_refused(image_folder, spoil, message):
    spoil(image_folder)
    assert message in refusal("imagefolder", image_folder)


def test_a_flat_folder_is_told_the_layout(tmp_path):
    png_in(tmp_path)
    message = refusal("imagefolder", tmp_path)
    assert "expected FOLDER/train/CLASS/IMAGE.png and FOLDER/test/CLASS/IMAGE.png" in message
    assert "it has a.png" in message
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    png_in(tmp_path / "train")
    assert "has no folder for each class; expected FOLDER/train/CLASS" in refusal("imagefolder", tmp_path)


def test_a_folder_that_does_not_exist(tmp_path):
    assert "there is no folder" in refusal("imagefolder", tmp_path / "none")
