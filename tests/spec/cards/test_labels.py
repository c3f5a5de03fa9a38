"""Coarse labels: named or listed, as groups of classes, and in words again."""

import dataclasses

import pytest

from sweeper.spec.cards.labels import LABELS, format_labels, groups, labels_misfit
from sweeper.spec.job import resolve
from sweeper.spec.job.sweep import Family

CIFAR10, DIGITS = resolve.read_data("cifar10"), resolve.read_data("digits")
OBJECTS, ANIMALS = (0, 1, 8, 9), (2, 3, 4, 5, 6, 7)


def test_the_papers_labels():
    assert groups("object_animal", 10) == groups([OBJECTS, ANIMALS[::-1]], 10) == (OBJECTS, ANIMALS)
    assert labels_misfit("object_animal", CIFAR10) == ("", "")
    assert format_labels((OBJECTS, ANIMALS), CIFAR10) == "object_animal"
    assert format_labels((OBJECTS, ANIMALS), DIGITS) == "[[0,1,8,9],[2,3,4,5,6,7]]"


def test_files_that_hold_a_copy_have_its_names():
    copy = dataclasses.replace(CIFAR10, name="parquet")
    assert labels_misfit("object_animal", copy) == ("", "")
    assert labels_misfit("object_animal", dataclasses.replace(copy, classes=11))[0]


def test_own_labels_have_one_spelling():
    assert groups("classes", 3) == groups([[0], [1], [2]], 3) == ()
    assert format_labels((), DIGITS) == "classes"
    assert groups([[1], [0], [2]], 3) == ((1,), (0,), (2,))


def test_every_card_is_a_grouping_of_its_data_set():
    for card in LABELS.values():
        data = resolve.read_data(card.dataset)
        assert labels_misfit(card.groups, data) == ("", "")
        assert card.fits(data)


@pytest.mark.parametrize(
    ("given", "axis"),
    [
        ("object_animal", ("object_animal",)),
        ([[0, 1], [2]], (((0, 1), (2,)),)),
        (["classes", [[0, 1], [2]]], ("classes", ((0, 1), (2,)))),
        ([[[0, 1], [2]], [[0], [1, 2]]], (((0, 1), (2,)), ((0,), (1, 2)))),
    ],
)
def test_one_grouping_is_an_axis_of_one(given: object, axis: object):
    made = Family.model_validate({"arch": "resnet18k", "steps": 1, "labels": given})
    assert made.labels == axis
    assert Family.model_validate_json(made.model_dump_json()) == made
