"""Tests of loading a folder that a job names: it is decoded once, and only if it has the digest in the job."""

import dataclasses
import multiprocessing
import shutil
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sweeper.errors import DataError
from sweeper.spec.content.fingerprint import fingerprint
from sweeper.spec.content.folders import contents
from sweeper.spec.records.task import Data
from sweeper.trials.data.load import Dataset, load_dataset
from sweeper.trials.process.philox import Purpose, random_permutation

TRAIN, TEST = 30, 8
PICTURES = np.random.default_rng(0).integers(0, 256, (TRAIN + TEST, 5, 6, 3), dtype=np.uint8)
LABELS = np.arange(TRAIN + TEST) // 4 % 5


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _png(picture: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _parquet(folder: Path, pictures: np.ndarray = PICTURES) -> None:
    folder.mkdir()
    for split, rows in (("train", slice(0, TRAIN)), ("test", slice(TRAIN, None))):
        encoded = [{"bytes": _png(picture), "path": None} for picture in pictures[rows]]
        pq.write_table(pa.table({"image": encoded, "label": LABELS[rows]}), folder / f"{split}.parquet")


def _imagefolder(folder: Path) -> None:
    for i, (picture, label) in enumerate(zip(PICTURES, LABELS, strict=True)):
        place = folder / ("train" if i < TRAIN else "test") / f"class{label}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:02}.png").write_bytes(_png(picture))


def _resolved(kind: str, folder: Path) -> Data:
    folder_contents = contents(kind, folder)
    digest = fingerprint(folder, folder_contents.files)
    return Data(
        kind,
        digest,
        folder_contents.train,
        folder_contents.test,
        folder_contents.classes,
        folder_contents.shape,
        folder_contents.train // 10,
        str(folder),
    )


def _same(a: Dataset, b: Dataset) -> bool:
    return all(np.array_equal(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(Dataset))


@pytest.mark.parametrize(("kind", "write"), [("parquet", _parquet), ("imagefolder", _imagefolder)])
def test_a_decoded_folder_is_no_longer_needed(kind: str, write, tmp_path: Path) -> None:
    write(tmp_path / "set")
    data = _resolved(kind, tmp_path / "set")
    first = load_dataset(data)
    shutil.rmtree(tmp_path / "set")
    assert _same(load_dataset(data), first)
    assert first.train_images.shape == (TRAIN, 3, 5, 6)
    decoded = {(image.tobytes(), label) for image, label in zip(first.train_images, first.train_labels, strict=True)}
    pictures = PICTURES[:TRAIN].transpose(0, 3, 1, 2)
    assert decoded == {(image.tobytes(), label) for image, label in zip(pictures, LABELS, strict=False)}


def test_training_images_are_shuffled_once_and_test_images_are_not(tmp_path: Path) -> None:
    """Check the order of images: the last tenth is held back for stopping and must not be of one class."""
    _parquet(tmp_path / "set")
    dataset = load_dataset(_resolved("parquet", tmp_path / "set"))
    assert np.array_equal(dataset.train_labels, LABELS[random_permutation(0, Purpose.ORDER, 0, TRAIN)])
    assert np.array_equal(dataset.test_labels, LABELS[TRAIN:])
    assert np.array_equal(dataset.test_images, PICTURES[TRAIN:].transpose(0, 3, 1, 2))


def test_a_folder_changed_since_the_plan_is_refused_and_leaves_nothing_in_the_cache(
    tmp_path: Path, cache: Path
) -> None:
    _parquet(tmp_path / "set")
    data = _resolved("parquet", tmp_path / "set")
    shutil.rmtree(tmp_path / "set")
    _parquet(tmp_path / "set", 255 - PICTURES)
    with pytest.raises(DataError, match=rf"set: the images have digest .*, not {data.digest}: its files have changed"):
        load_dataset(data)
    assert not [entry for entry in (cache / "decoded").iterdir() if entry.is_dir()]


def test_an_image_that_cannot_be_decoded_leaves_nothing_in_the_cache(tmp_path: Path, cache: Path) -> None:
    _imagefolder(tmp_path / "set")
    data = _resolved("imagefolder", tmp_path / "set")
    (tmp_path / "set" / "train" / "class3" / "12.png").write_bytes(b"?")
    with pytest.raises(DataError, match=r"class3/12.png: the image can't be decoded"):
        load_dataset(data)
    assert not [entry for entry in (cache / "decoded").iterdir() if entry.is_dir()]


@pytest.mark.parametrize("file", ["train_images.npy", "test_labels.npy", "statistics.npy"])
def test_an_incomplete_cache_is_replaced(file: str, tmp_path: Path, cache: Path) -> None:
    _parquet(tmp_path / "set")
    data = _resolved("parquet", tmp_path / "set")
    first = {name: np.array(getattr(load_dataset(data), name)) for name in ("train_images", "test_labels")}
    (array_file,) = cache.glob(f"decoded/*/{file}")
    array_file.write_bytes(array_file.read_bytes()[:-3])
    reloaded = load_dataset(data)
    assert all(np.array_equal(getattr(reloaded, name), array) for name, array in first.items())


def _digest_of(data: Data) -> str:
    """Return a digest of the training images and labels."""
    dataset = load_dataset(data)
    return sha256(dataset.train_images.tobytes() + dataset.train_labels.tobytes()).hexdigest()


def test_processes_that_decode_at_once_get_the_right_images(tmp_path: Path) -> None:
    _parquet(tmp_path / "set")
    data = _resolved("parquet", tmp_path / "set")
    with multiprocessing.get_context("spawn").Pool(2) as pool:  # SWEEPER_CACHE is inherited
        digests = pool.map(_digest_of, [data] * 4)
    assert set(digests) == {_digest_of(data)}
