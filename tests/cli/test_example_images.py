"""Tests of the example images of a first job."""

import numpy as np
from PIL import Image

from sweeper.cli.example_images import write_example_images


def images(folder, split) -> dict[bytes, str]:
    return {
        np.asarray(Image.open(file)).tobytes(): file.parent.name for file in sorted((folder / split).rglob("*.png"))
    }


def test_the_splits_have_all_classes_and_no_image_twice(tmp_path):
    write_example_images(tmp_path)
    train, test = images(tmp_path, "train"), images(tmp_path, "test")
    assert (len(train), len(test)) == (998, 799)
    assert set(train.values()) == set(test.values()) == set("0123456789")
    assert not train.keys() & test.keys()


def test_the_images_are_the_same_each_time(tmp_path):
    write_example_images(tmp_path / "a")
    write_example_images(tmp_path / "b")
    assert images(tmp_path / "a", "test") == images(tmp_path / "b", "test")
