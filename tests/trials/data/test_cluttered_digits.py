"""Tests of the cluttered digits: no source is on two sides, and the images never change."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.spec.cards.datasets import CLUTTERED_DIGITS, DIGITS
from sweeper.trials.data import cluttered_digits
from sweeper.trials.data.cluttered_digits import (
    CLUTTER,
    SAMPLES,
    Clutter,
    divide,
    load_cluttered_digits,
    make_images,
    make_split,
)

GOLDEN_DIGEST = "066dc83d217c706c28c2856630695141ee750803ad902d4f96886748f4cc9079"

CLUTTERS = st.builds(Clutter, canvas=st.integers(8, 20), fragments=st.integers(0, 5), fragment=st.integers(1, 8))
LABELS = st.lists(st.integers(0, 9), min_size=18, max_size=250).map(lambda labels: np.array(labels, np.int64))


def test_the_digest_of_the_card_never_changes() -> None:
    """Pin the digest of images and labels, which `test_data_cards` compares with those that the builder makes."""
    assert CLUTTERED_DIGITS.digest == GOLDEN_DIGEST


@given(labels=LABELS)
def test_every_source_is_on_one_side_and_sides_have_like_shares_of_classes(labels: np.ndarray) -> None:
    sides = divide(labels)
    assert sorted(np.concatenate(list(sides.values())).tolist()) == list(range(len(labels)))
    for side, share in (("train", 4 / 9), ("held_out", 1 / 9), ("test", 4 / 9)):
        counts = np.bincount(labels[sides[side]], minlength=10)
        assert np.abs(counts - share * np.bincount(labels, minlength=10)).max() < 1 + share


@given(labels=LABELS, clutter=CLUTTERS)
def test_an_image_contains_pixels_of_sources_of_its_own_side_alone(labels: np.ndarray, clutter: Clutter) -> None:
    """Give all pixels of a source its own brightness, from 1 to 250, and look for brightnesses of other sides."""
    pixels = np.broadcast_to(np.arange(1, len(labels) + 1, dtype=np.uint8)[:, None, None], (len(labels), 8, 8))
    for side, sources in divide(labels).items():
        images, made_labels = make_images(pixels[sources], labels[sources], side, clutter)
        assert images.shape == (SAMPLES[side] * len(sources), 1, clutter.canvas, clutter.canvas)
        assert set(np.unique(images).tolist()) <= {0, *(sources + 1).tolist()}
        assert np.array_equal(
            np.bincount(made_labels, minlength=10), SAMPLES[side] * np.bincount(labels[sources], minlength=10)
        )


def test_the_splits_are_made_from_all_digits_without_a_source_on_two_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each real digit a number in its pixels, and compare the numbers in the images of the three sides."""
    _, labels = cluttered_digits.all_digits()
    numbers = np.broadcast_to(np.arange(1, len(labels) + 1, dtype=np.uint16)[:, None, None], (len(labels), 8, 8))
    monkeypatch.setattr(cluttered_digits, "all_digits", lambda: (numbers, labels))
    train, test = (make_split(split, CLUTTER)[0] for split in ("train", "test"))
    held_out = train[-CLUTTERED_DIGITS.holdout :]
    train = train[: -CLUTTERED_DIGITS.holdout]
    numbers_by_side = [set(np.unique(images).tolist()) - {0} for images in (train, held_out, test)]
    assert [len(numbers) for numbers in numbers_by_side] == [799, 199, 799]
    assert len(set.union(*numbers_by_side)) == len(labels) == DIGITS.train + DIGITS.test


def test_without_clutter_an_image_is_its_source_at_some_place() -> None:
    pixels, labels = cluttered_digits.all_digits()
    images, made_labels = make_images(pixels, labels, "test", Clutter(12, 0, 1))
    sources = {(pixels[i].tobytes(), int(labels[i])) for i in range(len(labels))}
    windows = np.lib.stride_tricks.sliding_window_view(images[:, 0], (8, 8), axis=(1, 2))
    whole = windows.sum((3, 4), dtype=np.int64) == images.sum((1, 2, 3), dtype=np.int64)[:, None, None]
    for i in range(len(images)):
        cut_out = {(window.tobytes(), int(made_labels[i])) for window in windows[i][whole[i]]}
        assert cut_out & sources
    places = {tuple(place) for i in range(len(images)) for place in np.argwhere(whole[i])[:1].tolist()}
    assert len(places) == 25


def test_the_first_images_have_all_classes_and_every_image_differs() -> None:
    for split in ("train", "test"):
        images, labels = load_cluttered_digits(split, Path())
        assert set(labels[:60].tolist()) == set(labels[-60:].tolist()) == set(range(10))
        assert len({image.tobytes() for image in images}) == len(images)


def test_making_all_images_takes_less_than_a_second() -> None:
    cluttered_digits.all_digits()  # imports scikit-learn
    start = time.process_time()
    make_split("train", CLUTTER)
    make_split("test", CLUTTER)
    assert time.process_time() - start < 1
