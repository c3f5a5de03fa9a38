"""A catalog holds the cards that a job is planned with, and nothing is added to it afterwards."""

import pytest

from sweeper.errors import NetworkError, SweeperError
from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.cards.card import NetworkLayout
from sweeper.spec.cards.catalog import Catalog
from sweeper.spec.cards.probed import Probed
from sweeper.spec.cards.stitchers import STITCHERS

SHAPE = (3, 32, 32)
NAME = "torchvision:resnet18"


def test_an_empty_catalog_has_the_built_in_cards() -> None:
    catalog = Catalog()
    assert all(catalog.has_network(arch, SHAPE, 10) for arch in ARCHS)
    assert all(catalog.stitcher(name) is card for name, card in STITCHERS.items())


def test_an_unknown_stitcher_is_refused_by_name() -> None:
    with pytest.raises(SweeperError, match="no stitcher 'conv2x2'"):
        Catalog().stitcher("conv2x2")


def test_the_card_of_an_external_network_is_found_by_its_shape_and_outputs() -> None:
    layout = NetworkLayout(cuts=(), flops=1.0, parameters=1)
    empty = Catalog()
    catalog = empty.with_networks([Probed(NAME, SHAPE, 10, layout)])
    assert catalog.network(NAME, {}, SHAPE, 10) is layout
    assert not catalog.has_network(NAME, SHAPE, 100)
    assert not empty.has_network(NAME, SHAPE, 10), "a catalog is a value"
    with pytest.raises(NetworkError, match=NAME):
        empty.network(NAME, {}, SHAPE, 10)
