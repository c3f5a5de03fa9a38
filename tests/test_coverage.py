"""Tests of the documented errors of intervals: every case is on the page, and a smaller simulation agrees."""

import importlib.util
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sweeper.store.statistics.interval import model_interval

ROOT = Path(__file__).parent.parent
_LINE = re.compile(r"\| (?P<name>[^|]+) \| (?P<seeds>[^|]+) \| (?P<covered>[\d.]+) % \| (?P<word>[^|%]*) \|[^|]*\|")
_FAMILY_LINE = re.compile(r"\| (?P<name>[^|]+) \|(?P<shares>(?: [\d.]+ % \|){3}) (?P<word>[^|%]*) \| [\d.]+ % \|")

_spec = importlib.util.spec_from_file_location("coverage_page", ROOT / "docs" / "coverage.py")
assert _spec
assert _spec.loader
coverage = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(coverage)
designs = sys.modules["coverage_designs"]  # the page's script imports it

SMALL_DESIGNS = [(2, 5), (2, 10), (3, 10), (5, 10), (2, 2), (3, 3), (5, 5), (10, 10)]


def lines_by_heading() -> Mapping[str, list[str]]:
    """Return the lines of the page by their heading."""
    lines: dict[str, list[str]] = {}
    for line in coverage.PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("| "):
            lines.setdefault(heading, []).append(line)
    return lines


def documented() -> dict[tuple[str, str, str], tuple[float, str]]:
    """Return the documented (share of intervals that cover, verdict) by (heading, case, seeds)."""
    return {
        (heading, match["name"], match["seeds"]): (float(match["covered"]) / 100, match["word"].strip())
        for heading in coverage.sections()
        for line in lines_by_heading()[heading]
        if (match := _LINE.fullmatch(line))
    }


def documented_families(heading: str) -> dict[str, tuple[list[float], str]]:
    """Return the documented (shares with an error, mark) of each design of a heading."""
    return {
        match["name"]: ([float(x) / 100 for x in re.findall(r"[\d.]+", match["shares"])], match["word"].strip())
        for line in lines_by_heading()[heading]
        if (match := _FAMILY_LINE.fullmatch(line))
    }


def test_the_page_has_every_case_and_marks_those_with_low_coverage():
    page = documented()
    cases = [(heading, case) for heading, section in coverage.sections().items() for case in section]
    assert list(page) == [(heading, case.name, case.seeds) for heading, case in cases]
    assert all((covered < coverage.BAD) == (word == "**bad**") for covered, word in page.values())


@pytest.mark.parametrize("heading", coverage.families())
def test_no_documented_family_has_more_errors_than_stated(heading: str):
    page = documented_families(heading)
    assert list(page) == list(coverage.families()[heading])
    for name, (shares, mark) in page.items():
        assert max(shares) <= coverage.MOST, name
        assert mark == ""


def test_the_readme_states_the_largest_documented_error():
    shares = [share for heading in coverage.families() for s, _ in documented_families(heading).values() for share in s]
    (stated,) = re.findall(r"miss a value in at most ([\d.]+) %", " ".join((ROOT / "README.md").read_text().split()))
    assert float(stated) == pytest.approx(100 * max(shares))


@pytest.mark.parametrize("seeds", SMALL_DESIGNS, ids=str)
@pytest.mark.parametrize("variances", [(1.0, 1.0), (4.0, 1.0), (1.0, 4.0)], ids=str)
def test_families_of_verdicts_have_at_most_the_stated_error(seeds: tuple[int, int], variances: tuple[float, float]):
    """A smaller simulation than that of the page; the nominal error is 5 %, and three standard errors are 1 point."""
    measured = coverage.errors(coverage.Design(*seeds, *variances, 0.0), draws=3000)
    assert max(measured.single, measured.means, measured.cuts) <= coverage.MOST


@pytest.mark.parametrize("seeds", [(2, 5), (2, 10), (3, 10)], ids=str)
def test_satterthwaites_degrees_of_freedom_would_have_more_errors(seeds: tuple[int, int]):
    measured = coverage.errors(coverage.Design(*seeds, 4.0, 1.0, 0.0), draws=3000)
    assert measured.satterthwaite > 1.5 * coverage.MOST


@pytest.mark.parametrize("design", [(3, 5, None, True), (4, 4, 0.5, True), (4, 4, -0.3, False)], ids=str)
def test_a_simulated_interval_is_that_of_the_tables(design: tuple[int, int, float | None, bool]):
    n, m, roles, diagonal = design
    population = coverage.Design(n, m, 2.0, 1.0, 0.5, roles, diagonal)
    tables = population.draw(np.random.default_rng(0), (3,))
    estimates = designs.estimate(population, tables)
    cells = [(i, j) for i, j in np.ndindex(n, m) if diagonal or i != j]
    for number, table in enumerate(tables):
        expected = model_interval(
            [f"seed {i}" for i, _ in cells],
            [f"seed {j + (roles is None) * 100}" for _, j in cells],
            [float(table[cell]) for cell in cells],
        )
        assert float(estimates.mean[number]) == pytest.approx(expected.mean)
        half = designs.half_width(estimates.variances[:, number], estimates.degrees, 0.95)
        assert float(half) == pytest.approx(expected.hi - expected.mean)


def documented_looks() -> dict[str, list[float]]:
    """Return the documented shares with an error at ten looks: at the levels of looks, at 95 %, and at the first."""
    lines = lines_by_heading()[f"{coverage.LOOKS} looks while seeds are added"][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: [float(cell.removesuffix(" %")) / 100 for cell in shares[:3]] for name, *shares in cells}


def test_ten_documented_looks_have_at_most_the_error_of_one():
    page = documented_looks()
    assert list(page) == list(coverage.look_designs())
    assert all(corrected <= coverage.NOMINAL < 2 * coverage.NOMINAL < each for corrected, each, _ in page.values())


@pytest.mark.parametrize("design", [(3, 3, 1.0, 1.0), (5, 5, 4.0, 1.0), (5, 5, 1.0, 0.0), (3, 10, 4.0, 1.0)], ids=str)
def test_ten_looks_have_at_most_the_stated_error(design: tuple[int, int, float, float]):
    """A smaller simulation than that of the page; with all variance on one side the error is largest."""
    measured = designs.look_errors(coverage.Design(*design, 0.0), draws=3000, more=2)
    assert measured.first <= measured.corrected <= coverage.NOMINAL
    assert measured.uncorrected > 2 * coverage.NOMINAL


@pytest.mark.slow
@pytest.mark.parametrize("name", coverage.look_designs())
def test_the_documented_errors_of_looks_hold(name: str):
    draws = coverage.DRAWS_OF_LOOKS // 4
    design, more = coverage.look_designs()[name]
    for share, actual in zip(
        documented_looks()[name], designs.look_errors(design, draws, coverage.LOOKS, more, seed=1), strict=True
    ):
        assert abs(actual - share) <= 4 * math.sqrt(max(share * (1 - share), 0.005) / draws) + 0.0005


@pytest.mark.slow
@pytest.mark.parametrize("heading", coverage.families())
def test_the_documented_errors_of_families_hold(heading: str):
    """Repeat a quarter of the draws with other seeds, and compare with a tolerance of four standard errors."""
    draws = coverage.DRAWS_OF_FAMILIES // 4
    for name, design in coverage.families()[heading].items():
        expected, _ = documented_families(heading)[name]
        for share, actual in zip(expected, coverage.errors(design, draws, seed=1), strict=False):
            assert abs(actual - share) <= 4 * math.sqrt(max(share * (1 - share), 0.005) / draws) + 0.0005, name


@pytest.mark.slow
@pytest.mark.parametrize("heading", coverage.sections())
def test_the_documented_coverage_holds(heading: str):
    """Repeat a quarter of the draws, and compare with a tolerance of three standard errors."""
    page = documented()
    draws = coverage.DRAWS // 4
    for case in coverage.sections()[heading]:
        expected, _ = page[heading, case.name, case.seeds]
        actual = coverage.measure(case, draws).covered
        assert abs(actual - expected) <= 3 * math.sqrt(max(expected * (1 - expected), 0.01) / draws), case.name
