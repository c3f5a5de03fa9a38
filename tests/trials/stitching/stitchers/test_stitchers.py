"""Tests that stitchers start at the closed form and recover known relations between activations."""

from typing import Any

import pytest
import torch
from torch import nn

from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.trials.process.builder import import_builder
from sweeper.trials.stitching.least_squares import Moments, Products, by_channel, solve
from sweeper.trials.stitching.stitchers.conformance import closed_forms
from sweeper.trials.stitching.stitchers.relative import Relative

STITCHER_SHAPES = [
    ("conv1x1", (5, 4, 4), (7, 4, 4)),
    ("conv1x1", (6,), (3,)),
    ("conv1x1", (9, 6), (9, 3)),
    ("linear", (6,), (9,)),
    ("linear", (4, 6), (4, 9)),
]


@pytest.mark.parametrize(("name", "bottom_shape", "top_shape"), STITCHER_SHAPES)
def test_a_started_stitcher_is_the_closed_form_in_eval_mode(
    name: str, bottom_shape: tuple[int, ...], top_shape: tuple[int, ...]
) -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(90, *bottom_shape, generator=draw) * 4 - 1, torch.randn(90, *top_shape, generator=draw) + 2
    x.movedim(channel_dimension(x), 1)[:, 1], y.movedim(channel_dimension(y), 1)[:, 2] = 0.5, -3.0  # constant channels
    moments_x, moments_y, products = Moments(), Moments(), Products()
    moments_x.add(by_channel(x))
    moments_y.add(by_channel(y))
    products.add(by_channel(x), by_channel(y))
    affine = solve(moments_x, moments_y, products)
    stitcher = import_builder(STITCHERS[name].builder)(bottom_shape, top_shape, {})
    stitcher.start(affine)
    torch.testing.assert_close(stitcher.eval()(x), affine(x), atol=1e-5, rtol=1e-5)


def channel_dimension(x: torch.Tensor) -> int:
    """Return the dimension of an activation's channels."""
    return 2 if x.ndim == 3 else 1


def test_a_started_stitcher_is_nearly_the_closed_form_in_train_mode() -> None:
    """Apply a stitcher in train mode to the data that its closed form was solved on."""
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(512, 4, 2, 2, generator=draw)
    y = torch.einsum("ba,nahw->nbhw", torch.randn(3, 4, generator=draw), x)
    moments_x, moments_y, products = Moments(), Moments(), Products()
    moments_x.add(by_channel(x))
    moments_y.add(by_channel(y))
    products.add(by_channel(x), by_channel(y))
    stitcher = import_builder(STITCHERS["conv1x1"].builder)((4, 2, 2), (3, 2, 2), {})
    stitcher.start(solve(moments_x, moments_y, products))
    torch.testing.assert_close(stitcher.train()(x), y, atol=1e-2, rtol=1e-2)


def test_the_identity_returns_its_input() -> None:
    x = torch.randn(2, 3)
    stitcher = import_builder(STITCHERS["identity"].builder)((3,), (3,), {})
    assert isinstance(stitcher, nn.Identity)
    assert stitcher(x) is x


@pytest.mark.parametrize(("bottom_shape", "top_shape"), [((5, 4, 4), (7, 4, 4)), ((6,), (3,)), ((9, 6), (9, 3))])
def test_the_composed_map_of_eval_mode_equals_the_three_layers(
    bottom_shape: tuple[int, ...], top_shape: tuple[int, ...]
) -> None:
    torch.manual_seed(2)
    stitcher = import_builder(STITCHERS["conv1x1"].builder)(bottom_shape, top_shape, {})
    for _ in range(3):
        stitcher.train()(torch.randn(16, *bottom_shape) * 3 + 1)  # changes the running averages
    x = torch.randn(10, *bottom_shape)
    stitcher.eval()
    rows = x.flatten(0, 1) if x.ndim == 3 else x
    output_of_layers = stitcher.norm_out(stitcher.affine(stitcher.norm_in(rows))).view(10, *top_shape)
    torch.testing.assert_close(stitcher(x), output_of_layers, atol=1e-5, rtol=1e-5)


def test_norms_of_tokens_use_the_statistics_of_each_channel() -> None:
    """Compare tokens in train mode with a map whose pixels are the same tokens."""
    x = torch.randn(64, 5, 3) * torch.tensor([1.0, 10.0, 0.1]) + torch.tensor([0.0, 7.0, -7.0])
    built = import_builder(STITCHERS["conv1x1"].builder)
    torch.manual_seed(3)
    tokens = built((5, 3), (5, 4), {})
    pixels = built((3, 5, 1), (4, 5, 1), {})
    pixels.load_state_dict(
        {key: tensor.view(pixels.state_dict()[key].shape) for key, tensor in tokens.state_dict().items()}
    )
    output, expected = tokens.train()(x), pixels.train()(x.transpose(1, 2)[..., None])
    torch.testing.assert_close(output, expected[..., 0].transpose(1, 2), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens.norm_in.running_var, pixels.norm_in.running_var)


def stitcher_at_closed_form(name: str, x: torch.Tensor, y: torch.Tensor, **options: Any) -> Any:
    """Return a stitcher from x to y at its closed form, in eval mode."""
    card = STITCHERS[name]
    bottom_shape, top_shape = tuple(x.shape[1:]), tuple(y.shape[1:])
    assert not card.misfit(bottom_shape, top_shape, options)
    stitcher = import_builder(card.builder)(bottom_shape, top_shape, options).eval()
    stitcher.start(*closed_forms(card, x, y, options))
    return stitcher


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return normally distributed values of a shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_rotation(channels: int, seed: int = 5) -> torch.Tensor:
    """Return a random rotation or reflection (channels, channels)."""
    return torch.linalg.qr(normal(channels, channels, seed=seed)).Q


@pytest.mark.parametrize("shape", [(6, 4, 4), (16, 6), (6,)])
def test_the_permutation_stitcher_restores_permuted_channels_exactly(shape: tuple[int, ...]) -> None:
    y, axis = normal(50, *shape), 1 if len(shape) != 2 else 2
    x = y.index_select(axis, torch.randperm(6, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(stitcher_at_closed_form("permutation", x, y)(x), y)


def test_the_permutation_stitcher_does_not_scale_channels() -> None:
    """Match permuted channels of different scales: the order is restored, the scales remain."""
    y = normal(200, 6)
    x = y[:, [3, 4, 5, 0, 1, 2]] * torch.tensor([2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert torch.equal(stitcher_at_closed_form("permutation", x, y)(x), x[:, [3, 4, 5, 0, 1, 2]])


@pytest.mark.parametrize("shape", [(6, 4, 4), (16, 6), (6,)])
def test_the_orthogonal_stitcher_undoes_a_rotation_with_scale_and_shift(shape: tuple[int, ...]) -> None:
    y = normal(50, *shape)
    channels_last = y.movedim(1, -1) if len(shape) == 3 else y
    x = (channels_last * 3 + 2) @ random_rotation(6)
    x = x.movedim(-1, 1) if len(shape) == 3 else x
    torch.testing.assert_close(stitcher_at_closed_form("orthogonal", x, y)(x), y, atol=1e-4, rtol=1e-4)


def test_the_weight_of_the_orthogonal_stitcher_is_a_scaled_rotation() -> None:
    x, y = normal(300, 5), normal(300, 5, seed=1) @ normal(5, 5, seed=2)
    weight = stitcher_at_closed_form("orthogonal", x, y).weight
    gram = weight @ weight.T
    torch.testing.assert_close(gram / gram[0, 0], torch.eye(5), atol=1e-5, rtol=1e-5)


def test_the_orthogonal_stitcher_joins_different_numbers_of_channels() -> None:
    """Map three channels to a rotation of them with two zero channels, and back."""
    y = normal(400, 3)
    x = torch.cat([y, torch.zeros(400, 2)], 1) @ random_rotation(5)
    torch.testing.assert_close(stitcher_at_closed_form("orthogonal", x, y)(x), y, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(stitcher_at_closed_form("orthogonal", y, x)(y), x, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rank", [1, 3])
def test_low_rank_recovers_a_map_of_its_rank(rank: int) -> None:
    x = normal(90, 8, 3, 3) * 2 + 1
    weight = normal(6, rank, seed=1) @ normal(rank, 8, seed=2)
    y = torch.einsum("ba,nahw->nbhw", weight, x) - 4
    stitcher = stitcher_at_closed_form("low_rank", x, y, rank=rank)
    torch.testing.assert_close(stitcher(x), y, atol=1e-3, rtol=1e-3)
    assert torch.linalg.matrix_rank(stitcher.affine.weight, rtol=1e-4) == rank


def test_low_rank_starts_at_the_best_map_of_its_rank() -> None:
    """Compare the additional residual of a rank with the variance in the directions that it drops."""
    x = normal(2000, 6)
    y = x @ normal(6, 5, seed=1) + normal(2000, 5, seed=2)
    (form,) = closed_forms(STITCHERS["affine"], x, y, {})
    values = torch.linalg.eigvalsh(form.weight @ form.cov_x @ form.weight.T)
    full = (stitcher_at_closed_form("affine", x, y)(x) - y).square().mean(0).sum()
    for rank in (1, 3, 5):
        additional_residual = (stitcher_at_closed_form("low_rank", x, y, rank=rank)(x).detach() - y).square().mean(
            0
        ).sum() - full
        assert float(additional_residual) == pytest.approx(float(values[: 5 - rank].sum()), abs=1e-3)


@pytest.mark.parametrize("places", ["pool", "bilinear", "nearest", "strided"])
def test_an_adapter_undoes_an_enlargement_exactly(places: str) -> None:
    y = normal(60, 5, 4, 4)
    x = y.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(stitcher_at_closed_form("adapter", x, y, places=places)(x), y, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("places", ["pool", "nearest", "strided"])
def test_an_adapter_reproduces_an_enlargement_exactly(places: str) -> None:
    x = normal(60, 5, 4, 4)
    y = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(stitcher_at_closed_form("adapter", x, y, places=places)(x), y, atol=1e-3, rtol=1e-3)


def test_strided_places_keep_all_information_of_a_map() -> None:
    """Map to the pixel unshuffle of a map and back: exact with `strided`, not with `pool`."""
    x = normal(200, 2, 4, 4)
    y = nn.functional.pixel_unshuffle(x, 2)
    torch.testing.assert_close(stitcher_at_closed_form("adapter", x, y, places="strided")(x), y, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(stitcher_at_closed_form("adapter", y, x, places="strided")(y), x, atol=1e-3, rtol=1e-3)
    assert (stitcher_at_closed_form("adapter", x, y, places="pool")(x) - y).square().mean() > 0.5


def test_an_adapter_maps_a_map_to_tokens_and_back() -> None:
    """Join a map to its pixels as tokens, with a class token that is an affine map of the mean."""
    x = normal(300, 5, 4, 4)
    tokens = torch.cat([x.mean((2, 3))[:, None] * 7 + 1, x.flatten(2).transpose(1, 2) - 2], 1)
    torch.testing.assert_close(
        stitcher_at_closed_form("adapter", x, tokens, places="pool")(x), tokens, atol=1e-3, rtol=1e-3
    )
    torch.testing.assert_close(
        stitcher_at_closed_form("adapter", tokens, x, places="pool")(tokens), x, atol=1e-3, rtol=1e-3
    )


def test_an_adapter_maps_a_vector_to_all_places_and_a_map_to_its_mean() -> None:
    x, vector = normal(100, 5, 4, 4), normal(100, 3)
    everywhere = vector[:, :, None, None].expand(-1, -1, 4, 4)
    torch.testing.assert_close(
        stitcher_at_closed_form("adapter", vector, everywhere, places="pool")(vector), everywhere
    )
    mean = x.mean((2, 3))
    torch.testing.assert_close(
        stitcher_at_closed_form("adapter", x, mean, places="pool")(x), mean, atol=1e-4, rtol=1e-4
    )


def test_relative_representations_are_invariant_to_rotation_and_scale() -> None:
    """Decode a rotated and scaled copy of B: its cosines are those of B, so the output is that of B itself."""
    y = normal(400, 8, 2, 2).relu() + 0.1
    x = torch.einsum("ba,nahw->nbhw", random_rotation(8), y) * 5
    stitcher_of_copy, stitcher_of_b = (solved_relative(tensor, y) for tensor in (x, y))
    torch.testing.assert_close(stitcher_of_copy(x), stitcher_of_b(y), atol=1e-3, rtol=1e-3)
    # Not exact, since cosines do not contain the length of a vector.
    assert (stitcher_of_copy(x) - y).square().mean() < y.var() / 3


def solved_relative(x: torch.Tensor, y: torch.Tensor) -> Relative:
    """Return a relative stitcher from x to y, solved in batches."""
    stitcher = import_builder(STITCHERS["relative"].builder)(tuple(x.shape[1:]), tuple(y.shape[1:]), {"anchors": 50})
    stitcher.choose_anchors(x[:100], y[:100])
    for part in y.split(150):
        stitcher.accumulate(part)
    stitcher.solve()
    return stitcher


def test_more_anchors_than_places_are_refused() -> None:
    stitcher = import_builder(STITCHERS["relative"].builder)((3,), (3,), {"anchors": 11})
    with pytest.raises(ValueError, match="needs 11 places for its anchors; there are 10"):
        stitcher.choose_anchors(normal(10, 3), normal(10, 3))


@pytest.mark.parametrize("kernel", [3, 5])
def test_a_started_kernel_is_zero_except_at_its_centre(kernel: int) -> None:
    x, y = normal(60, 4, 5, 5), normal(60, 3, 5, 5, seed=1)
    stitcher = stitcher_at_closed_form("conv", x, y, kernel=kernel, norm=True, depth=1)
    centre = kernel // 2
    weight_by_place = stitcher.affine.weight.detach().abs().sum((0, 1))
    assert weight_by_place[centre, centre] > 0
    assert weight_by_place.sum() == weight_by_place[centre, centre]
