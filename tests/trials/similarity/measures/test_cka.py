"""Tests of linear CKA against its definition and known values."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.trials.similarity.measures import activation, cka
from sweeper.trials.similarity.measures.activation import Activation
from sweeper.trials.similarity.measures.evaluate import similarity
from sweeper.trials.similarity.measures.pair import Pair


def linear_cka(x: torch.Tensor, y: torch.Tensor, *, debiased: bool = False) -> float:
    """Return linear CKA of two tensors."""
    return cka.linear_cka(Pair(Activation(x), Activation(y)), debiased=debiased)


def draw(*shape: int, seed: int) -> torch.Tensor:
    """Return normally distributed values of a shape, float32."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cka_from_kernels(x: torch.Tensor, y: torch.Tensor, debiased: bool) -> float:
    """Return CKA from whole kernel matrices (Kornblith et al. 2019, section 3; Song et al. 2012, equation 5)."""
    k, l = x.double() @ x.double().T, y.double() @ y.double().T  # noqa: E741
    n, ones = len(k), torch.ones(len(k), dtype=torch.float64)
    if not debiased:
        centre = torch.eye(n, dtype=torch.float64) - 1 / n

        def hsic(k: torch.Tensor, l: torch.Tensor) -> torch.Tensor:  # noqa: E741
            return torch.trace(k @ centre @ l @ centre)
    else:
        k, l = k - k.diagonal().diag(), l - l.diagonal().diag()  # noqa: E741

        def hsic(k: torch.Tensor, l: torch.Tensor) -> torch.Tensor:  # noqa: E741
            sums = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
            return torch.trace(k @ l) + sums - 2 / (n - 2) * (ones @ k @ l @ ones)

    return float(hsic(k, l) / (hsic(k, k) * hsic(l, l)).sqrt())


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize(("n", "p", "q"), [(40, 5, 3), (12, 60, 50), (30, 2, 200)])
def test_cka_from_features_and_from_kernels_equals_its_definition(n: int, p: int, q: int, debiased: bool) -> None:
    x, y = draw(n, p, seed=1) + 3, draw(n, q, seed=2)
    y[:, :2] += x[:, :2]
    assert linear_cka(x, y, debiased=debiased) == pytest.approx(cka_from_kernels(x, y, debiased), abs=1e-6)


@pytest.mark.parametrize("debiased", [False, True])
def test_the_value_does_not_depend_on_the_size_of_blocks(debiased: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(draw(50, 7, seed=1), draw(50, 9, seed=2)), (draw(20, 70, seed=3), draw(20, 90, seed=4))]
    values = [linear_cka(x, y, debiased=debiased) for x, y in pairs]
    monkeypatch.setattr(activation, "BLOCK", 100)
    assert [linear_cka(x, y, debiased=debiased) for x, y in pairs] == pytest.approx(values, abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1), st.booleans(), st.floats(0.01, 100))
def test_cka_is_invariant_to_rotation_scale_and_shift(seed: int, debiased: bool, scale: float) -> None:
    x = draw(60, 8, seed=seed)
    rotation = torch.linalg.qr(draw(8, 8, seed=seed + 1)).Q
    assert linear_cka(x, x @ rotation * scale + 5, debiased=debiased) == pytest.approx(1, abs=1e-4)


def test_the_debiased_cka_of_unrelated_activations_is_0() -> None:
    x, y = draw(500, 400, seed=1), draw(500, 400, seed=2)
    assert linear_cka(x, y, debiased=True) == pytest.approx(0, abs=0.02)
    assert linear_cka(x, y) > 0.3  # the bias that the debiased form removes


def test_the_cka_of_a_map_is_that_of_the_flattened_map() -> None:
    x = draw(30, 2, 3, 3, seed=1)
    assert linear_cka(x, x.flatten(1)) == pytest.approx(1)


def test_the_cka_of_a_constant_activation_is_0() -> None:
    pair = Pair(Activation(torch.ones(10, 3)), Activation(draw(10, 3, seed=1)))
    assert similarity(pair, "linear_cka", {}) == linear_cka(torch.ones(10, 3), draw(10, 3, seed=1)) == 0.0


def test_activations_of_different_or_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match="images"):
        linear_cka(draw(10, 3, seed=1), draw(9, 3, seed=1))
    with pytest.raises(ValueError, match="4 images"):
        linear_cka(draw(3, 3, seed=1), draw(3, 3, seed=1), debiased=True)
