"""Fixtures: job files of a few lines, and data set folders of tiny images."""

import io
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.spec_jobs import JOB

from sweeper.errors import JobError, Mistake
from sweeper.spec.job.load import load


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    """Give every test an empty cache folder, so that no digest or card of another test is found."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def job(tmp_path) -> Callable[..., Path]:
    """Return a function that writes a job file and returns its path."""

    def write(text: str = JOB) -> Path:
        path = tmp_path / "job.yaml"
        path.write_text(dedent(text))
        return path

    return write


@pytest.fixture
def mistakes(job) -> Callable[..., list[Mistake]]:
    """Return a function that loads a wrong job and returns the mistakes that `load` reports."""

    def load_mistakes(text: str = JOB, *overrides: str) -> list[Mistake]:
        with pytest.raises(JobError) as error:
            load(job(text), overrides)
        return error.value.mistakes

    return load_mistakes


def png(value: int, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> bytes:
    """Return a PNG file of one colour; `size` is (width, height) in pixels."""
    content = io.BytesIO()
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def parquet_folder(tmp_path) -> Path:
    """Return a Parquet folder: 24 colour training images in two files, 6 test images, three classes."""
    folder = tmp_path / "hub"
    folder.mkdir()
    for name, count in (("train-00000", 16), ("train-00001", 8), ("test-00000", 6)):
        start = 100 * (name == "test-00000")
        images = [{"bytes": png(start + i), "path": None} for i in range(count)]
        labels = np.arange(count) % 3
        pq.write_table(pa.table({"image": images, "label": labels}), folder / f"{name}.parquet")
    return folder


@pytest.fixture
def image_folder(tmp_path) -> Path:
    """Return an image folder: 20 grey training images, 4 test images, the classes "cat" and "dog"."""
    folder = tmp_path / "pets"
    for split, count in (("train", 10), ("val", 2)):
        for name in ("dog", "cat"):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                (folder / split / name / f"{i}.png").write_bytes(png(i + 100 * (split == "val"), "L"))
    return folder
