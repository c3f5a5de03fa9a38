"""What shapes say of a cut."""

import pytest

from sweeper.spec.cards.shapes import channels, places, show, sites


@pytest.mark.parametrize(
    ("shape", "mixed", "at", "stand", "text"),
    [((64,), 64, 1, (), "64"), ((65, 192), 192, 65, (65,), "65x192"), ((16, 8, 4), 16, 32, (8, 4), "16x8x4")],
)
def test_shapes(shape, mixed, at, stand, text):
    assert (channels(shape), places(shape), sites(shape), show(shape)) == (mixed, at, stand, text)
