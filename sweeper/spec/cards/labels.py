"""Coarse labels: groups of a data set's classes, where each group is one output of the network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.records.task import Data, Groups

ALL_CLASSES = "classes"  # the labels of the data set itself: each class is an output


@dataclass(frozen=True, slots=True)
class LabelCard:
    """A named grouping of a data set's classes: the i-th group holds the classes whose label becomes i."""

    name: str
    meaning: str
    dataset: str
    groups: Groups
    source: str

    def fits(self, data: Data) -> bool:
        """Return True if the grouping applies to a data set: its own, or a folder of images with as many classes.

        The classes of a folder are assumed to be in the same order; those of CIFAR-10 are, if sorted by name.
        """
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
    """Return the labels that a job names as groups of classes in ascending order; () for the classes themselves.

    Raises:
        KeyError: If there is no grouping of this name.
    """
    if labels == ALL_CLASSES:
        return ()
    named = LABELS[labels].groups if isinstance(labels, str) else labels
    ordered = tuple(tuple(sorted(group)) for group in named)
    return () if ordered == tuple((label,) for label in range(classes)) else ordered


def output_count(labels: str | Sequence[Sequence[int]], data: Data) -> int:
    """Return a network's number of outputs for these labels; for wrong labels, the number of classes."""
    return data.classes if labels_misfit(labels, data)[0] else len(groups(labels, data.classes)) or data.classes


def format_labels(label_groups: Groups, data: Data) -> str:
    """Format labels for rows and `where`: `classes`, the name of a grouping, or its groups as JSON."""
    if not label_groups:
        return ALL_CLASSES
    names = (card.name for card in LABELS.values() if card.groups == label_groups and card.fits(data))
    return next(names, json.dumps(label_groups, separators=(",", ":")))


def labels_misfit(labels: str | Sequence[Sequence[int]], data: Data) -> tuple[str, str]:
    """Return the mistake in labels on a data set and a hint at the correction; ("", "") if there is no mistake."""
    if labels == ALL_CLASSES:
        return "", ""
    if isinstance(labels, str):
        card = LABELS.get(labels)
        if card is None:
            return (
                f"no labels '{labels}'",
                f"available: {', '.join((ALL_CLASSES, *LABELS))}, or a list of groups of classes",
            )
        if not card.fits(data):
            return f"'{labels}' groups the classes of {card.dataset}", "name a list of groups of classes"
        labels = card.groups
    listed_classes = [label for group in labels for label in group]
    if len(labels) < 2 or not all(labels):
        return f"{len(labels)} groups of {', '.join(str(len(group)) for group in labels)} classes", (
            "at least two groups, each with a class"
        )
    if unknown_classes := sorted({label for label in listed_classes if not 0 <= label < data.classes}):
        return f"no class {unknown_classes[0]}", f"the classes are 0 to {data.classes - 1}"
    if repeated_classes := sorted({label for label in listed_classes if listed_classes.count(label) > 1}):
        return f"class {repeated_classes[0]} is named twice", "each class belongs to one group"
    if missing_classes := sorted(set(range(data.classes)) - set(listed_classes)):
        return f"class {missing_classes[0]} is in no group", "each class belongs to one group"
    return "", ""
