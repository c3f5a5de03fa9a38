"""The columns of a Parquet data set, in the layout of the Hugging Face hub: encoded images, and labels from 0."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.spec.content.images import NamedImage
from sweeper.spec.content.lfs_pointers import POINTER, is_pointer
from sweeper.spec.content.splits import SPLIT_WORDS, unlabelled_split_hint
from sweeper.spec.content.wording import printable, some_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
ROWS = 2_000  # rows of a file that are in memory, encoded, at a time


@contextmanager
def open_parquet(file: Path) -> "Iterator[pq.ParquetFile]":
    """Open a Parquet file.

    Raises:
        DataError: The file, or a part of it that the context reads, is no Parquet or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            yield table
    except (pa.ArrowException, OSError) as error:
        if is_pointer(file):
            raise DataError(f"{file} {POINTER}") from None
        if isinstance(error, OSError) and error.errno:
            raise DataError(f"{file} can't be read: {os.strerror(error.errno)}") from None
        raise DataError(f"{file} can't be read as Parquet: {printable(str(error).splitlines()[0])}") from None


def is_empty(table: "pq.ParquetFile") -> bool:
    """Return True if a file has no rows. Its columns don't matter: writers give them no types, or leave them out."""
    return table.metadata.num_rows == 0


def find_columns(schema: "pa.Schema", file: Path) -> tuple[str, str]:
    """Return the names of the columns of images and of labels.

    Their names are usual ones; or else they are the only columns that the metadata of the hub declare as an image and
    as a class.

    Raises:
        DataError: The file has no such columns, or the column of images holds something else.
    """
    image = _column(schema, IMAGE_COLUMNS, "Image")
    label = _column(schema, LABEL_COLUMNS, "ClassLabel")
    if image is None or label is None:
        kind, usual = ("images", IMAGE_COLUMNS) if image is None else ("labels", LABEL_COLUMNS)
        raise DataError(
            f"{file} has no column {' or '.join(usual)}; it has {some_of(schema.names, 20) or 'none'}: "
            f"rename the column of {kind} to {usual[0]}"
        )
    for name in (image, label):
        if schema.names.count(name) > 1:
            raise DataError(f"{file} has {schema.names.count(name)} columns {name}")
    if not _may_hold_images(schema.field(image).type):
        raise DataError(
            f"{file}: the column {image} is {schema.field(image).type}, not encoded images "
            "(the bytes of PNG or JPEG files, or a struct with a field bytes)"
        )
    return image, label


def check_schemas(files: Sequence[Path]) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of the classes, () if the files don't hold them, and notes on columns that are not read.

    Raises:
        DataError: Files have other columns of images and labels, or number the classes in another way.
    """
    first, notes = files[0], []
    columns = names = None
    for file in files:
        with open_parquet(file) as table:
            if is_empty(table):
                continue
            schema = table.schema_arrow
        if columns is None:
            first, columns = file, find_columns(schema, file)
        if columns != (file_columns := find_columns(schema, file)):
            raise DataError(f"{file}: its columns are {' and '.join(file_columns)}, in {first} {' and '.join(columns)}")
        file_names = _class_names(schema, columns[1])
        if names and file_names and names != file_names:
            raise DataError(f"{file}: its labels are {some_of(file_names)}, those of {first} are {some_of(names)}")
        names = names or file_names
        others = [name for name in (*IMAGE_COLUMNS, *LABEL_COLUMNS) if name in schema.names and name not in columns]
        notes += [f"the columns {' and '.join(columns)} are read, and {' and '.join(others)} not"] if others else []
    return names or (), list(dict.fromkeys(notes))


def count_labels(files: Sequence[Path]) -> Counter[int]:
    """Return how often each label occurs in files.

    Raises:
        DataError: Labels are no whole numbers, are missing, or are negative.
    """
    counts: Counter[int] = Counter()
    for file in files:
        with open_parquet(file) as table:
            if is_empty(table):
                continue
            _, label = find_columns(table.schema_arrow, file)
            counts.update(_counted(table.read([label]).column(0), file))
    return counts


def as_numbers(labels: Any, name: str) -> Any:
    """Return a column of labels as whole numbers: truth values become 0 and 1, a dictionary's entries its values.

    Args:
        labels: An array of pyarrow, chunked or not.
        name: Where the labels are, for messages.

    Raises:
        DataError: They are something else.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(labels.type):
        labels = labels.cast(labels.type.value_type)
    if pa.types.is_boolean(labels.type):
        labels = labels.cast(pa.int8())
    if not pa.types.is_integer(labels.type):
        raise DataError(f"{name}: labels are {labels.type}, not whole numbers; number the classes from 0")
    return labels


def parquet_images(files: Sequence[Path], folder: Path) -> Iterator[NamedImage]:
    """Yield the images of files in the order of files and rows, with names relative to a folder."""
    for file in files:
        with open_parquet(file) as table:
            if is_empty(table):
                continue
            image, _ = find_columns(table.schema_arrow, file)
            name, row = printable(str(file.relative_to(folder))), 0
            for batch in table.iter_batches(ROWS, columns=[image]):
                for value in batch.column(0):
                    yield f"{name}, row {row}", image_bytes(value)
                    row += 1


def image_bytes(value: "pa.Scalar") -> bytes | None:
    """Return the encoded image of a Parquet value, which is bytes or a struct with `bytes`; None where it is null."""
    content = value.as_py()
    return content.get("bytes") if isinstance(content, dict) else content


def _may_hold_images(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _may_hold_images(kind.field("bytes").type)
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_null)
    return any(test(kind) for test in tests)


def _counted(column: "pa.ChunkedArray", file: Path) -> Counter[int]:
    import numpy as np

    labels = as_numbers(column, str(file))
    if labels.null_count:
        raise DataError(f"{file}: {labels.null_count} labels are missing")
    values, counts = np.unique(labels.to_numpy(), return_counts=True)
    if len(values) and values[0] < 0:
        unlabelled = " (-1 marks images without a label)" if values[0] == -1 else ""
        hint = _unlabelled_hint(file)
        raise DataError(f"{file}: labels go down to {values[0]}{unlabelled}; they count from 0{hint}")
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def _unlabelled_hint(file: Path) -> str:
    name = file.name.lower()
    word = next((word for word in SPLIT_WORDS["test"] if name.startswith((f"{word}-", f"{word}."))), "")
    return unlabelled_split_hint(word, [other.name for other in file.parent.iterdir()])


def _column(schema: "pa.Schema", usual_names: Sequence[str], feature: str) -> str | None:
    """Return the first usual name that a column has, or else the only column that is declared as a feature."""
    if named := [name for name in usual_names if name in schema.names]:
        return named[0]
    declared = [name for name in schema.names if _feature(schema, name).get("_type") == feature]
    return declared[0] if len(declared) == 1 else None


def _class_names(schema: "pa.Schema", label: str) -> tuple[str, ...]:
    """Return the names of the classes that the metadata of the hub hold; () if there are none."""
    names = _feature(schema, label).get("names")
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _feature(schema: "pa.Schema", column: str) -> dict[str, Any]:
    """Return what Hugging Face `datasets` wrote into a file about a column; {} if it wrote nothing."""
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]
    except (KeyError, TypeError, ValueError):
        return {}
    return feature if isinstance(feature, dict) else {}
