"""Job files of a few lines, and folders of real, tiny images."""

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
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def job(tmp_path) -> Callable[..., Path]:
    """Writes a job file."""

    def write(text: str = JOB) -> Path:
        path = tmp_path / "job.yaml"
        path.write_text(dedent(text))
        return path

    return write


@pytest.fixture
def mistakes(job) -> Callable[..., list[Mistake]]:
    """The mistakes of a job that must not load."""

    def found(text: str = JOB, *overrides: str) -> list[Mistake]:
        with pytest.raises(JobError) as error:
            load(job(text), overrides)
        return error.value.mistakes

    return found


def png(value: int, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def parquet_folder(tmp_path) -> Path:
    """24 colour images to train on in two files, 6 to test on, three classes."""
    folder = tmp_path / "hub"
    folder.mkdir()
    for name, count in (("train-00000", 16), ("train-00001", 8), ("test-00000", 6)):
        images = [{"bytes": png(i), "path": None} for i in range(count)]
        labels = np.arange(count) % 3
        pq.write_table(pa.table({"image": images, "label": labels}), folder / f"{name}.parquet")
    return folder


@pytest.fixture
def image_folder(tmp_path) -> Path:
    """20 grey images to train on, 4 to test on, classes "cat" and "dog"."""
    folder = tmp_path / "pets"
    for split, count in (("train", 10), ("val", 2)):
        for name in ("dog", "cat"):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                (folder / split / name / f"{i}.png").write_bytes(png(i, "L"))
    return folder
