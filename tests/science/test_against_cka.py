"""The paper's four arguments against CKA (Bansal et al. 2021), on planted networks, and the numbers of docs/cka.md."""

import importlib.util
from functools import cache
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("cka_page", Path(__file__).parents[2] / "docs" / "cka.py")
assert _spec
assert _spec.loader
cka = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cka)

SIMILARITY, POINTS = 0.02, 3.0  # tolerances of the page's numbers


@cache
def computed_table(name: str) -> dict[str, dict[str, float]]:
    """Return the numbers of a table, computed anew, by row and column."""
    return {line.name: dict(line.numbers) for line in cka.TABLES[name]()}


def documented_table(name: str) -> dict[str, dict[str, float]]:
    """Return the numbers of a table of docs/cka.md, by row and column."""
    _, _, after = cka.PAGE.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n\n")
    head, _, *lines = ([cell.strip() for cell in line.split("|")[1:-1]] for line in after.split("\n\n")[0].splitlines())
    return {line[0]: dict(zip(head[1:], map(float, line[1:]), strict=True)) for line in lines}


def test_channels_of_noise_lower_cka_and_leave_the_penalty_near_0() -> None:
    lines = list(computed_table("spurious").values())
    for column in ("linear CKA", "debiased"):
        values = [line[column] for line in lines]
        assert values == sorted(values, reverse=True)
        assert values[0] == pytest.approx(1, abs=1e-5)
        assert values[-1] < 0.3
    assert all(abs(line["penalty"]) <= 1 for line in lines)


def test_shuffled_places_leave_cka_at_1_and_give_a_large_penalty() -> None:
    _, *shuffled_lines = computed_table("shuffled").values()
    for line in shuffled_lines:
        assert line["linear CKA"] == pytest.approx(1, abs=1e-5)
        assert line["penalty, solved"] > 50
        assert line["penalty"] > 8


def test_cka_is_symmetric_and_net_gain_is_positive_only_for_the_stronger_bottom() -> None:
    from_strong, from_weak = computed_table("symmetry").values()
    assert from_strong["linear CKA"] == pytest.approx(from_weak["linear CKA"], abs=1e-6)
    assert from_strong["net gain"] > 3
    assert from_weak["net gain"] < 0


def test_cka_is_higher_for_a_copy_with_one_direction_than_for_one_with_an_amplified_channel() -> None:
    lines = computed_table("units")
    amplified_copy, poor_copy = lines["one channel of 100 times the amplitude"], lines["1 of 16 directions"]
    assert amplified_copy["linear CKA"] < poor_copy["linear CKA"]
    assert abs(amplified_copy["penalty, solved"]) <= 0.5
    assert abs(amplified_copy["penalty"]) <= 1
    assert poor_copy["penalty, solved"] > 50
    assert poor_copy["penalty"] > 20


@pytest.mark.parametrize("name", cka.TABLES)
def test_the_numbers_of_the_page_are_reproduced(name: str) -> None:
    documented, computed = documented_table(name), computed_table(name)
    assert list(documented) == list(computed)
    for line, numbers in computed.items():
        assert list(documented[line]) == list(numbers)
        for column, number in numbers.items():
            tolerance = SIMILARITY if cka.is_similarity(column) else POINTS
            assert documented[line][column] == pytest.approx(number, abs=tolerance), (line, column)


def test_the_page_states_the_tolerance() -> None:
    words = " ".join(cka.PAGE.read_text(encoding="utf-8").split())
    assert f"similarities within {SIMILARITY:g}, points of error within {POINTS:g}" in words


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_stitchers_that_have_converged_still_lose_what_the_page_says() -> None:
    plants, b = cka.plants, cka.STRONG
    least_penalty = {plants.shuffled(b, 1): 12 - POINTS, plants.shuffled(b, 2): 12 - POINTS, plants.principal(b, 1): 30}
    for copy, points in least_penalty.items():
        task = cka.stitch(copy, b, plants.CUT, steps=3000)
        row = plants.receipts(task)[task.id]
        assert row.converged
        assert row.penalty >= points
