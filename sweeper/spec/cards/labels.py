"""Coarse labels: classes of a data set joined into groups, each an output of the network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeper.spec.task import Data, Groups

from .datasets import DATASETS

OWN = "classes"  # the data set's own labels: each class an output


@dataclass(frozen=True, slots=True)
class LabelCard:
    """A named grouping of a data set's classes: the i-th group holds the classes whose label becomes i."""

    name: str
    meaning: str
    dataset: str
    groups: Groups
    source: str

    def fits(self, data: Data) -> bool:
        """Whether it may speak of a data set: its own, or files that hold a copy, with as many classes. Those are taken
        to be in the same order, as CIFAR-10's are where they are sorted by name."""
        copy = data.name not in DATASETS and data.classes == sum(map(len, self.groups))
        return data.name == self.dataset or copy


LABELS: Mapping[str, LabelCard] = {
    card.name: card
    for card in (
        LabelCard(
            name="object_animal",
            meaning="aeroplane, car, ship and lorry against the six animals",
            dataset="cifar10",
            groups=((0, 1, 8, 9), (2, 3, 4, 5, 6, 7)),
            source="Bansal, Nakkiran, Barak 2021, figure 3A",
        ),
    )
}


def groups(labels: str | Sequence[Sequence[int]], classes: int) -> Groups:
    """Labels as a job names them, as groups of classes in ascending order; () for the data set's own.

    Raises KeyError for an unknown name.
    """
    if labels == OWN:
        return ()
    named = LABELS[labels].groups if isinstance(labels, str) else labels
    found = tuple(tuple(sorted(group)) for group in named)
    return () if found == tuple((label,) for label in range(classes)) else found


def outputs(labels: str | Sequence[Sequence[int]], data: Data) -> int:
    """How many outputs a network has that tells these labels apart; of labels that are a mistake, one a class."""
    return data.classes if misfit(labels, data)[0] else len(groups(labels, data.classes)) or data.classes


def written(of: Groups, data: Data) -> str:
    """Labels in one word, for rows and `where`: `classes`, the name of a grouping, or its groups as JSON."""
    if not of:
        return OWN
    names = (card.name for card in LABELS.values() if card.groups == of and card.fits(data))
    return next(names, json.dumps(of, separators=(",", ":")))


def misfit(labels: str | Sequence[Sequence[int]], data: Data) -> tuple[str, str]:
    """What is wrong with labels on a data set, and what would be right; ("", "") where nothing is."""
    if labels == OWN:
        return "", ""
    if isinstance(labels, str):
        card = LABELS.get(labels)
        if card is None:
            return f"no labels '{labels}'", f"known are {', '.join((OWN, *LABELS))}, or a list of groups of classes"
        if not card.fits(data):
            return f"'{labels}' groups the classes of {card.dataset}", "name a list of groups of classes"
        labels = card.groups
    named = [label for group in labels for label in group]
    if len(labels) < 2 or not all(labels):
        return f"{len(labels)} groups of {', '.join(str(len(group)) for group in labels)} classes", (
            "at least two groups, each with a class"
        )
    if strange := sorted({label for label in named if not 0 <= label < data.classes}):
        return f"no class {strange[0]}", f"the classes are 0 to {data.classes - 1}"
    if twice := sorted({label for label in named if named.count(label) > 1}):
        return f"class {twice[0]} is named twice", "each class belongs to one group"
    if missing := sorted(set(range(data.classes)) - set(named)):
        return f"class {missing[0]} is in no group", "each class belongs to one group"
    return "", ""
