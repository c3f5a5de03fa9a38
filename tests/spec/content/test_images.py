"""Tests of the check of all images: each that can't be used is named, and what a reader may not expect is stated."""

from pathlib import Path

import pytest
from PIL import Image
from support.image_sets import encode, refusal, write_parquet

from sweeper.spec.content.folders import contents


def one_class_of(root: Path, *images: bytes | None) -> Path:
    good = encode(7, "RGB")
    write_parquet(root / "train.parquet", [0, 1] * len(images), [kind for one in images for kind in (good, one)])
    write_parquet(root / "test.parquet", [0, 1], [good, good])
    return root


@pytest.mark.parametrize("first", ["grey", "colour"])
def test_a_set_with_one_colour_image_is_read_in_colour(image_folder, first):
    file = image_folder / "train" / ("dog" if first == "grey" else "cat") / "0.png"
    file.write_bytes(encode(200))
    data = contents("imagefolder", image_folder)
    assert data.shape == (3, 4, 6)
    assert data.notes == ("23 images without colour among 24, read as colour like the others",)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (None, "there is no image (its bytes are null)"),
        (b"", "the image is empty (0 bytes)"),
        (encode(5)[:-30], "the image can't be decoded: "),
        (b"no image", "the image can't be decoded: it is no image of a known format"),
        (encode(0, "I;16"), "the image has more than 8 bits a channel (mode I;16)"),
        (encode(0, size=(5, 4)), "the image has 5 x 4 pixels, 5 of 6 images have 6 x 4"),
    ],
)
def test_an_image_that_cannot_be_used_is_named(tmp_path, image, problem):
    message = refusal("parquet", one_class_of(tmp_path, encode(3), image))
    assert message.startswith(f"{tmp_path}/train.parquet, row 3: {problem}")
    assert refusal("parquet", tmp_path) == message, "the second look uses the cached result of the first"


def test_all_of_them_are_listed(tmp_path):
    message = refusal("parquet", one_class_of(tmp_path, None, b"", encode(5)[:-30], encode(size=(9, 9))))
    assert [line.split(":")[0].split()[-1] for line in message.splitlines()] == ["1", "3", "5", "7"]


def test_a_file_of_macos_is_named(image_folder):
    (image_folder / "train" / "cat" / "._0.png").write_bytes(b"\0\5\x16\7")
    message = refusal("imagefolder", image_folder)
    assert message.endswith(
        "cat/._0.png: macOS's notes on a file, not an image; delete the files whose names start with ._"
    )


@pytest.mark.parametrize(("kind", "rule"), [("parquet", "applied, as Hugging Face"), ("imagefolder", "ignored, as")])
def test_a_rotation_is_stated(tmp_path, image_folder, kind, rule):
    exif = Image.Exif()
    exif[0x0112] = 3
    rotated = encode(9, form="JPEG", exif=exif)
    folder = one_class_of(tmp_path, rotated) if kind == "parquet" else image_folder
    (image_folder / "train" / "cat" / "x.jpg").write_bytes(rotated)
    notes = contents(kind, folder).notes
    assert any(note.startswith(f"1 image with a rotation in EXIF data, which is {rule}") for note in notes)


def test_transparency_is_stated(tmp_path):
    (note,) = contents("parquet", one_class_of(tmp_path, encode(9, "RGBA"))).notes
    assert note.startswith("1 image with transparent pixels, whose hidden colours are used")


def test_the_range_of_values(tmp_path):
    assert contents("parquet", one_class_of(tmp_path, encode(3))).value_range == (0, 255)
