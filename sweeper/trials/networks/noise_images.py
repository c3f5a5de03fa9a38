"""Noise for the bottom model that carries nothing of an image: the pixels of another image, drawn at random.

The bottom's activations of these images have the distribution of its own activations, with the same channels, places
and correlations, but they say nothing about the image that is classified. A stitch of them is right by chance only. The
null of a similarity permutes images in the same way.
"""

from dataclasses import replace

import numpy as np
import torch

from sweeper.trials.networks.network import Images
from sweeper.trials.process.philox import Purpose, random_permutation


def with_pixels_of_other_images(images: Images, seed: int) -> Images:
    """Return the images with their labels, but each with the pixels of another image of the same split.

    Args:
        images: The images; their pixels are copied.
        seed: The seed of the choice, which depends on nothing else: an image is always replaced by the same one.
    """
    train, test = (
        pixels[torch.from_numpy(replacements(len(pixels), seed, split)).to(pixels.device)]
        for split, pixels in enumerate((images.train, images.test))
    )
    return replace(images, train=train, test=test)


def replacements(count: int, seed: int, split: int) -> np.ndarray:
    """Return the index of the image that replaces each of `count` images, int64 (count,).

    In a random order of the images each is replaced by the one before it, so none is replaced by itself (unless there
    is only one), and each replaces exactly one.
    """
    order = random_permutation(seed, Purpose.NOISE, split, count)
    replacement = np.empty_like(order)
    replacement[order] = np.roll(order, 1)
    return replacement
