"""Tests of the check of all images: each that can't be used is named, and what a reader may not expect is stated."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from support.image_sets import encode, refusal, write_parquet

from sweeper.spec.content.folders import contents


def one_class_of(root: Path, *images: bytes | None) -> Path:
    good = encode(7, "RGB")
    write_parquet(root / "train.parquet", [0, 1] * len(images), [kind for one in images for kind in (good, one)])
    write_parquet(root / "test.parquet", [0, 1], [encode(8), encode(8)])
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
        (None, "there is no image (its bytes are null; a path beside them is not followed)"),
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


def rotated_jpeg(size: tuple[int, int], orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(9, size=size, form="JPEG", exif=exif)


def test_a_rotation_that_is_applied_changes_the_size(tmp_path, image_folder):
    assert contents("parquet", one_class_of(tmp_path, rotated_jpeg((4, 6), 6))).shape == (3, 4, 6)
    (image_folder / "train" / "cat" / "x.jpg").write_bytes(rotated_jpeg((4, 6), 6))
    assert "cat/x.jpg: the image has 4 x 6 pixels" in refusal("imagefolder", image_folder)


def image_bytes_of(image: Image.Image, form: str, **save) -> bytes:
    content = BytesIO()
    image.save(content, form, **save)
    return content.getvalue()


GREY = Image.new("L", (6, 4), 100)
COLOUR = Image.new("RGB", (6, 4), (9, 0, 255))
READ_AS_COLOUR = {
    "CMYK": image_bytes_of(COLOUR.convert("CMYK"), "JPEG"),
    "palette": image_bytes_of(COLOUR.convert("P"), "PNG"),
    "transparent palette": image_bytes_of(COLOUR.convert("P"), "PNG", transparency=0),
    "animated GIF": image_bytes_of(COLOUR, "GIF", save_all=True, append_images=[COLOUR.rotate(90)]),
    "animated WebP": image_bytes_of(COLOUR, "WEBP", save_all=True, append_images=[COLOUR.point(lambda x: 255 - x)]),
    "RGBA": image_bytes_of(COLOUR.convert("RGBA"), "PNG"),
}
READ_AS_GREY = {
    "grey": image_bytes_of(GREY, "PNG"),
    "two values": image_bytes_of(GREY.convert("1"), "PNG"),
    "grey with transparency": image_bytes_of(GREY.convert("LA"), "PNG"),
    "JPEG": image_bytes_of(GREY, "JPEG"),
    "PGM": image_bytes_of(GREY, "PPM"),
}


@pytest.mark.parametrize("form", [*READ_AS_COLOUR, *READ_AS_GREY])
def test_kinds_of_images(tmp_path, form):
    image = (READ_AS_COLOUR | READ_AS_GREY)[form]
    for split in ("train", "test"):
        write_parquet(tmp_path / f"{split}.parquet", [0, 1], [image, image])
    data = contents("parquet", tmp_path)
    assert data.shape == ((1 if form in READ_AS_GREY else 3), 4, 6)
    several = [note for note in data.notes if "several frames, of which the first is used" in note]
    assert bool(several) == form.startswith("animated")


def test_sixteen_bits_of_colour_are_stated(tmp_path):
    row = b"\0" + b"\x12\x34" * 18  # a PNG of 6 x 4 pixels with 16 bits a channel, which Pillow can't write
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 6, 4, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * 4)),
        (b"IEND", b""),
    ]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    (note,) = contents("parquet", one_class_of(tmp_path, png)).notes
    assert note == "1 image with 16 bits a channel, of which the upper 8 are used, as Pillow does"


def test_a_huge_image_is_named_and_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    message = refusal("parquet", one_class_of(tmp_path, encode(size=(100, 100))))
    assert "row 1: the image can't be decoded: Image size (10000 pixels) exceeds limit" in message


def test_a_large_image_gives_no_warning(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    assert contents("parquet", one_class_of(tmp_path, encode())).shape == (3, 4, 6)
    assert not recwarn.list


def test_a_moved_data_set_is_named_by_its_new_path(tmp_path, image_folder):
    (image_folder / "train" / "cat" / "0.png").write_bytes(encode(size=(9, 9)))
    assert str(image_folder) in refusal("imagefolder", image_folder)
    moved = image_folder.rename(tmp_path / "moved")
    assert refusal("imagefolder", moved).startswith(f"{moved}/train/cat/0.png: ")


def test_progress_counts_to_the_number_of_images(image_folder):
    calls = []
    contents("imagefolder", image_folder, lambda *call: calls.append(call))
    contents("imagefolder", image_folder, lambda *call: calls.append(call))
    assert calls[:2] == [("reading files", 16, 24), ("reading files", 24, 24)]
    assert [call for call in calls if call[0] == "checking images"] == [("checking images", 24, 24)]


def test_a_name_with_a_line_break_is_one_line(image_folder):
    (image_folder / "train" / "cat" / "a\nb.png").write_bytes(b"")
    assert refusal("imagefolder", image_folder) == (f"{image_folder}/train/cat/a\\nb.png: the image is empty (0 bytes)")


def test_test_images_that_are_also_training_images_are_stated(tmp_path):
    write_parquet(tmp_path / "train.parquet", [0, 1], [encode(1), encode(2)])
    write_parquet(tmp_path / "test.parquet", [0, 1, 1], [encode(3), encode(2), encode(1)])
    note = "2 images of the test split with the same bytes as a training image"
    assert contents("parquet", tmp_path).notes == (note,)
    assert contents("parquet", tmp_path).notes == (note,), "the second look uses the cached result of the first"
