"""Tests of subsets and label noise: the meaning of a training run's seed, samples and noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.training_runs import placeholder_data, training_run

from sweeper.spec.cards.datasets import shard_size
from sweeper.trials.data.subset import noisy_labels, stop_indices, takes_held_back, train_indices

SEEDS = st.integers(0, 2**31 - 1)
DATA = placeholder_data(200)

GOLDEN_SUBSET = [124, 153, 79, 125, 152]
GOLDEN_NOISE = [9, 0, 6, 1, 5, 4, 0, 9, 0, 0, 8, 7]


@given(seed=SEEDS, samples=st.integers(1, 200), nested=st.booleans())
def test_a_subset_has_distinct_images_of_the_split(seed: int, samples: int, nested: bool) -> None:
    indices = train_indices(training_run(data=DATA, seed=seed, samples=samples, nested=nested))
    assert len(set(indices.tolist())) == len(indices) == samples
    assert indices.min() >= 0
    assert indices.max() < DATA.train


@given(seed=SEEDS, samples=st.integers(1, 180), nested=st.booleans())
def test_held_back_images_are_not_used_while_others_suffice(seed: int, samples: int, nested: bool) -> None:
    indices = train_indices(training_run(data=DATA, seed=seed, samples=samples, nested=nested))
    assert not set(indices.tolist()) & set(stop_indices(DATA).tolist())


@given(seeds=st.tuples(SEEDS, SEEDS), samples=st.tuples(st.integers(1, 200), st.integers(1, 200)))
def test_nested_subsets_contain_each_other_for_any_seeds(seeds: tuple, samples: tuple) -> None:
    small, large = (
        set(train_indices(training_run(data=DATA, seed=seed, samples=count, nested=True)).tolist())
        for seed, count in zip(seeds, sorted(samples), strict=True)
    )
    assert small <= large


@given(seed=SEEDS, samples=st.tuples(st.integers(1, 180), st.integers(1, 180)))
def test_redrawn_subsets_of_one_seed_contain_each_other(seed: int, samples: tuple[int, int]) -> None:
    small, large = (set(train_indices(training_run(data=DATA, seed=seed, samples=n)).tolist()) for n in sorted(samples))
    assert small <= large


def test_redrawn_subsets_follow_the_seed() -> None:
    first, same_seed, other_seed = (train_indices(training_run(data=DATA, seed=seed, samples=60)) for seed in (1, 1, 2))
    assert np.array_equal(first, same_seed)
    assert 5 < len(set(first.tolist()) & set(other_seed.tolist())) < 35  # 20 expected of two independent draws


@given(
    shards=st.integers(2, 7),
    samples=st.lists(st.integers(1, 28), min_size=7, max_size=7),
    seeds=st.lists(SEEDS, min_size=7, max_size=7),
    nested=st.lists(st.booleans(), min_size=7, max_size=7),
)
def test_shards_are_disjoint_whatever_their_samples_and_seeds(
    shards: int, samples: list[int], seeds: list[int], nested: list[bool]
) -> None:
    indices_by_shard = [
        train_indices(
            training_run(data=DATA, shards=shards, shard=i, samples=samples[i], seed=seeds[i], nested=nested[i])
        )
        for i in range(shards)
    ]
    union = np.concatenate(indices_by_shard)
    assert len(set(union.tolist())) == len(union) == sum(samples[:shards])


@given(shards=st.integers(1, 7), seed=SEEDS, subset_seed=SEEDS, nested=st.booleans())
def test_shards_cover_all_images_and_differ_in_size_by_at_most_one(
    shards: int, seed: int, subset_seed: int, nested: bool
) -> None:
    for images in (180, 200):  # without the held back images, and with them
        sizes = [shard_size(images, shard, shards) for shard in range(shards)]
        runs = [
            training_run(
                data=DATA, shards=shards, shard=i, samples=n, seed=seed, subset_seed=subset_seed, nested=nested
            )
            for i, n in enumerate(sizes)
        ]
        assert sorted(np.concatenate([train_indices(run) for run in runs]).tolist()) == list(range(images))
        assert max(sizes) - min(sizes) <= 1
        assert any(map(takes_held_back, runs)) is (images == 200)


@given(samples=st.tuples(st.integers(1, 100), st.integers(1, 100)), seeds=st.tuples(SEEDS, SEEDS))
def test_nested_subsets_of_a_shard_contain_each_other_and_lie_in_the_subset_without_shards(
    samples: tuple, seeds: tuple
) -> None:
    small, large = (
        set(train_indices(training_run(data=DATA, shards=2, shard=1, samples=n, seed=seed, nested=True)).tolist())
        for seed, n in zip(seeds, sorted(samples), strict=True)
    )
    unsharded = train_indices(training_run(data=DATA, samples=min(200, 2 * max(samples)), nested=True))
    assert small <= large <= set(unsharded.tolist())


def test_another_subset_seed_gives_other_shards() -> None:
    first, other = (train_indices(training_run(data=DATA, shards=2, samples=90, subset_seed=seed)) for seed in (0, 1))
    assert 25 < len(set(first.tolist()) & set(other.tolist())) < 65  # 45 expected of two independent halves


def test_classes_have_their_share_of_a_shard_up_to_chance() -> None:
    """Check halves of CIFAR-10: 2,500 images of each class, up to six standard deviations of 34."""
    labels = np.random.default_rng(0).permutation(np.arange(50_000) % 10)
    data = placeholder_data(50_000)
    halves = [train_indices(training_run(data=data, shards=2, shard=shard, samples=25_000)) for shard in (0, 1)]
    counts = np.stack([np.bincount(labels[half], minlength=10) for half in halves])
    assert (counts.sum(0) == 5_000).all()
    assert np.abs(counts - 2_500).max() < 6 * 34


def test_more_samples_than_a_shard_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"101 samples of shard 0 \(100 images\) of a training split of 200"):
        train_indices(training_run(data=DATA, shards=2, samples=101))


def test_more_samples_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match="201 samples of a training split of 200"):
        train_indices(training_run(data=DATA, samples=201))


@given(seed=SEEDS, noise=st.floats(0, 1))
def test_noise_replaces_its_share_of_labels_by_other_classes(seed: int, noise: float) -> None:
    labels = np.arange(5000) % 10
    noisy = noisy_labels(training_run(seed=seed, label_noise=noise), labels)
    replaced = noisy != labels
    assert noisy.min() >= 0
    assert noisy.max() <= 9
    assert abs(replaced.mean() - noise) <= 6 * np.sqrt(noise * (1 - noise) / 5000) + 1e-9


def test_all_other_classes_are_equally_likely() -> None:
    labels = np.full(9000, 3)
    counts = np.bincount(noisy_labels(training_run(label_noise=1.0), labels), minlength=10)
    assert counts[3] == 0
    assert np.abs(np.delete(counts, 3) - 1000).max() < 150


def test_noise_of_any_class_may_leave_the_label_unchanged() -> None:
    """Check `any_class`: with noise 1 all classes are equally likely, with 0.5 55 % of images keep their label."""
    labels = np.full(10_000, 3)
    counts = np.bincount(
        noisy_labels(training_run(label_noise=1.0, label_noise_kind="any_class"), labels), minlength=10
    )
    assert np.abs(counts - 1000).max() < 6 * np.sqrt(900)
    half = noisy_labels(training_run(label_noise=0.5, label_noise_kind="any_class"), labels)
    assert abs((half == 3).mean() - 0.55) < 6 * np.sqrt(0.55 * 0.45 / 10_000)


def test_both_kinds_of_noise_replace_the_same_images() -> None:
    labels = np.arange(5000) % 10
    any_class, other = (
        noisy_labels(training_run(label_noise=0.3, label_noise_kind=kind), labels)
        for kind in ("any_class", "other_class")
    )
    moved = any_class != labels
    assert moved.any()
    assert (other[moved] != labels[moved]).all()


def test_noise_of_an_image_does_not_depend_on_the_subset() -> None:
    labels = np.arange(100) % 10
    labels_for_10, labels_for_90 = (noisy_labels(training_run(samples=n, label_noise=0.5), labels) for n in (10, 90))
    assert np.array_equal(labels_for_10, labels_for_90)


def test_draws_never_change() -> None:
    """Compare with stored draws: they are the same on every machine and for every version of NumPy."""
    run = training_run(data=DATA, seed=7, samples=5, label_noise=0.5)
    assert train_indices(run).tolist() == GOLDEN_SUBSET
    assert noisy_labels(run, np.zeros(12, np.int64)).tolist() == GOLDEN_NOISE
