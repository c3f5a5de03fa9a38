"""Tests of quantities that measures share: axes, coordinates, and their cache."""

import pytest
import torch
from torch import Tensor

from sweeper.trials.similarity.measures import activation, cka
from sweeper.trials.similarity.measures.activation import Activation, by_place
from sweeper.trials.similarity.measures.evaluate import similarity
from sweeper.trials.similarity.measures.pair import Pair


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_features_stand_place_by_place_in_either_layout() -> None:
    x = draw(2, 3, 4, 5)
    for x_in_layout in (x, x.contiguous(memory_format=torch.channels_last)):
        assert torch.equal(by_place(x_in_layout)[1, 7], x[1, :, 1, 2])
    last = x.contiguous(memory_format=torch.channels_last)
    assert by_place(last).data_ptr() == last.data_ptr()  # no copy
    assert by_place(draw(2, 6, 3)).shape == (2, 6, 3)
    assert by_place(draw(2, 3)).shape == (2, 1, 3)


@pytest.mark.parametrize("block", [2**24, 50])
def test_the_spectrum_is_that_of_the_singular_values(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "BLOCK", block)
    x = Activation(torch.cat([draw(40, 6), torch.ones(40, 1, dtype=torch.float64), draw(40, 6)], 1) + 5)
    values = torch.linalg.svdvals(x.centred)
    assert len(x.spectrum.values) == 6 < 13  # the constant and the doubled features have no axes of their own
    assert x.spectrum.values.sqrt().tolist() == pytest.approx(values[:6].tolist())
    assert x.spectrum.leading_axes(0.5).values.sum() >= 0.5 * x.spectrum.values.sum()
    assert x.spectrum.leading_axes(0.5).values[:-1].sum() < 0.5 * x.spectrum.values.sum()


def test_wide_activations_are_reduced_to_coordinates_with_the_same_products() -> None:
    x = Activation(draw(20, 70) + 1)
    reduced = x.reduced
    assert reduced.features.shape == (20, 19)  # one is lost to the mean
    assert torch.allclose(reduced.features @ reduced.features.T, x.centred @ x.centred.T)
    own = Activation(reduced.features).spectrum
    assert torch.allclose(reduced.spectrum.values, own.values)
    assert Activation(draw(20, 20)).reduced.features.shape == (20, 20)


def test_a_nearly_constant_activation_is_not_still() -> None:
    assert Activation(torch.full((10, 3), 0.1)).is_constant
    assert not Activation(torch.full((10, 3), 0.1) + 1e-3 * draw(10, 3).float()).is_constant


def test_what_is_derived_is_counted_and_forgotten() -> None:
    x = Activation(draw(30, 5, 2, 2))
    own = 30 * 20 * 8
    assert x.bytes == own
    _ = x.pixels.spectrum, x.reduced
    x.get_or_compute("key", lambda: draw(7))
    centred = own + 5 * 8  # of the pixels: a centred copy and its mean
    spectrum = (5 + 25) * 8
    assert x.bytes >= own + centred + spectrum + 7 * 8
    x.forget()
    assert x.bytes == own
    assert x.get_or_compute("key", lambda: 3) == 3


def test_pixels_meet_pixels_in_every_order() -> None:
    x, y = draw(12, 3, 2, 2), draw(12, 4, 2, 2, seed=1)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    pair = Pair(Activation(x), Activation(y), order).view_maps("pixels")
    shuffled = y[order].permute(0, 2, 3, 1).reshape(-1, 4)
    assert torch.equal(pair.permute_top(pair.b.features), shuffled)
    with pytest.raises(ValueError, match="4 places of A against 1 of B"):
        Pair(Activation(x), Activation(y[:, :, 0, 0])).view_maps("pixels")


def test_some_of_the_images_are_permuted_among_themselves() -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    pair = Pair(Activation(draw(5, 2)), Activation(draw(5, 2)), order)
    whole, some = pair.order_of(torch.arange(5)), pair.order_of(torch.tensor([0, 2, 3]))
    assert whole is not None
    assert some is not None
    assert whole.tolist() == order.tolist()
    assert some.tolist() == [1, 2, 0]  # 3, 4, 1 by rank


@pytest.mark.parametrize("name", ["rbf_cka", "linear_cka", "mutual_knn", "affine_r2"])
def test_blocks_do_not_matter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "rbf_cka": {"bandwidth": 0.5},
        "mutual_knn": {"k": 5, "distance": "euclidean"},
        "affine_r2": {"maps": "flat"},
    }
    given = options.get(name, {})
    x, y = draw(40, 60), draw(40, 30, seed=1)
    whole = similarity(Pair(Activation(x), Activation(y)), name, given)
    monkeypatch.setattr(activation, "BLOCK", 130)
    assert similarity(Pair(Activation(x), Activation(y)), name, given) == pytest.approx(whole, abs=1e-9)


def test_a_permutation_decomposes_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The axes, the kernel's width, ranks and neighbours of both activations serve every order of B's images."""
    a, b = Activation(draw(50, 6)), Activation(draw(50, 8, seed=1))
    asked = {
        "affine_r2": {"maps": "flat"},
        "rsa": {"dissimilarity": "correlation", "compared": "spearman", "images": 40, "seed": 0},
        "mutual_knn": {"k": 5, "distance": "cosine"},
        "rbf_cka": {"bandwidth": 0.5},
        "linear_predictivity": {"ridge": 1e-3, "seed": 0},
    }
    for name, options in asked.items():
        similarity(Pair(a, b), name, options)

    def refused(*_: object) -> None:
        raise AssertionError("computed anew")

    monkeypatch.setattr(torch.linalg, "eigh", refused)
    monkeypatch.setattr(torch.linalg, "cholesky", refused)
    monkeypatch.setattr(torch.Tensor, "topk", refused)
    monkeypatch.setattr("sweeper.trials.similarity.measures.rsa.rankdata", refused)
    monkeypatch.setattr(torch.Tensor, "quantile", refused)
    for draws in range(3):
        order = torch.randperm(50, generator=torch.Generator().manual_seed(draws))
        for name, options in asked.items():
            assert similarity(Pair(a, b, order), name, options) < 1


def test_too_few_images_are_refused() -> None:
    def refused(n: int, name: str, **options: bool | float | str) -> str:
        with pytest.raises(ValueError) as error:
            similarity(Pair(Activation(draw(n, 2)), Activation(draw(n, 2, seed=1))), name, options)
        return str(error.value)

    assert "4 images" in refused(3, "rbf_cka", bandwidth=1, debiased=True)
    assert "batch of 8" in refused(7, "minibatch_cka", batch=8, seed=0)
    assert "3 images" in refused(2, "rsa", dissimilarity="euclidean", compared="pearson", images=9, seed=0)
    assert "5 neighbours" in refused(5, "mutual_knn", k=5, distance="cosine")
    assert "4 images" in refused(3, "linear_predictivity", ridge=1, seed=0)
    alike = Activation(torch.cat([torch.zeros(9, 2), torch.ones(1, 2)]))
    with pytest.raises(ValueError, match="no width"):
        cka.rbf_cka(Pair(alike, alike), bandwidth=1)


def test_outputs_that_never_differ() -> None:
    same, other = torch.tensor([[1.0, 0.0]] * 4), torch.tensor([[0.0, 1.0]] * 4)
    pairs = [Pair(Activation(same), Activation(z)) for z in (same, other)]
    assert [similarity(pair, "output_agreement", {}) for pair in pairs] == [1, 0]
    assert [similarity(pair, "output_kappa", {}) for pair in pairs] == [0, 0]
