"""Tests of image folders: the classes and files that are read, named as left out, or refused."""

import os

import pytest
from support.image_sets import encode, png_in, refusal, write_image_folder

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


def images_of(*names: str) -> dict[str, bytes]:
    return {name: encode(i) for i, name in enumerate(names)}


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "valid"), ("Train", "Test"), ("Training", "Testing"), ("TRAIN", "val"), ("train", "validation")],
)
def test_names_of_split_folders(tmp_path, train, test):
    names = [f"{split}/{name}/0.png" for split in (train, test) for name in "ab"]
    write_image_folder(tmp_path, images_of(*names))
    data = contents("imagefolder", tmp_path)
    assert [str(file.relative_to(tmp_path)) for file in data.files] == names


def test_suffixes_in_capital_letters_and_names_of_windows(tmp_path):
    names = ["a/0.PNG", "a/1.JpG", "b/2.jpeg", "b/3.TIFF"]
    files = {f"{split}/{name}": encode(form="PNG") for split in ("train", "test") for name in names}
    files |= {"train/a/Thumbs.db": b"x", "train/desktop.ini": b"x", "__MACOSX/train/a/._0.PNG": b"x"}
    data = contents("imagefolder", write_image_folder(tmp_path, files))
    assert (data.train, data.left_out) == (4, ("train/a/Thumbs.db", "train/desktop.ini", "__MACOSX/"))


def test_images_of_no_known_suffix_are_left_out(tmp_path):
    files = images_of(*(f"{split}/{name}/0.png" for split in ("train", "test") for name in "ab"), "train/a/1.gif")
    assert contents("imagefolder", write_image_folder(tmp_path, files)).left_out == ("train/a/1.gif",)


def test_a_class_of_another_case_is_named_with_the_class_that_it_resembles(tmp_path):
    write_image_folder(tmp_path, images_of("train/cat/0.png", "train/dog/0.png", "test/Cat/0.png"))
    assert "did you mean 'cat'?" in refusal("imagefolder", tmp_path)


def test_a_test_split_without_classes_names_the_split_that_could_be_used(tmp_path):
    names = ["train/a/0.png", "train/b/0.png", "val/a/0.png", "val/b/0.png"]
    write_image_folder(tmp_path, images_of(*names, "test/0.png"))
    assert "move the test split out of the folder, and val is used in its place" in refusal("imagefolder", tmp_path)
    write_image_folder(tmp_path, images_of("test/images/0.png"))
    assert "test/images is a class that" in (message := refusal("imagefolder", tmp_path))
    assert message.endswith("and val is used in its place")


def test_links_to_files_and_folders_are_followed(image_folder, tmp_path):
    write_image_folder(tmp_path / "other", images_of("x/0.png", "1.png"))
    (image_folder / "train" / "cat" / "more").symlink_to(tmp_path / "other")
    (image_folder / "train" / "emu").symlink_to(tmp_path / "other")
    data = contents("imagefolder", image_folder)
    assert (data.class_names, data.train_counts) == (("cat", "dog", "emu"), {0: 12, 1: 10, 2: 2})


def test_a_loop_of_links_through_another_folder_is_refused(image_folder, tmp_path):
    (tmp_path / "other").mkdir()
    for name in "xy":
        (tmp_path / "other" / name).symlink_to(image_folder / "train" / "cat")
    (image_folder / "train" / "cat" / "up").symlink_to(tmp_path / "other")
    assert "is a link to a folder that contains it" in refusal("imagefolder", image_folder)


def test_a_link_to_nothing_is_named(image_folder):
    (image_folder / "train" / "cat" / "00.png").symlink_to("nowhere.png")
    assert "train/cat/00.png can't be read: No such file or directory" in refusal("imagefolder", image_folder)


def test_a_named_pipe_is_refused(image_folder):
    os.mkfifo(image_folder / "train" / "cat" / "00.png")
    assert "train/cat/00.png is not a regular file" in refusal("imagefolder", image_folder)


def test_a_folder_that_cannot_be_read_is_named(image_folder, monkeypatch):
    def walk(folder, onerror, **_):
        onerror(PermissionError(13, "Permission denied", f"{folder}/closed"))
        return iter(())

    monkeypatch.setattr("sweeper.spec.content.image_folders.os.walk", walk)
    assert "cat/closed can't be read: Permission denied" in refusal("imagefolder", image_folder)


def test_what_lies_beside_the_splits_is_named(image_folder):
    for name in ("labels.csv", "metadata.parquet", ".gitattributes"):
        (image_folder / name).write_bytes(b"x")
    (image_folder / "masks").mkdir()
    assert contents("imagefolder", image_folder).left_out == ("labels.csv", "masks/", "metadata.parquet")


def test_one_class_is_refused(tmp_path):
    write_image_folder(tmp_path, images_of(*(f"{split}/images/{i}/0.png" for split in ("train", "val") for i in "ab")))
    message = f"{tmp_path}/train/images is the only class: a classifier needs at least two, each a folder in {tmp_path}"
    assert refusal("imagefolder", tmp_path) == f"{message}/train"


def test_a_class_of_files_of_other_kinds_names_them(tmp_path):
    write_image_folder(tmp_path, images_of("train/a/0.png", "train/b/0.gif", "train/b/1.gif", "test/a/0.png"))
    assert "train/b has no images (.bmp, " in (message := refusal("imagefolder", tmp_path))
    assert message.endswith(", .webp); it has 0.gif, 1.gif: fill or remove the folder")


def test_the_splits_in_an_inner_folder_are_pointed_at(image_folder):
    message = refusal("imagefolder", image_folder.parent)
    assert message.endswith(f"it has pets/; did you mean {image_folder}?")


@pytest.mark.parametrize("target", ["train", "train/cat", "."])
def test_a_class_that_links_to_a_folder_around_it_is_refused(image_folder, target):
    (image_folder / "train" / "emu").symlink_to(image_folder / target)
    if target == "train/cat":
        assert contents("imagefolder", image_folder).train_counts == {0: 10, 1: 10, 2: 10}
    else:
        assert "train/emu is a link to a folder that contains it" in refusal("imagefolder", image_folder)
