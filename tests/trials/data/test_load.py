"""Tests of decoding: once on each machine, into complete folders, also after a failure."""

import multiprocessing
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.damage import flipped
from support.training_runs import DIGITS, placeholder_data

from sweeper.errors import DataError
from sweeper.spec.cards.datasets import EMBEDDED
from sweeper.spec.job.resolve import read_data
from sweeper.spec.records.task import Data
from sweeper.trials.data import load as loading
from sweeper.trials.data.load import load_dataset
from sweeper.trials.data.subset import stop_indices


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_digits_match_their_card() -> None:
    digits = load_dataset(DIGITS)
    assert digits.train_images.shape == (1347, 1, 8, 8)
    assert digits.test_images.shape == (450, 1, 8, 8)
    assert digits.train_images.dtype == digits.test_images.dtype == np.uint8
    assert digits.train_labels.dtype == digits.test_labels.dtype == np.int64
    assert digits.mean == pytest.approx([digits.train_images.mean() / 255])
    assert digits.std == pytest.approx([digits.train_images.std() / 255])


def test_a_decoded_data_set_is_read_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_dataset(DIGITS)
    monkeypatch.setattr(loading, "_decode", lambda data: pytest.fail("the data set was decoded twice"))
    second = load_dataset(DIGITS)
    assert np.array_equal(first.train_images, second.train_images)
    assert (first.mean, first.std) == (second.mean, second.std)


def test_writing_to_an_array_changes_no_file(cache: Path) -> None:
    original_bytes = {file: file.read_bytes() for file in cache.rglob("*.npy")}
    digits = load_dataset(DIGITS)
    assert isinstance(digits.train_images.base, np.memmap)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.as_tensor(digits.train_images).zero_()
    assert load_dataset(DIGITS).train_images.any()
    assert all(file.read_bytes() == content for file, content in original_bytes.items())


@pytest.mark.parametrize(
    "damage", ["cut short", "emptied", "deleted", "of another shape", "a flipped bit", "no digests", "a wrong digest"]
)
def test_damaged_arrays_are_decoded_anew(cache: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images, decoded = load_dataset(DIGITS).train_images.copy(), []
    decode = loading._decode
    monkeypatch.setattr(loading, "_decode", lambda data: decoded.append(data) or decode(data))
    (file,) = cache.rglob("train_images.npy")
    match damage:
        case "cut short":
            file.write_bytes(file.read_bytes()[:-10])
        case "emptied":
            file.write_bytes(b"")
        case "deleted":
            file.unlink()
        case "of another shape":
            np.save(file, images[:10])
        case "a flipped bit":
            file.write_bytes(flipped(file.read_bytes(), 8 * 5000 + 6))
        case "no digests":
            file.with_name("digests.json").unlink()
        case "a wrong digest":
            digests = file.with_name("digests.json")
            digests.write_bytes(flipped(digests.read_bytes(), 8 * 100))
    assert np.array_equal(load_dataset(DIGITS).train_images, images)
    assert np.array_equal(load_dataset(DIGITS).train_images, images)
    assert len(decoded) == 1


def _load_in_a_process(cache: str) -> int:
    import os

    os.environ["SWEEPER_CACHE"] = cache
    return int(load_dataset(DIGITS).train_images.sum())


def test_processes_that_decode_at_once_agree_and_leave_nothing_behind(cache: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        sums = pool.map(_load_in_a_process, [str(cache)] * 2)
    assert len(set(sums)) == 1
    assert len([entry for entry in (cache / "decoded").iterdir() if entry.is_dir()]) == 1


def test_the_second_process_to_publish_keeps_the_folder_of_the_first(cache: Path) -> None:
    """Publish a folder a second time, as happens on a file system without locks."""
    load_dataset(DIGITS)
    (folder,) = (entry for entry in (cache / "decoded").iterdir() if entry.is_dir())
    loading._publish(loading._decode(DIGITS), folder)
    assert load_dataset(DIGITS).train_images.any()
    assert [entry for entry in (cache / "decoded").iterdir() if entry.is_dir()] == [folder]


@pytest.mark.parametrize("name", sorted(EMBEDDED))
def test_an_embedded_set_with_another_digest_is_refused(name: str) -> None:
    data = read_data(name)
    with pytest.raises(DataError, match=f"{name}: the images have digest {data.digest}, not 0000"):
        load_dataset(replace(data, digest="0000"))


def test_a_job_with_another_number_of_images_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"digits, train: the images have shape \(1347, 1, 8, 8\), the job has \(1300, 1, 8, 8\)"
    ):
        load_dataset(Data("digits", DIGITS.digest, 1300, 450, 10, (1, 8, 8), 147))


def test_statistics_are_the_mean_and_standard_deviation_of_the_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 5, 7), dtype=np.uint8)
    images[:, 2] = 51
    mean, std = loading._statistics(images)
    scaled = images / 255
    assert mean == pytest.approx(scaled.mean((0, 2, 3)))
    assert std[:2] == pytest.approx(scaled.std((0, 2, 3))[:2])
    assert std[2] == 1  # a constant channel


def test_the_error_for_a_missing_folder_names_it(tmp_path: Path) -> None:
    data = placeholder_data(10, where=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere"):
        load_dataset(data)


def test_training_images_of_a_folder_have_one_fixed_shuffled_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read images sorted by class: the last tenth, held back for stopping, must have more than one class."""
    images = np.arange(200, dtype=np.uint8)[:, None, None, None].repeat(8, 2).repeat(8, 3)
    labels = np.arange(200) // 20
    monkeypatch.setattr(loading.folders, "read_parquet", lambda *_, **__: (images, labels))
    data = placeholder_data(200, 200)
    train, train_labels = loading._read(data, "train")
    assert len(set(train_labels[stop_indices(data)].tolist())) > 4
    assert np.array_equal(train_labels, train[:, 0, 0, 0] // 20)
    assert sorted(train[:, 0, 0, 0]) == list(range(200))
    assert np.array_equal(loading._read(data, "train")[0], train)
    assert np.array_equal(loading._read(data, "test")[0], images)
