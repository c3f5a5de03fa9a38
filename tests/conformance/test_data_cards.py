"""Tests of the cards of all named data sets against their builders; only embedded sets are built without a download."""

import itertools

import numpy as np
import pytest

from sweeper.spec.cards.datasets import DATASETS, EMBEDDED
from sweeper.trials.data.load import content_digest
from sweeper.trials.process.builder import import_builder


@pytest.mark.parametrize("name", sorted(EMBEDDED))
def test_embedded_sets_have_the_sizes_types_classes_and_digest_of_their_card(name: str, tmp_path) -> None:
    card = DATASETS[name]
    arrays = {}
    for split, count in (("train", card.train), ("test", card.test)):
        images, labels = import_builder(card.builder)(split, tmp_path)
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
        assert (images.shape, images.dtype) == ((count, *card.shape), np.uint8)
        assert (labels.shape, labels.dtype) == ((count,), np.int64)
        assert set(labels.tolist()) == set(range(card.classes))
    assert content_digest(arrays) == card.digest
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted(EMBEDDED))
def test_splits_of_embedded_sets_are_stratified_and_share_no_image(name: str, tmp_path) -> None:
    card = DATASETS[name]
    (train, train_labels), (test, test_labels) = (
        import_builder(card.builder)(split, tmp_path) for split in ("train", "test")
    )
    assert not {image.tobytes() for image in train} & {image.tobytes() for image in test}
    shares = [
        np.bincount(labels) / len(labels) for labels in (train_labels, test_labels, train_labels[-card.holdout :])
    ]
    assert np.abs(shares[0] - shares[1]).max() < 0.003
    assert np.abs(shares[0] - shares[2]).max() < 0.06
    assert train.min() == 0
    assert train.max() == 255


@pytest.mark.parametrize("name", DATASETS)
def test_every_card_can_be_built(name: str) -> None:
    card = DATASETS[name]
    assert callable(import_builder(card.builder))
    assert 0 < card.holdout < card.train
    assert card.augment in ("none", "crop_flip")


def test_digests_of_downloads_equal_the_checksums_in_torchvision() -> None:
    from torchvision import datasets

    checksums = {
        "cifar10": [datasets.CIFAR10.tgz_md5],
        "cifar100": [datasets.CIFAR100.tgz_md5],
        "mnist": [md5 for _, md5 in datasets.MNIST.resources],
        "fashion_mnist": [md5 for _, md5 in datasets.FashionMNIST.resources],
        "svhn": [datasets.SVHN.split_list[split][2] for split in ("train", "test")],
    }
    assert {name: DATASETS[name].digest for name in checksums} == {
        name: "md5:" + "+".join(md5s) for name, md5s in checksums.items()
    }
    assert len(set(itertools.chain(*checksums.values()))) == 12
