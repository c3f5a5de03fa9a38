"""Tests of linear probes and of cuts at which stitches are the same network."""

from dataclasses import replace

import pytest

from sweeper.spec.cards.archs import network
from sweeper.spec.cards.card import Cut, StitcherCard
from sweeper.spec.cards.options import complete
from sweeper.spec.cards.probes import find_same_cut, is_linear_probe
from sweeper.spec.cards.stitchers import STITCHERS

CUTS = {cut.name: cut for cut in network("resnet18k", {"width": 4}, (3, 32, 32), 10).cuts}


def settings(name: str, **given: bool | int) -> tuple[StitcherCard, tuple]:
    return STITCHERS[name], complete(STITCHERS[name].options, given, name)


@pytest.mark.parametrize("name", ["conv1x1", "linear", "affine", "orthogonal", "permutation", "identity", "adapter"])
def test_an_affine_stitcher_below_an_affine_top_is_a_linear_probe(name: str) -> None:
    assert is_linear_probe(*settings(name), CUTS["block8"]) is True
    assert is_linear_probe(*settings(name), CUTS["block7"]) is False


def test_convolutions_are_a_linear_probe_unless_a_relu_lies_between_them() -> None:
    assert is_linear_probe(*settings("conv", kernel=3), CUTS["block8"])
    assert not is_linear_probe(*settings("conv", depth=2), CUTS["block8"])
    assert not is_linear_probe(*settings("relative"), CUTS["pool"])


def test_a_probe_of_the_output_is_a_linear_probe() -> None:
    assert is_linear_probe(*settings("probe"), network("mlp", {}, (1, 8, 8), 10).output(10))


def test_a_card_of_an_older_version_says_nothing() -> None:
    assert is_linear_probe(*settings("conv1x1"), replace(CUTS["pool"], affine_top=None)) is None


def test_a_stitcher_of_each_place_is_the_same_before_and_after_the_mean() -> None:
    pool: Cut = CUTS["pool"]
    assert find_same_cut(*settings("conv1x1"), pool, pool) == "block8"
    assert find_same_cut(*settings("conv", kernel=1), pool, pool) == "block8"
    assert find_same_cut(*settings("conv1x1"), CUTS["block8"], CUTS["block8"]) is None


def test_other_stitchers_and_pairs_of_cuts_are_not_the_same() -> None:
    pool = CUTS["pool"]
    assert find_same_cut(*settings("conv", kernel=1, depth=2), pool, pool) is None
    assert find_same_cut(*settings("relative"), pool, pool) is None
    assert find_same_cut(*settings("adapter"), pool, pool) is None
    assert find_same_cut(*settings("conv1x1"), CUTS["block8"], pool) is None
