"""Tests of the data stream: a pure function of seed and step, with every image once in an epoch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import pad

from sweeper.trials.data.stream import Stream, crop_flip, normalize

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 6), dtype=np.uint8)
LABELS = np.arange(50) % 7


def a_stream(batch: int = 8, seed: int = 0, augment: str = "none", indices: np.ndarray | None = None) -> Stream:
    return Stream(IMAGES, LABELS, batch, seed, augment, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), indices=indices)


@given(batch=st.integers(1, 70), samples=st.integers(1, 50), steps=st.integers(1, 30), seed=st.integers(0, 2**31 - 1))
def test_every_batch_is_full_and_every_epoch_has_each_image_once(
    batch: int, samples: int, steps: int, seed: int
) -> None:
    indices = np.random.default_rng(1).permutation(50)[:samples]
    stream = a_stream(batch, seed, indices=indices)
    rows = [stream.rows(step) for step in range(steps)]
    assert {len(row) for row in rows} == {batch}
    sequence = np.concatenate(rows)
    for epoch in range(len(sequence) // samples):
        assert sorted(sequence[epoch * samples : (epoch + 1) * samples]) == sorted(indices)


@given(step=st.integers(0, 10**6), augment=st.sampled_from(["none", "crop_flip"]))
def test_a_batch_depends_on_seed_and_step_alone(step: int, augment: str) -> None:
    unused_stream, used_stream = a_stream(augment=augment), a_stream(augment=augment)
    for other_step in (0, step + 1, 3):
        used_stream.batch(other_step)
    (x, y), (expected_x, expected_y) = used_stream.batch(step), unused_stream.batch(step)
    assert torch.equal(x, expected_x)
    assert torch.equal(y, expected_y)


def test_iteration_yields_the_batches_in_order() -> None:
    for step, (x, y) in zip(range(9), a_stream(augment="crop_flip"), strict=False):
        expected_x, expected_y = a_stream(augment="crop_flip").batch(step)
        assert torch.equal(x, expected_x)
        assert torch.equal(y, expected_y)


def test_each_seed_and_epoch_has_its_own_order() -> None:
    epoch_orders = [a_stream(50, seed).rows(epoch).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in epoch_orders}) == 4


def test_augmentation_does_not_change_which_images_are_chosen() -> None:
    assert np.array_equal(a_stream().rows(5), a_stream(augment="crop_flip").rows(5))


def test_batches_hold_normalised_images_and_their_labels() -> None:
    stream = a_stream()
    x, y = stream.batch(2)
    rows = stream.rows(2)
    mean, std = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.3, 0.4])
    expected = (IMAGES[rows] / 255 - mean[:, None, None]) / std[:, None, None]
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    assert np.abs(x.numpy() - expected).max() < 1e-5
    assert np.array_equal(y.numpy(), LABELS[rows])


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 1)), min_size=1, max_size=12))
def test_crops_and_flips_equal_those_of_a_loop_over_images(draws: list[tuple[int, int, int]]) -> None:
    images = torch.from_numpy(IMAGES[: len(draws)])
    down, right, flip = torch.tensor(draws).T
    cropped = crop_flip(images, down, right, flip)
    padded = pad(images, (4,) * 4)
    for i, (y, x, mirrored) in enumerate(draws):
        crop = padded[i, :, y : y + 8, x : x + 6]
        assert torch.equal(cropped[i], crop.flip(2) if mirrored else crop)


def test_all_crops_and_both_sides_occur_equally_often() -> None:
    """Crop an image that is black but for one white pixel, whose place shows the crop and whether it is mirrored."""
    image = np.zeros((1, 1, 17, 17), np.uint8)
    image[0, 0, 8, 8] = 255
    stream = Stream(image, np.zeros(1, np.int64), 20_000, 3, "crop_flip", (0.0,), (1.0,))
    x, _ = stream.batch(0)
    places = x[:, 0].flatten(1).argmax(1)
    counts = torch.bincount(places, minlength=17 * 17)
    assert (x.flatten(1).sum(1) == 1).all()
    assert int((counts > 0).sum()) == 81
    assert int(counts[counts > 0].min()) > 150  # 247 expected, standard deviation 16
    assert int(counts.max()) < 350

    image[0, 0, 8, 8], image[0, 0, 8, 6] = 0, 255
    x, _ = Stream(image, np.zeros(1, np.int64), 20_000, 3, "crop_flip", (0.0,), (1.0,)).batch(0)
    columns = x[:, 0].amax(1).argmax(1).float()
    assert abs(float(columns.mean()) - 8) < 0.15  # half of the pixels are at 6, half, mirrored, at 10


def test_images_in_memory_are_not_copied_on_the_cpu() -> None:
    stream = a_stream()
    assert stream.images.data_ptr() == IMAGES.ctypes.data


def test_unknown_augmentation_is_refused() -> None:
    with pytest.raises(ValueError, match="no augmentation 'cutout'; there are none, crop_flip"):
        a_stream(augment="cutout")


def test_normalising_does_not_change_the_pixels_in_place() -> None:
    pixels = torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)
    assert torch.equal(normalize(pixels, (0.5,), (0.5,)), torch.ones(1, 1, 2, 2))
    assert pixels.dtype == torch.uint8
    assert int(pixels.min()) == 255
