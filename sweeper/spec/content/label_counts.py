"""The labels of a data set: how often each occurs, and whether they can be classes."""

from collections.abc import Mapping

from sweeper.errors import DataError
from sweeper.spec.content.wording import some_of

Counts = Mapping[int, int]  # images by label

# Labels are refused if more than half of 0 .. highest, and more than this many, have no images.
MOST_ABSENT = 10
MOST_NAMED = 10  # labels that a message names


def check_labels(train: Counts, test: Counts) -> tuple[int, list[str]]:
    """Return the number of classes, which is the highest label plus one, and notes on labels without images.

    Raises:
        DataError: Only one class has training images, or most labels have no images, so that they can't be classes.
    """
    present = sorted({*train, *test})
    classes = present[-1] + 1
    if len(present) == 1:
        raise DataError(f"all images have the label {present[0]}: a classifier needs at least two classes")
    if len(train) == 1:
        raise DataError(
            f"all training images have the label {next(iter(train))}, test images have "
            f"{some_of(sorted(test), MOST_NAMED)}: a classifier needs training images of at least two classes"
        )
    if classes - len(present) > max(MOST_ABSENT, len(present)):
        raise DataError(
            f"only {len(present)} of the labels 0 .. {classes - 1} have images ({some_of(present, MOST_NAMED)}): "
            "number the classes from 0 without gaps"
        )
    notes = []
    if absent := [label for label in range(classes) if label not in train and label not in test]:
        notes.append(
            f"{len(present)} classes are present; no image has a label {some_of(absent, MOST_NAMED)}, "
            f"but networks get {classes} outputs (labels 0 .. {classes - 1})"
        )
    for split, counts, other, others in (("train", train, "test", test), ("test", test, "train", train)):
        if only := sorted(set(others) - set(counts)):
            subject = "the label" if len(only) == 1 else "the labels"
            notes.append(f"{subject} {some_of(only, MOST_NAMED)}: {other} images but no {split} images")
    return classes, notes
