"""Coarse labels: their conversion from names or lists to groups of classes and back to text."""

import dataclasses

import pytest

from sweeper.spec.cards.labels import LABELS, format_labels, groups, labels_misfit
from sweeper.spec.job import resolve
from sweeper.spec.job.family import Family

CIFAR10, DIGITS = resolve.read_data("cifar10"), resolve.read_data("digits")
OBJECTS, ANIMALS = (0, 1, 8, 9), (2, 3, 4, 5, 6, 7)


def test_object_animal_has_the_groups_of_the_paper():
    assert groups("object_animal", 10) == groups([OBJECTS, ANIMALS[::-1]], 10) == (OBJECTS, ANIMALS)
    assert labels_misfit("object_animal", CIFAR10) == ("", "")
    assert format_labels((OBJECTS, ANIMALS), CIFAR10) == "object_animal"
    assert format_labels((OBJECTS, ANIMALS), DIGITS) == "[[0,1,8,9],[2,3,4,5,6,7]]"


def test_named_labels_apply_to_files_with_as_many_classes():
    same_classes = dataclasses.replace(CIFAR10, name="parquet")
    assert labels_misfit("object_animal", same_classes) == ("", "")
    assert labels_misfit("object_animal", dataclasses.replace(same_classes, classes=11))[0]


def test_labels_equal_to_the_classes_are_an_empty_grouping():
    assert groups("classes", 3) == groups([[0], [1], [2]], 3) == ()
    assert format_labels((), DIGITS) == "classes"
    assert groups([[1], [0], [2]], 3) == ((1,), (0,), (2,))


def test_the_labels_of_every_card_fit_its_data_set():
    for card in LABELS.values():
        data = resolve.read_data(card.dataset)
        assert labels_misfit(card.groups, data) == ("", "")
        assert card.fits(data)


@pytest.mark.parametrize(
    ("labels", "axis"),
    [
        ("object_animal", ("object_animal",)),
        ([[0, 1], [2]], (((0, 1), (2,)),)),
        (["classes", [[0, 1], [2]]], ("classes", ((0, 1), (2,)))),
        ([[[0, 1], [2]], [[0], [1, 2]]], (((0, 1), (2,)), ((0,), (1, 2)))),
    ],
)
def test_a_single_grouping_becomes_an_axis_with_one_value(labels: object, axis: object):
    family = Family.model_validate({"arch": "resnet18k", "steps": 1, "labels": labels})
    assert family.labels == axis
    assert Family.model_validate_json(family.model_dump_json()) == family
