"""The documented coverage: every case is on the page, and its numbers hold when fewer draws are made again."""

import importlib.util
import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_LINE = re.compile(r"\| (?P<name>[^|]+) \| (?P<seeds>[^|]+) \| (?P<covered>[\d.]+) % \| (?P<word>[^|]*) \|.*")

_spec = importlib.util.spec_from_file_location("coverage_page", ROOT / "docs" / "coverage.py")
assert _spec
assert _spec.loader
coverage = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(coverage)


def documented() -> dict[tuple[str, str, str], tuple[float, str]]:
    """By heading, case and seeds: the share that covered, and what is said of it."""
    found, heading = {}, ""
    for line in coverage.PAGE.read_text(encoding="utf-8").splitlines():
        heading = line.removeprefix("## ") if line.startswith("## ") else heading
        if match := _LINE.fullmatch(line):
            found[heading, match["name"], match["seeds"]] = float(match["covered"]) / 100, match["word"].strip()
    return found


def cases() -> list[tuple[str, object]]:
    return [(heading, case) for heading, found in coverage.sections().items() for case in found]


def test_the_page_has_every_case_and_names_the_bad_ones():
    page = documented()
    assert list(page) == [(heading, case.name, case.seeds) for heading, case in cases()]
    assert all((covered < coverage.BAD) == (word == "**bad**") for covered, word in page.values())


@pytest.mark.slow
@pytest.mark.parametrize("heading", coverage.sections())
def test_the_documented_coverage_holds(heading: str):
    """A fourth of the draws, the first ones of the page's own: within three standard errors of so few."""
    page = documented()
    draws = coverage.DRAWS // 4
    for case in coverage.sections()[heading]:
        told, _ = page[heading, case.name, case.seeds]
        again = coverage.measure(case, draws).covered
        assert abs(again - told) <= 3 * math.sqrt(max(told * (1 - told), 0.01) / draws), case.name
