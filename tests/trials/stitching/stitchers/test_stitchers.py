"""Stitchers: a start at an affine map is that map; what is related in a known way is found."""

from typing import Any

import pytest
import torch
from torch import nn

from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching.least_squares import Moments, Products, by_channel, solve
from sweeper.trials.stitching.stitchers.conformance import closed_forms
from sweeper.trials.stitching.stitchers.relative import Relative

JOINS = [
    ("conv1x1", (5, 4, 4), (7, 4, 4)),
    ("conv1x1", (6,), (3,)),
    ("conv1x1", (9, 6), (9, 3)),
    ("linear", (6,), (9,)),
    ("linear", (4, 6), (4, 9)),
]


@pytest.mark.parametrize(("name", "bottom_shape", "top_shape"), JOINS)
def test_start_is_the_affine_map_in_eval_mode(
    name: str, bottom_shape: tuple[int, ...], top_shape: tuple[int, ...]
) -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(90, *bottom_shape, generator=draw) * 4 - 1, torch.randn(90, *top_shape, generator=draw) + 2
    x.movedim(features(x), 1)[:, 1], y.movedim(features(y), 1)[:, 2] = 0.5, -3.0  # channels that never move
    of_x, of_y, of_both = Moments(), Moments(), Products()
    of_x.add(by_channel(x))
    of_y.add(by_channel(y))
    of_both.add(by_channel(x), by_channel(y))
    affine = solve(of_x, of_y, of_both)
    stitcher = import_builder(STITCHERS[name].builder)(bottom_shape, top_shape, {})
    stitcher.start(affine)
    torch.testing.assert_close(stitcher.eval()(x), affine(x), atol=1e-5, rtol=1e-5)


def features(x: torch.Tensor) -> int:
    """The dimension that channels lie in."""
    return 2 if x.ndim == 3 else 1


def test_start_agrees_with_batch_statistics() -> None:
    """On the data it was solved on, the stitcher's norms see in train mode what eval mode assumes."""
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(512, 4, 2, 2, generator=draw)
    y = torch.einsum("ba,nahw->nbhw", torch.randn(3, 4, generator=draw), x)
    of_x, of_y, of_both = Moments(), Moments(), Products()
    of_x.add(by_channel(x))
    of_y.add(by_channel(y))
    of_both.add(by_channel(x), by_channel(y))
    stitcher = import_builder(STITCHERS["conv1x1"].builder)((4, 2, 2), (3, 2, 2), {})
    stitcher.start(solve(of_x, of_y, of_both))
    torch.testing.assert_close(stitcher.train()(x), y, atol=1e-2, rtol=1e-2)


def test_identity_is_the_same_tensor() -> None:
    x = torch.randn(2, 3)
    stitcher = import_builder(STITCHERS["identity"].builder)((3,), (3,), {})
    assert isinstance(stitcher, nn.Identity)
    assert stitcher(x) is x


@pytest.mark.parametrize(("bottom_shape", "top_shape"), [((5, 4, 4), (7, 4, 4)), ((6,), (3,)), ((9, 6), (9, 3))])
def test_eval_mode_is_the_three_layers_in_one(bottom_shape: tuple[int, ...], top_shape: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    stitcher = import_builder(STITCHERS["conv1x1"].builder)(bottom_shape, top_shape, {})
    for _ in range(3):
        stitcher.train()(torch.randn(16, *bottom_shape) * 3 + 1)  # moves the running averages
    x = torch.randn(10, *bottom_shape)
    stitcher.eval()
    rows = x.flatten(0, 1) if x.ndim == 3 else x
    three = stitcher.leave(stitcher.affine(stitcher.enter(rows))).view(10, *top_shape)
    torch.testing.assert_close(stitcher(x), three, atol=1e-5, rtol=1e-5)


def test_tokens_are_normed_by_feature() -> None:
    """In train mode the first norm sees each feature over all images and tokens, as a 1x1 convolution's over pixels."""
    x = torch.randn(64, 5, 3) * torch.tensor([1.0, 10.0, 0.1]) + torch.tensor([0.0, 7.0, -7.0])
    built = import_builder(STITCHERS["conv1x1"].builder)
    torch.manual_seed(3)
    tokens = built((5, 3), (5, 4), {})
    pixels = built((3, 5, 1), (4, 5, 1), {})
    pixels.load_state_dict(
        {key: tensor.view(pixels.state_dict()[key].shape) for key, tensor in tokens.state_dict().items()}
    )
    found, expected = tokens.train()(x), pixels.train()(x.transpose(1, 2)[..., None])
    torch.testing.assert_close(found, expected[..., 0].transpose(1, 2), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens.enter.running_var, pixels.enter.running_var)


def started(name: str, x: torch.Tensor, y: torch.Tensor, **options: Any) -> Any:
    """A stitcher from x to y at its closed form, in eval mode."""
    card = STITCHERS[name]
    bottom_shape, top_shape = tuple(x.shape[1:]), tuple(y.shape[1:])
    assert not card.misfit(bottom_shape, top_shape, options)
    stitcher = import_builder(card.builder)(bottom_shape, top_shape, options).eval()
    stitcher.start(*closed_forms(card, x, y, options))
    return stitcher


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def turn(channels: int, seed: int = 5) -> torch.Tensor:
    """A random rotation or reflection."""
    return torch.linalg.qr(noise(channels, channels, seed=seed)).Q


@pytest.mark.parametrize("shape", [(6, 4, 4), (16, 6), (6,)])
def test_permuted_channels_are_put_back_exactly(shape: tuple[int, ...]) -> None:
    y, axis = noise(50, *shape), 1 if len(shape) != 2 else 2
    x = y.index_select(axis, torch.randperm(6, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(started("permutation", x, y)(x), y)


def test_a_permutation_is_no_more_than_one() -> None:
    """Channels scaled and turned round in sign are matched as well as an order can: all the positive ones."""
    y = noise(200, 6)
    x = y[:, [3, 4, 5, 0, 1, 2]] * torch.tensor([2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert torch.equal(started("permutation", x, y)(x), x[:, [3, 4, 5, 0, 1, 2]])


@pytest.mark.parametrize("shape", [(6, 4, 4), (16, 6), (6,)])
def test_a_rotation_is_undone(shape: tuple[int, ...]) -> None:
    y = noise(50, *shape)
    channels_last = y.movedim(1, -1) if len(shape) == 3 else y
    x = (channels_last * 3 + 2) @ turn(6)
    x = x.movedim(-1, 1) if len(shape) == 3 else x
    torch.testing.assert_close(started("orthogonal", x, y)(x), y, atol=1e-4, rtol=1e-4)


def test_an_orthogonal_stitcher_only_turns_scales_and_moves() -> None:
    x, y = noise(300, 5), noise(300, 5, seed=1) @ noise(5, 5, seed=2)
    weight = started("orthogonal", x, y).weight
    square = weight @ weight.T
    torch.testing.assert_close(square / square[0, 0], torch.eye(5), atol=1e-5, rtol=1e-5)


def test_a_wider_rotation_keeps_what_fits() -> None:
    """Three channels inside five, turned: found again; the other way round, three of the five."""
    y = noise(400, 3)
    x = torch.cat([y, torch.zeros(400, 2)], 1) @ turn(5)
    torch.testing.assert_close(started("orthogonal", x, y)(x), y, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(started("orthogonal", y, x)(y), x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rank", [1, 3])
def test_a_map_of_rank_r_is_recovered_by_low_rank_of_rank_r(rank: int) -> None:
    x = noise(90, 8, 3, 3) * 2 + 1
    weight = noise(6, rank, seed=1) @ noise(rank, 8, seed=2)
    y = torch.einsum("ba,nahw->nbhw", weight, x) - 4
    stitcher = started("low_rank", x, y, rank=rank)
    torch.testing.assert_close(stitcher(x), y, atol=1e-3, rtol=1e-3)
    assert torch.linalg.matrix_rank(stitcher.affine.weight, rtol=1e-4) == rank


def test_low_rank_starts_at_the_best_map_of_its_rank() -> None:
    """Reduced-rank regression leaves exactly the variance of the values in the directions that it drops."""
    x = noise(2000, 6)
    y = x @ noise(6, 5, seed=1) + noise(2000, 5, seed=2)
    (form,) = closed_forms(STITCHERS["affine"], x, y, {})
    values = torch.linalg.eigvalsh(form.weight @ form.cov_x @ form.weight.T)
    full = (started("affine", x, y)(x) - y).square().mean(0).sum()
    for rank in (1, 3, 5):
        lost = (started("low_rank", x, y, rank=rank)(x).detach() - y).square().mean(0).sum() - full
        assert float(lost) == pytest.approx(float(values[: 5 - rank].sum()), abs=1e-3)


@pytest.mark.parametrize("places", ["pool", "bilinear", "nearest", "strided"])
def test_an_enlarged_copy_is_shrunk_exactly(places: str) -> None:
    y = noise(60, 5, 4, 4)
    x = y.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(started("adapter", x, y, places=places)(x), y, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("places", ["pool", "nearest", "strided"])
def test_a_shrunk_copy_is_enlarged_exactly(places: str) -> None:
    x = noise(60, 5, 4, 4)
    y = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(started("adapter", x, y, places=places)(x), y, atol=1e-3, rtol=1e-3)


def test_strided_loses_no_place() -> None:
    """A map folded up into channels (pixel unshuffle) and unfolded again: only `strided` sees all of it."""
    x = noise(200, 2, 4, 4)
    y = nn.functional.pixel_unshuffle(x, 2)
    torch.testing.assert_close(started("adapter", x, y, places="strided")(x), y, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(started("adapter", y, x, places="strided")(y), x, atol=1e-3, rtol=1e-3)
    assert (started("adapter", x, y, places="pool")(x) - y).square().mean() > 0.5


def test_a_map_becomes_tokens_and_back() -> None:
    """Patches row by row; the class token is a map of the mean."""
    x = noise(300, 5, 4, 4)
    tokens = torch.cat([x.mean((2, 3))[:, None] * 7 + 1, x.flatten(2).transpose(1, 2) - 2], 1)
    torch.testing.assert_close(started("adapter", x, tokens, places="pool")(x), tokens, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(started("adapter", tokens, x, places="pool")(tokens), x, atol=1e-3, rtol=1e-3)


def test_a_vector_stands_everywhere_and_reads_the_mean() -> None:
    x, vector = noise(100, 5, 4, 4), noise(100, 3)
    everywhere = vector[:, :, None, None].expand(-1, -1, 4, 4)
    torch.testing.assert_close(started("adapter", vector, everywhere, places="pool")(vector), everywhere)
    mean = x.mean((2, 3))
    torch.testing.assert_close(started("adapter", x, mean, places="pool")(x), mean, atol=1e-4, rtol=1e-4)


def test_relative_representations_pass_a_rotation_and_a_scale() -> None:
    """What they are made for: cosines don't change, so A decodes as B itself does."""
    y = noise(400, 8, 2, 2).relu() + 0.1
    x = torch.einsum("ba,nahw->nbhw", turn(8), y) * 5
    of_x, of_y = (listened(tensor, y) for tensor in (x, y))
    torch.testing.assert_close(of_x(x), of_y(y), atol=1e-3, rtol=1e-3)
    assert (of_x(x) - y).square().mean() < y.var() / 3  # but for their lengths


def listened(x: torch.Tensor, y: torch.Tensor) -> Relative:
    stitcher = import_builder(STITCHERS["relative"].builder)(tuple(x.shape[1:]), tuple(y.shape[1:]), {"anchors": 50})
    stitcher.choose_anchors(x[:100], y[:100])
    for part in y.split(150):
        stitcher.accumulate(part)
    stitcher.solve()
    return stitcher


def test_more_anchors_than_places() -> None:
    stitcher = import_builder(STITCHERS["relative"].builder)((3,), (3,), {"anchors": 11})
    with pytest.raises(ValueError, match="11 anchors of 10 places"):
        stitcher.choose_anchors(noise(10, 3), noise(10, 3))


@pytest.mark.parametrize("kernel", [3, 5])
def test_a_kernel_starts_at_its_centre(kernel: int) -> None:
    x, y = noise(60, 4, 5, 5), noise(60, 3, 5, 5, seed=1)
    stitcher = started("conv", x, y, kernel=kernel, norm=True, depth=1)
    middle = kernel // 2
    taps = stitcher.affine.weight.detach().abs().sum((0, 1))
    assert taps[middle, middle] > 0
    assert taps.sum() == taps[middle, middle]
