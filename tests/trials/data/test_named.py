"""Tests of named data sets: tiny files in torchvision's formats, read by the real code; other files are refused."""

import gzip
import hashlib
import os
import pickle
import socket
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from sweeper.errors import DataError
from sweeper.spec.cards.datasets import DATASETS, EMBEDDED
from sweeper.trials.data import folders, named
from sweeper.trials.process.builder import import_builder

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def _md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


def _python_batch(file: Path, count: int, labels: str) -> tuple[np.ndarray, list[int]]:
    """Write a file of CIFAR's Python version: pixels uint8 (n, 3072), channel after channel."""
    pixels, targets = RANDOM.integers(0, 256, (count, 3072), dtype=np.uint8), RANDOM.integers(0, 10, count).tolist()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps({"data": pixels, labels: targets}))
    return pixels, targets


def _cifar(cls: type, folder: Path, labels: str, names: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple]:
    """Write a tiny data set of a CIFAR class, set its digests, and return the expected splits."""
    place = folder / cls.base_folder
    splits = {}
    for split in ("train", "test"):
        listed = [name for name, _ in getattr(cls, f"{split}_list")]
        parts = [_python_batch(place / name, 3, labels) for name in listed]
        splits[split] = (
            np.concatenate([pixels for pixels, _ in parts]).reshape(-1, 3, 32, 32),
            np.concatenate([targets for _, targets in parts]),
        )
        monkeypatch.setattr(cls, f"{split}_list", [[name, _md5(place / name)] for name in listed])
    meta = place / cls.meta["filename"]
    meta.write_bytes(pickle.dumps({names: [str(i) for i in range(10)]}))
    monkeypatch.setattr(cls, "meta", cls.meta | {"md5": _md5(meta)})
    return splits


def _expect(name: str, folder: Path, splits: dict[str, tuple]) -> None:
    for split, (images, labels) in splits.items():
        decoded, decoded_labels = import_builder(DATASETS[name].builder)(split, folder)
        assert (decoded.dtype, decoded_labels.dtype) == (np.uint8, np.int64)
        assert np.array_equal(decoded, images)
        assert np.array_equal(decoded_labels, labels)


def test_cifar10_is_read_from_its_python_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = _cifar(datasets.CIFAR10, tmp_path, "labels", "label_names", monkeypatch)
    assert len(splits["train"][1]) == 15
    _expect("cifar10", tmp_path, splits)


def test_cifar100_is_read_with_its_fine_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _expect("cifar100", tmp_path, _cifar(datasets.CIFAR100, tmp_path, "fine_labels", "fine_label_names", monkeypatch))


def test_a_cifar_file_of_another_digest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cifar(datasets.CIFAR10, tmp_path, "labels", "label_names", monkeypatch)
    file = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=f"cifar10 is not in {tmp_path}"):
        named.cifar10("train", tmp_path)


def _idx(values: np.ndarray) -> bytes:
    """Return values in the IDX format: magic number, sizes, values."""
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes() + values.tobytes()


def _mnist(cls: type, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple]:
    raw = folder / cls.__name__ / "raw"
    raw.mkdir(parents=True)
    splits, resources = {}, []
    for split, part, count in (("train", "train", 9), ("test", "t10k", 4)):
        images = RANDOM.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = RANDOM.integers(0, 10, count, dtype=np.uint8)
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            file = raw / f"{part}-{kind}-ubyte.gz"
            file.write_bytes(gzip.compress(_idx(values)))
            resources.append((file.name, _md5(file)))
        splits[split] = (images[:, None], labels)
    monkeypatch.setattr(cls, "resources", resources)
    return splits


@pytest.mark.parametrize(("name", "cls"), [("mnist", datasets.MNIST), ("fashion_mnist", datasets.FashionMNIST)])
def test_mnist_is_read_from_its_compressed_files(name, cls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _expect(name, tmp_path, _mnist(cls, tmp_path, monkeypatch))


def test_unverified_unpacked_files_are_not_used_for_mnist(tmp_path: Path, monkeypatch) -> None:
    splits = _mnist(datasets.MNIST, tmp_path, monkeypatch)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(_idx(np.zeros((9, 28, 28), np.uint8)))
    _expect("mnist", tmp_path, splits)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"mnist is not in .* and can't be downloaded"):
        named.mnist("train", tmp_path)


def test_svhn_is_read_from_its_matrices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat

    splits, listed = {}, dict(datasets.SVHN.split_list)
    for split in ("train", "test"):
        images = RANDOM.integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
        labels = np.array([10, 1, 2, 9, 10])  # 10 stands for the digit 0
        file = tmp_path / f"{split}_32x32.mat"
        savemat(file, {"X": images.transpose(2, 3, 1, 0), "y": labels[:, None]})
        listed[split] = [*datasets.SVHN.split_list[split][:2], _md5(file)]
        splits[split] = (images, labels % 10)
    monkeypatch.setattr(datasets.SVHN, "split_list", listed)
    _expect("svhn", tmp_path, splits)


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in EMBEDDED])
def test_the_error_without_files_and_internet_access_names_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{name} is not in {tmp_path} and can't be downloaded: .*no network in tests"):
        import_builder(DATASETS[name].builder)("train", tmp_path)


@pytest.mark.slow
@pytest.mark.skipif("SWEEPER_CIFAR10" not in os.environ, reason="SWEEPER_CIFAR10 names no folder of CIFAR-10")
@pytest.mark.parametrize(("split", "count"), [("train", 50_000), ("test", 10_000)])
def test_cifar10_in_parquet_is_complete_and_balanced(split: str, count: int) -> None:
    images, labels = folders.read_parquet(Path(os.environ["SWEEPER_CIFAR10"]), split, 3, 10)
    assert images.shape == (count, 3, 32, 32)
    assert np.bincount(labels).tolist() == [count // 10] * 10
    if split == "train":  # the constants are those of the original pixels; JPEG smooths a little
        mean, std = named.STATISTICS["cifar10"]
        assert np.abs(images.mean((0, 2, 3)) / 255 - mean).max() < 3e-3
        assert np.abs(images.std((0, 2, 3)) / 255 - std).max() < 3e-3
