"""Tests of quantities that measures share: axes, coordinates, and their cache."""

import pytest
import torch
from torch import Tensor

from sweeper.trials.similarity.measures import activation, cka
from sweeper.trials.similarity.measures.activation import Activation, by_place
from sweeper.trials.similarity.measures.evaluate import similarity
from sweeper.trials.similarity.measures.pair import Pair


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Return normally distributed values of a shape, float64."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_features_are_ordered_place_by_place_in_both_memory_layouts() -> None:
    x = draw(2, 3, 4, 5)
    for x_in_layout in (x, x.contiguous(memory_format=torch.channels_last)):
        assert torch.equal(by_place(x_in_layout)[1, 7], x[1, :, 1, 2])
    last = x.contiguous(memory_format=torch.channels_last)
    assert by_place(last).data_ptr() == last.data_ptr()  # no copy
    assert by_place(draw(2, 6, 3)).shape == (2, 6, 3)
    assert by_place(draw(2, 3)).shape == (2, 1, 3)


@pytest.mark.parametrize("block", [2**24, 50])
def test_the_spectrum_holds_the_squared_singular_values_without_rounding_errors(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation, "BLOCK", block)
    x = Activation(torch.cat([draw(40, 6), torch.ones(40, 1, dtype=torch.float64), draw(40, 6)], 1) + 5)
    values = torch.linalg.svdvals(x.centred)
    assert len(x.spectrum.values) == 6 < 13  # the constant and the duplicated features add no axes
    assert x.spectrum.values.sqrt().tolist() == pytest.approx(values[:6].tolist())
    assert x.spectrum.leading_axes(0.5).values.sum() >= 0.5 * x.spectrum.values.sum()
    assert x.spectrum.leading_axes(0.5).values[:-1].sum() < 0.5 * x.spectrum.values.sum()


def test_wide_activations_are_reduced_to_coordinates_with_the_same_products() -> None:
    x = Activation(draw(20, 70) + 1)
    reduced = x.reduced
    assert reduced.features.shape == (20, 19)  # centring removes one dimension
    assert torch.allclose(reduced.features @ reduced.features.T, x.centred @ x.centred.T)
    spectrum = Activation(reduced.features).spectrum
    assert torch.allclose(reduced.spectrum.values, spectrum.values)
    assert Activation(draw(20, 20)).reduced.features.shape == (20, 20)


def test_a_nearly_constant_activation_is_not_constant() -> None:
    assert Activation(torch.full((10, 3), 0.1)).is_constant
    assert not Activation(torch.full((10, 3), 0.1) + 1e-3 * draw(10, 3).float()).is_constant


def test_derived_quantities_are_counted_in_bytes_and_can_be_dropped() -> None:
    x = Activation(draw(30, 5, 2, 2))
    activation_bytes = 30 * 20 * 8
    assert x.bytes == activation_bytes
    _ = x.pixels.spectrum, x.reduced
    x.get_or_compute("key", lambda: draw(7))
    centred = activation_bytes + 5 * 8  # a centred copy of the pixels and its mean
    spectrum = (5 + 25) * 8
    assert x.bytes >= activation_bytes + centred + spectrum + 7 * 8
    x.drop_derived()
    assert x.bytes == activation_bytes
    assert x.get_or_compute("key", lambda: 3) == 3


def test_pixels_are_paired_place_by_place_under_a_permutation() -> None:
    x, y = draw(12, 3, 2, 2), draw(12, 4, 2, 2, seed=1)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    pair = Pair(Activation(x), Activation(y), order).view_maps("pixels")
    shuffled = y[order].permute(0, 2, 3, 1).reshape(-1, 4)
    assert torch.equal(pair.permute_top(pair.b.features), shuffled)
    with pytest.raises(ValueError, match="A has 4 places and B has 1"):
        Pair(Activation(x), Activation(y[:, :, 0, 0])).view_maps("pixels")


def test_the_permutation_of_a_subset_is_the_ranks_of_the_order() -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    pair = Pair(Activation(draw(5, 2)), Activation(draw(5, 2)), order)
    all_images, subset = pair.order_of(torch.arange(5)), pair.order_of(torch.tensor([0, 2, 3]))
    assert all_images is not None
    assert subset is not None
    assert all_images.tolist() == order.tolist()
    assert subset.tolist() == [1, 2, 0]  # 3, 4, 1 by rank


@pytest.mark.parametrize("name", ["rbf_cka", "linear_cka", "mutual_knn", "affine_r2"])
def test_the_value_does_not_depend_on_the_size_of_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options_by_measure = {
        "rbf_cka": {"bandwidth": 0.5},
        "mutual_knn": {"k": 5, "distance": "euclidean"},
        "affine_r2": {"maps": "flat"},
    }
    options = options_by_measure.get(name, {})
    x, y = draw(40, 60), draw(40, 30, seed=1)
    value = similarity(Pair(Activation(x), Activation(y)), name, options)
    monkeypatch.setattr(activation, "BLOCK", 130)
    assert similarity(Pair(Activation(x), Activation(y)), name, options) == pytest.approx(value, abs=1e-9)


def test_a_permutation_of_images_uses_the_cached_decompositions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each decomposition fail after the first evaluation; permutations of B's images then need none."""
    a, b = Activation(draw(50, 6)), Activation(draw(50, 8, seed=1))
    options_by_measure = {
        "affine_r2": {"maps": "flat"},
        "rsa": {"dissimilarity": "correlation", "compared": "spearman", "images": 40, "seed": 0},
        "mutual_knn": {"k": 5, "distance": "cosine"},
        "rbf_cka": {"bandwidth": 0.5},
        "linear_predictivity": {"ridge": 1e-3, "seed": 0},
    }
    for name, options in options_by_measure.items():
        similarity(Pair(a, b), name, options)

    def fail(*_: object) -> None:
        raise AssertionError("computed a second time")

    monkeypatch.setattr(torch.linalg, "eigh", fail)
    monkeypatch.setattr(torch.linalg, "cholesky", fail)
    monkeypatch.setattr(torch.Tensor, "topk", fail)
    monkeypatch.setattr("sweeper.trials.similarity.measures.rsa.rankdata", fail)
    monkeypatch.setattr(torch.Tensor, "quantile", fail)
    for seed in range(3):
        order = torch.randperm(50, generator=torch.Generator().manual_seed(seed))
        for name, options in options_by_measure.items():
            assert similarity(Pair(a, b, order), name, options) < 1


def test_too_few_images_are_refused() -> None:
    def error_message(n: int, name: str, **options: bool | float | str) -> str:
        with pytest.raises(ValueError) as error:
            similarity(Pair(Activation(draw(n, 2)), Activation(draw(n, 2, seed=1))), name, options)
        return str(error.value)

    assert "4 images" in error_message(3, "rbf_cka", bandwidth=1, debiased=True)
    assert "batch of 8" in error_message(7, "minibatch_cka", batch=8, seed=0)
    assert "3 images" in error_message(2, "rsa", dissimilarity="euclidean", compared="pearson", images=9, seed=0)
    assert "5 neighbours" in error_message(5, "mutual_knn", k=5, distance="cosine")
    assert "4 images" in error_message(3, "linear_predictivity", ridge=1, seed=0)
    equal_images = Activation(torch.cat([torch.zeros(9, 2), torch.ones(1, 2)]))
    with pytest.raises(ValueError, match="no width"):
        cka.rbf_cka(Pair(equal_images, equal_images), bandwidth=1)


def test_the_kappa_of_networks_that_predict_one_class_is_0() -> None:
    first_class, second_class = torch.tensor([[1.0, 0.0]] * 4), torch.tensor([[0.0, 1.0]] * 4)
    pairs = [Pair(Activation(first_class), Activation(logits)) for logits in (first_class, second_class)]
    assert [similarity(pair, "output_agreement", {}) for pair in pairs] == [1, 0]
    assert [similarity(pair, "output_kappa", {}) for pair in pairs] == [0, 0]
