"""The page in a real browser: no error, no request, charts and rows on demand, and nothing that a name injects."""

import csv
import importlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.planted_store import Planted

from sweeper.report import page
from sweeper.report.format import table_as_csv
from sweeper.report.tables import tables

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs /usr/bin/chromium"),
]
A4_LANDSCAPE = 1032  # pixels between margins of 12 mm
HOSTILE = ("</script><script>alert(1)</script>", "=cmd()", 'say "no", then\nleave', "<!-- <script>", "@SUM(1)", "a,b")


@contextmanager
def opened_page(path: Path, **options) -> Iterator:
    """Open a page in Chromium, and check at the end that it made no request and printed nothing on the console."""
    sync_api = pytest.importorskip("playwright.sync_api")
    requests, messages = [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page(**options)
        tab.set_default_timeout(120_000)
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("console", lambda message: messages.append(message.text))
        tab.on("pageerror", lambda error: messages.append(str(error)))
        tab.on("dialog", lambda dialog: messages.append(dialog.message))
        tab.goto(path.as_uri())
        yield tab
        assert requests == [path.as_uri()]
        assert messages == []
        browser.close()


def saved_csv(tab, name: str) -> str:
    """Return the text that the page saves when a reader asks for the rows of a table."""
    with tab.expect_download() as download:
        tab.locator(f"#{name} button.csv").click()
    assert download.value.suggested_filename == f"{name}.csv"
    return Path(download.value.path()).read_bytes().decode()


def parsed(text: str) -> list[list[object]]:
    """Return the cells of a CSV, with numbers as numbers: JavaScript writes 1200 for Python's 1200.0."""
    return [[number(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]


def number(cell: str) -> object:
    return float(cell) if re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", cell) else cell


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light")], ids=["desktop", "dark", "phone"]
)
def test_a_browser_shows_the_page_without_errors(page_path, width, scheme):
    with opened_page(page_path, viewport={"width": width, "height": 900}, color_scheme=scheme) as tab:
        assert tab.locator("#answers .verdict").first.inner_text() == "better"
        assert tab.locator("#more_data table").first.is_visible()
        for name in ("zoo", "more_data"):
            tab.locator(f"#{name}").scroll_into_view_if_needed()
            tab.locator(f"#{name} figure.drawn .live svg").first.wait_for()
            assert not tab.locator(f"#{name} .still svg").first.is_visible()
        assert tab.locator("#more_data tr.headline .verdict").first.inner_text() == "better"
        assert tab.evaluate("document.documentElement.scrollWidth") <= width  # wide tables scroll by themselves
        assert _contrast(tab) >= 7


def test_nothing_is_cut_off_on_paper(page_path, tmp_path):
    with opened_page(page_path, viewport={"width": 1280, "height": 900}, color_scheme="dark") as tab:
        tab.locator("#more_data").scroll_into_view_if_needed()
        tab.locator("#more_data figure.drawn").first.wait_for()
        tab.emulate_media(media="print")
        tab.set_viewport_size({"width": A4_LANDSCAPE, "height": 700})
        assert tab.evaluate("document.documentElement.scrollWidth") <= A4_LANDSCAPE
        boxes = tab.evaluate("[...document.querySelectorAll('.wide')].map((box) => [box.scrollWidth, box.clientWidth])")
        assert len(boxes) >= 9
        assert all(content <= place for content, place in boxes)
        assert tab.locator("#more_data .still svg").first.is_visible()
        assert not tab.locator("#more_data .live svg").first.is_visible()
        assert not tab.locator("button.csv").first.is_visible()
        background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(253, 253, 251)"  # paper is light, whatever the screen is


def test_no_chart_is_cut_off_on_a_phone(page_path):
    with opened_page(page_path, viewport={"width": 400, "height": 900}) as tab:
        for name in ("zoo", "more_data"):
            tab.locator(f"#{name}").scroll_into_view_if_needed()
            tab.locator(f"#{name} figure.drawn").first.wait_for()
            marks = f"[...document.querySelectorAll('#{name} .live svg *')].map((mark) => mark.getBoundingClientRect())"
            assert tab.evaluate(f"Math.max(...{marks}.map((place) => place.right))") <= 400
            assert tab.evaluate(f"Math.min(...{marks}.map((place) => place.left))") >= 0


def test_a_switch_changes_the_quantity_of_a_chart(page_path):
    with opened_page(page_path, viewport={"width": 1280, "height": 900}) as tab:
        tab.locator("#more_data").scroll_into_view_if_needed()
        chart = tab.locator("#more_data figure.drawn").first
        chart.wait_for()
        assert "net gain (points" in chart.locator(".live svg").text_content()
        chart.locator("select").first.select_option("gain")
        chart.locator(".live svg text", has_text=re.compile(r"^gain \(points")).wait_for()


def test_an_answer_leads_to_its_section(page_path):
    with opened_page(page_path, viewport={"width": 1280, "height": 900}) as tab:
        heading = tab.locator("#more_training h2")
        assert heading.bounding_box()["y"] > 900
        tab.locator("#answers h3 a", has_text=heading.inner_text()).click()
        importlib.import_module("playwright.sync_api").expect(heading).to_be_in_viewport(timeout=60_000)


def test_the_sql_is_shown_on_request(page_path, demo_tables):
    with opened_page(page_path) as tab:
        sql = tab.locator("#more_data details pre")
        assert not sql.is_visible()
        tab.locator("#more_data summary").click()
        assert sql.is_visible()
        assert sql.text_content() == demo_tables["more_data"].question.sql


def test_the_saved_rows_are_those_of_the_csv_format(page_path, filled_tables):
    with opened_page(page_path) as tab:
        for name, table in filled_tables.items():
            assert parsed(saved_csv(tab, name)) == parsed(table_as_csv(table))


def test_names_from_a_store_inject_nothing(planted: Planted, tmp_path: Path):
    for name in HOSTILE:
        weak, strong = planted.models(2, dataset=name, arch=name), planted.models(2, dataset=name, samples=1200)
        planted.stitches(strong, weak, lambda depth: 1.0, stitcher=name)
    planted.run(job=HOSTILE[0])
    store = planted.commit()
    with opened_page(page.write_page(store, tables(store), tmp_path / "report.html")) as tab:
        rows = list(csv.reader(io.StringIO(saved_csv(tab, "zoo"), newline="")))
        archs = {row[rows[0].index("arch")] for row in rows[1:]}
    assert archs >= {"'=cmd()", "'@SUM(1)", *(name for name in HOSTILE if name[0] not in "=@")}


def _contrast(tab) -> float:
    """Return the contrast of text and background: WCAG 2 requires 4.5 (level AA) or 7 (AAA)."""
    style = "getComputedStyle(document.body)"
    luminances = []
    for name in ("color", "backgroundColor"):
        channels = [int(c) / 255 for c in re.findall(r"\d+", tab.evaluate(f"{style}.{name}"))[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminances.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)
