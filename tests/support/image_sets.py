"""Small data sets of images in folders, and the messages with which they are refused."""

from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sweeper.errors import DataError
from sweeper.spec.content.folders import contents


def encode(value: int = 0, mode: str = "RGB", size: tuple[int, int] = (6, 4), form: str = "PNG", **save) -> bytes:
    content = BytesIO()
    color = {"RGB": (value, 0, 255), "RGBA": (value, 0, 0, 0), "L": value, "I;16": 40_000}[mode]
    Image.new(mode, size, color).save(content, form, **save)
    return content.getvalue()


def write_parquet(file: Path, labels: list[int | None], images: list[bytes | None] | None = None) -> None:
    """Write a file of images with labels in the Hugging Face layout.

    Unless given, the images are in colour, and those of training files differ from others.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    start = 0 if "train" in f"{file.parent.name}/{file.name}" else 100
    images = [encode(start + row) for row in range(len(labels))] if images is None else images
    rows = pa.array([{"bytes": image, "path": None} for image in images], pa.struct([("bytes", pa.binary())]))
    pq.write_table(pa.table({"image": rows, "label": pa.array(labels, pa.int64())}), file)


def rewrite(file: Path, **columns) -> None:
    table = pq.read_table(file)
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    pq.write_table(table, file)


def refusal(kind: str, folder: Path) -> str:
    """Return the message with which a folder is refused."""
    with pytest.raises(DataError) as error:
        contents(kind, folder)
    return str(error.value)


def png_in(folder: Path) -> None:
    (folder / "a.png").write_bytes(encode())


def write_image_folder(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files by their paths in a folder, and return the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
