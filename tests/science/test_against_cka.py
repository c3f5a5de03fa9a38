"""The paper's four arguments against CKA (Bansal et al. 2021), on planted networks, and the page that tells of them."""

import importlib.util
from functools import cache
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("cka_page", Path(__file__).parents[2] / "docs" / "cka.py")
assert _spec
assert _spec.loader
cka = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cka)

SIMILARITY, POINTS = 0.02, 3.0  # how far the page's numbers may be from those made again


@cache
def made(name: str) -> dict[str, dict[str, float]]:
    """A table's numbers, made again: by row, then by column."""
    return {line.name: dict(line.numbers) for line in cka.TABLES[name]()}


def documented(name: str) -> dict[str, dict[str, float]]:
    _, _, after = cka.PAGE.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n\n")
    head, _, *lines = ([cell.strip() for cell in line.split("|")[1:-1]] for line in after.split("\n\n")[0].splitlines())
    return {line[0]: dict(zip(head[1:], map(float, line[1:]), strict=True)) for line in lines}


def test_spurious_coordinates_lower_cka_and_do_not_move_the_stitch() -> None:
    lines = list(made("spurious").values())
    for column in ("linear CKA", "debiased"):
        values = [line[column] for line in lines]
        assert values == sorted(values, reverse=True)
        assert values[0] == pytest.approx(1, abs=1e-5)
        assert values[-1] < 0.3
    assert all(abs(line["penalty"]) <= 1 for line in lines)


def test_shuffled_pixels_leave_cka_at_one_and_ruin_the_stitch() -> None:
    _, *shuffled = made("shuffled").values()
    for line in shuffled:
        assert line["linear CKA"] == pytest.approx(1, abs=1e-5)
        assert line["penalty, solved"] > 50
        assert line["penalty"] > 20


def test_cka_is_symmetric_and_stitching_says_which_is_better() -> None:
    down, up = made("symmetry").values()
    assert down["linear CKA"] == pytest.approx(up["linear CKA"], abs=1e-6)
    assert down["net gain"] > 3
    assert up["net gain"] < 0


def test_cka_ranks_a_copy_that_lost_much_above_one_that_lost_nothing() -> None:
    lines = made("units")
    whole, poor = lines["one channel 100 times as loud"], lines["1 of 16 directions"]
    assert whole["linear CKA"] < poor["linear CKA"]
    assert abs(whole["penalty, solved"]) <= 0.5
    assert abs(whole["penalty"]) <= 1
    assert poor["penalty, solved"] > 50
    assert poor["penalty"] > 20


@pytest.mark.parametrize("name", cka.TABLES)
def test_the_numbers_of_the_page_hold(name: str) -> None:
    page, again = documented(name), made(name)
    assert list(page) == list(again)
    for line, numbers in again.items():
        assert list(page[line]) == list(numbers)
        for column, number in numbers.items():
            within = SIMILARITY if cka.is_similarity(column) else POINTS
            assert page[line][column] == pytest.approx(number, abs=within), (line, column)


def test_the_page_states_the_tolerance() -> None:
    words = " ".join(cka.PAGE.read_text(encoding="utf-8").split())
    assert f"similarities within {SIMILARITY:g}, points of error within {POINTS:g}" in words


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_the_page_says_of_stitchers_that_have_converged() -> None:
    plants, b = cka.plants, cka.STRONG
    told = {plants.shuffled(b, 1): 15.3, plants.shuffled(b, 2): 11.8, plants.principal(b, 1): 30.4}
    for copy, points in told.items():
        asked = cka.stitch(copy, b, plants.CUT, steps=3000)
        row = plants.receipts(asked)[asked.id]
        assert row.converged
        assert row.penalty == pytest.approx(points, abs=POINTS)
