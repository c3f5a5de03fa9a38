"""What shapes say of a cut."""

import pytest

from sweeper.spec.cards.shapes import channels, places, show


@pytest.mark.parametrize(
    ("shape", "mixed", "at", "text"),
    [((64,), 64, 1, "64"), ((65, 192), 192, 65, "65x192"), ((16, 8, 4), 16, 32, "16x8x4")],
)
def test_shapes(shape, mixed, at, text):
    assert (channels(shape), places(shape), show(shape)) == (mixed, at, text)
