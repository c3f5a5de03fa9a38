"""Data sets in folders: the files and columns that hold the images and labels, and their numbers.

There are two layouts. Parquet is that of the Hugging Face hub: `train*.parquet` and `test*.parquet` (or `validation*`,
`val*`) in FOLDER or FOLDER/data, with a column of encoded images and a column of labels from 0. Image folders are those
of torchvision: FOLDER/train/CLASS/* and FOLDER/test/CLASS/* (or `val`, `validation`); the classes of the training
split, sorted by name, are the labels 0, 1, 2 ...
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sweeper.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".pgm", ".tif", ".tiff"})
SPLITS = {"train": ("train",), "test": ("test", "validation", "val")}  # names of a split; the first that exists


@dataclass(frozen=True, slots=True)
class Contents:
    """The files, sizes and image shape of a data set in a folder."""

    files: tuple[Path, ...]  # of the data set, in order
    train: int  # images
    test: int
    classes: int
    shape: tuple[int, int, int]  # channels, height, width of the first training image


def contents(kind: str, folder: Path) -> Contents:
    """Return the contents of a data set's folder; of its images, only the first one is read.

    Args:
        kind: The layout, "parquet" or "imagefolder".
        folder: The folder of the data set.

    Raises:
        DataError: There is no such folder, or it doesn't have that layout.
    """
    if not folder.is_dir():
        parent = f"; {folder.parent} exists" if folder.parent.is_dir() else ""
        raise DataError(f"there is no folder {folder}{parent}")
    return {"parquet": _parquet, "imagefolder": _imagefolder}[kind](folder)


def parquet_files(folder: Path, split: str) -> list[Path]:
    """Return the files of a split, in order.

    Raises:
        DataError: There are none.
    """
    for place in (folder, folder / "data"):
        for prefix in SPLITS[split]:
            if files := sorted(place.glob(f"{prefix}*.parquet")):
                return files
    raise DataError(f"no {split}*.parquet in {folder} (nor in a folder data/ in it)")


def parquet_columns(schema: "pa.Schema", file: Path) -> tuple[str, str]:
    """Return the names of the columns of images and of labels.

    Raises:
        DataError: The file has no such columns.
    """
    image = next((name for name in IMAGE_COLUMNS if name in schema.names), None)
    label = next((name for name in LABEL_COLUMNS if name in schema.names), None)
    if image is None or label is None:
        missing = " or ".join(IMAGE_COLUMNS if image is None else LABEL_COLUMNS)
        raise DataError(f"{file} has no column {missing}; it has {', '.join(schema.names)}")
    return image, label


def classes(folder: Path) -> list[str]:
    """Return the names of the classes of an image folder, in the order of their labels."""
    return sorted(entry.name for entry in _split_folder(folder, "train").iterdir() if entry.is_dir())


def image_files(folder: Path, split: str) -> Iterator[tuple[Path, int]]:
    """Yield the images of a split of an image folder with their labels, class by class, sorted by name.

    Raises:
        DataError: The split has a class that the training split doesn't have.
    """
    place, names = _split_folder(folder, split), classes(folder)
    for entry in sorted(place.iterdir()):
        if not entry.is_dir():
            continue
        if entry.name not in names:
            raise DataError(f"{entry} is a class that {folder}/train doesn't have")
        label = names.index(entry.name)
        yield from ((file, label) for file in sorted(entry.iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES)


def _split_folder(folder: Path, split: str) -> Path:
    for name in SPLITS[split]:
        if (folder / name).is_dir():
            return folder / name
    raise DataError(f"no folder {' or '.join(SPLITS[split])} in {folder}")


def _parquet(folder: Path) -> Contents:
    files = {split: parquet_files(folder, split) for split in SPLITS}
    rows: Mapping[str, int] = {}
    most = 0
    for split, names in files.items():
        rows[split] = 0
        for file in names:
            with _opened(file) as opened:
                _, label = parquet_columns(opened.schema_arrow, file)
                rows[split] += opened.metadata.num_rows
                most = max(most, _highest_label(opened.read([label]).column(0), file))
    if not rows["train"] or not rows["test"]:
        raise DataError(f"no images in the {'test' if rows['train'] else 'train'} files of {folder}")
    with _opened(files["train"][0]) as opened:
        shape = _image_shape(_first_image(opened, files["train"][0]), files["train"][0])
    return Contents((*files["train"], *files["test"]), rows["train"], rows["test"], most + 1, shape)


def _opened(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file} can't be read as Parquet: {error}") from None


def _highest_label(labels: "pa.ChunkedArray", file: Path) -> int:
    import pyarrow as pa

    if not pa.types.is_integer(labels.type):
        raise DataError(f"{file}: labels are {labels.type}, not whole numbers")
    if labels.null_count:
        raise DataError(f"{file}: {labels.null_count} labels are missing")
    values = labels.to_numpy()
    if len(values) and values.min() < 0:
        raise DataError(f"{file}: labels go down to {values.min()}; they count from 0")
    return int(values.max(initial=-1))


def _first_image(opened: Any, file: Path) -> BytesIO:
    image, _ = parquet_columns(opened.schema_arrow, file)
    value = next(opened.iter_batches(batch_size=1, columns=[image])).column(0)[0].as_py()
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        raise DataError(f"{file}: column {image} holds no encoded images")
    return BytesIO(content)


def _imagefolder(folder: Path) -> Contents:
    splits = {split: [file for file, _ in image_files(folder, split)] for split in SPLITS}
    for split, image_paths in splits.items():
        if not image_paths:
            raise DataError(f"no images in {_split_folder(folder, split)}")
    with splits["train"][0].open("rb") as file:
        shape = _image_shape(file, splits["train"][0])
    files: Sequence[Path] = (*splits["train"], *splits["test"])
    return Contents(tuple(files), len(splits["train"]), len(splits["test"]), len(classes(folder)), shape)


def _image_shape(content: BinaryIO, file: Path) -> tuple[int, int, int]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(content) as image:
            channels = 1 if image.mode in ("1", "L", "LA", "I", "I;16", "F") else 3
            return channels, image.height, image.width
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{file}: the first image can't be read: {error}") from None
