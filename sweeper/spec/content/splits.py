"""The words that name the splits of a data set: those that Hugging Face `datasets` knows."""

import re

# The first word that has files is used. Validation images serve as test images where there are no others.
SPLIT_WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation", "validation", "valid", "val", "dev"),
}


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
