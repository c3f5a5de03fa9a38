"""Example images for a first job: scikit-learn's digits in clutter, as PNG files in a folder for each class."""

from pathlib import Path

import numpy as np


def write_example_images(folder: Path) -> None:
    """Write 998 training images to `folder`/train/CLASS and 799 test images to `folder`/test/CLASS.

    Each digit is drawn in one image, so no test image shows a digit of a training image.

    Args:
        folder: The folder, which doesn't exist.

    Raises:
        OSError: A file can't be written.
    """
    from PIL import Image

    from sweeper.trials.data.cluttered_digits import CLUTTER, all_digits, divide, make_images

    pixels, labels = all_digits()
    sides = divide(labels)
    sources = {"train": np.concatenate([sides["train"], sides["held_out"]]), "test": sides["test"]}
    for split, source in sources.items():
        images, image_labels = make_images(pixels[source], labels[source], "test", CLUTTER)
        for number, (image, label) in enumerate(zip(images, image_labels, strict=True)):
            file = folder / split / str(label) / f"{number:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0]).save(file)
