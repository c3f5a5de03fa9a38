"""The description of a data set that `sweeper plan` and `sweeper data` show: what was understood from its files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweeper.spec.content.folders import Contents
from sweeper.spec.content.label_counts import Counts
from sweeper.spec.content.wording import count_of, printable, some_of

MOST_LISTED = 10  # files that a line of text names


def describe_as_json(images: Contents) -> dict[str, Any]:
    """Return what was understood of a data set in a folder, as values that JSON can hold."""
    names = {label: printable(name) for label, name in enumerate(images.class_names)}
    present = sorted({*images.train_counts, *images.test_counts})
    channels, height, width = images.shape
    return {
        "kind": images.kind,
        "folder": str(images.folder),
        "train_files": len(images.train_files),
        "test_files": len(images.test_files),
        "train": images.train,
        "test": images.test,
        "channels": channels,
        "height": height,
        "width": width,
        "lowest_value": images.value_range[0],
        "highest_value": images.value_range[1],
        "outputs": images.classes,
        "classes": [
            {
                "label": label,
                "name": names.get(label),
                "train": images.train_counts.get(label, 0),
                "test": images.test_counts.get(label, 0),
            }
            for label in present
        ],
        "left_out": list(map(printable, images.left_out)),
        "notes": list(images.notes),
        "digest": images.digest,
    }


def describe_as_text(images: Contents) -> str:
    """Return what was understood of a data set in a folder, as lines of text."""
    channels, height, width = images.shape
    low, high = images.value_range
    lines = [
        f"data set: {images.kind} in {images.folder}",
        f"  training: {_split(images.folder, images.train_counts, images.train_files)}",
        f"  test: {_split(images.folder, images.test_counts, images.test_files)}",
        f"  {len({*images.train_counts, *images.test_counts})} classes; "
        f"{'grey' if channels == 1 else 'colour'} images of {width} x {height} pixels, values {low} .. {high}",
    ]
    if images.left_out:
        lines.append(f"  not read: {some_of(images.left_out, MOST_LISTED)}")
    return "\n".join([*lines, *(f"  note: {note}" for note in images.notes)])


def _split(folder: Path, counts: Counts, files: Sequence[Path]) -> str:
    parquet = [file.relative_to(folder) for file in files if file.suffix.lower() == ".parquet"]
    names = f" ({some_of(parquet, MOST_LISTED)})" if parquet else ""
    return (
        f"{count_of(sum(counts.values()), 'image')}, {_range(counts)} a class, in {count_of(len(files), 'file')}{names}"
    )


def _range(counts: Counts) -> str:
    low, high = min(counts.values()), max(counts.values())
    return str(low) if low == high else f"{low} to {high}"
