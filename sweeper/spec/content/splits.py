"""The folder of a data set, and the words that name its splits: those that Hugging Face `datasets` knows."""

import re
from pathlib import Path

from sweeper.errors import DataError
from sweeper.spec.content.wording import printable

# The first word that has files is used. Validation images serve as test images where there are no others.
SPLIT_WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation", "validation", "valid", "val", "dev"),
}


def check_folder(folder: Path) -> None:
    """Check that a data set's folder exists and has a name that a job can hold.

    Raises:
        DataError: It doesn't, or it hasn't.
    """
    if not folder.is_dir():
        parent = f"; {folder.parent} exists" if folder.parent.is_dir() else ""
        problem = f"{folder} is a file, not a folder" if folder.is_file() else f"there is no folder {folder}"
        raise DataError(problem + parent)
    if printable(str(folder)) != str(folder):
        raise DataError(f"the name of the folder {printable(str(folder))} is not UTF-8; rename it")


def unlabelled_split_hint(word: str, others: list[str]) -> str:
    """Return the hint that moves a test split without labels out of the way of a validation split; "" if there is none.

    Args:
        word: The word of the split without labels.
        others: The names of the files and folders beside it.
    """
    words = SPLIT_WORDS["test"]
    if word not in words:
        return ""
    later = [other for other in words[words.index(word) + 1 :] if any(_starts(name, other) for name in others)]
    return f"; move the {word} split out of the folder, and {later[0]} is used in its place" if later else ""


def _starts(name: str, word: str) -> bool:
    return bool(re.match(rf"{word}([-_. 0-9]|$)", name, re.IGNORECASE))
