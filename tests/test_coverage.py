"""Tests of the documented coverage of intervals: every case is on the page, and a smaller simulation agrees."""

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
    """Return the documented (share of intervals that cover, verdict) by (heading, case, seeds)."""
    coverage_by_case, heading = {}, ""
    for line in coverage.PAGE.read_text(encoding="utf-8").splitlines():
        heading = line.removeprefix("## ") if line.startswith("## ") else heading
        if match := _LINE.fullmatch(line):
            coverage_by_case[heading, match["name"], match["seeds"]] = (
                float(match["covered"]) / 100,
                match["word"].strip(),
            )
    return coverage_by_case


def cases() -> list[tuple[str, object]]:
    """Return (heading, case) of every case that is simulated."""
    return [(heading, case) for heading, section in coverage.sections().items() for case in section]


def test_the_page_has_every_case_and_marks_those_with_low_coverage():
    page = documented()
    assert list(page) == [(heading, case.name, case.seeds) for heading, case in cases()]
    assert all((covered < coverage.BAD) == (word == "**bad**") for covered, word in page.values())


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
