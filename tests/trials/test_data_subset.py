"""Subsets and label noise: what a training run's seed, samples and noise mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import a_run, some_data

from sweeper.trials.data.subset import noisy_labels, stop_indices, train_indices

SEEDS = st.integers(0, 2**31 - 1)
DATA = some_data(200)

GOLDEN_SUBSET = [124, 153, 79, 125, 152]
GOLDEN_NOISE = [9, 0, 6, 1, 5, 4, 0, 9, 0, 0, 8, 7]


@given(seed=SEEDS, samples=st.integers(1, 200), nested=st.booleans())
def test_a_subset_has_distinct_images_of_the_split(seed: int, samples: int, nested: bool) -> None:
    indices = train_indices(a_run(data=DATA, seed=seed, samples=samples, nested=nested))
    assert len(set(indices.tolist())) == len(indices) == samples
    assert indices.min() >= 0
    assert indices.max() < DATA.train


@given(seed=SEEDS, samples=st.integers(1, 180), nested=st.booleans())
def test_held_back_images_train_nothing_while_others_suffice(seed: int, samples: int, nested: bool) -> None:
    indices = train_indices(a_run(data=DATA, seed=seed, samples=samples, nested=nested))
    assert not set(indices.tolist()) & set(stop_indices(DATA).tolist())


@given(seeds=st.tuples(SEEDS, SEEDS), samples=st.tuples(st.integers(1, 200), st.integers(1, 200)))
def test_nested_subsets_lie_in_each_other_whatever_the_seeds(seeds: tuple, samples: tuple) -> None:
    small, large = (
        set(train_indices(a_run(data=DATA, seed=seed, samples=count, nested=True)).tolist())
        for seed, count in zip(seeds, sorted(samples), strict=True)
    )
    assert small <= large


@given(seed=SEEDS, samples=st.tuples(st.integers(1, 180), st.integers(1, 180)))
def test_redrawn_subsets_of_a_seed_lie_in_each_other(seed: int, samples: tuple[int, int]) -> None:
    small, large = (set(train_indices(a_run(data=DATA, seed=seed, samples=n)).tolist()) for n in sorted(samples))
    assert small <= large


def test_redrawn_subsets_follow_the_seed() -> None:
    first, again, other = (train_indices(a_run(data=DATA, seed=seed, samples=60)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert 5 < len(set(first.tolist()) & set(other.tolist())) < 35  # 20 expected of two independent draws


def test_more_samples_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match="201 samples of a training split of 200"):
        train_indices(a_run(data=DATA, samples=201))


@given(seed=SEEDS, noise=st.floats(0, 1))
def test_noise_replaces_its_share_of_labels_by_other_classes(seed: int, noise: float) -> None:
    labels = np.arange(5000) % 10
    noisy = noisy_labels(a_run(seed=seed, label_noise=noise), labels)
    replaced = noisy != labels
    assert noisy.min() >= 0
    assert noisy.max() <= 9
    assert abs(replaced.mean() - noise) <= 6 * np.sqrt(noise * (1 - noise) / 5000) + 1e-9


def test_all_other_classes_are_equally_likely() -> None:
    labels = np.full(9000, 3)
    counts = np.bincount(noisy_labels(a_run(label_noise=1.0), labels), minlength=10)
    assert counts[3] == 0
    assert np.abs(np.delete(counts, 3) - 1000).max() < 150


def test_noise_of_an_image_does_not_depend_on_the_subset() -> None:
    labels = np.arange(100) % 10
    few, many = (noisy_labels(a_run(samples=n, label_noise=0.5), labels) for n in (10, 90))
    assert np.array_equal(few, many)


def test_draws_never_change() -> None:
    """Golden: the same subset and labels on every machine, for every version of NumPy."""
    run = a_run(data=DATA, seed=7, samples=5, label_noise=0.5)
    assert train_indices(run).tolist() == GOLDEN_SUBSET
    assert noisy_labels(run, np.zeros(12, np.int64)).tolist() == GOLDEN_NOISE
