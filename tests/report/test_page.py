"""The page: self-contained, escaped, and readable in a real browser."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import escape

from sweeper.report import page
from sweeper.report.charts import drawing
from sweeper.report.tables import tables

CHROMIUM = Path("/usr/bin/chromium")


class _Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="session")
def page_path(demo, tmp_path_factory) -> Path:
    """Return the page of the demo store."""
    return page.write_page(demo, tables(demo), tmp_path_factory.mktemp("page") / "sub" / "report.html")


def test_the_page_loads_nothing_from_outside(page_path):
    tags = _Tags(page_path.read_text(encoding="utf-8")).tags
    names = {tag for tag, _ in tags}
    assert not names & {"iframe", "object", "embed", "form", "img", "base"}
    links = [attrs[key] for _, attrs in tags for key in ("href", "src", "xlink:href") if key in attrs]
    assert all(link.startswith(("#", "data:")) for link in links)
    policy = next(attrs["content"] for tag, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-[\w+/]{43}='; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        str(policy),
    )
    assert [attrs.get("type") for tag, attrs in tags if tag == "script"].count(None) == 1
    assert not any(key.startswith("on") for _, attrs in tags for key in attrs)


def test_every_table_has_its_question_and_rule(page_path, demo_tables):
    text = page_path.read_text(encoding="utf-8")
    for table in demo_tables.values():
        assert f'id="{table.name}"' in text
        assert escape(table.question.question) in text
    assert "Intervals with a verdict hold together in 95 % (Bonferroni" in text
    assert "Intervals treat the test images as fixed" in text  # the demo has no outcomes on single images
    assert text.count('class="headline"') >= 5


def test_no_other_file_is_written(page_path):
    assert [path.name for path in page_path.parent.iterdir()] == ["report.html"]


def test_names_from_a_store_are_escaped(planted, tmp_path):
    name = "<script>alert(1)</script>"
    weak = planted.models(2, dataset=name, arch=name)
    strong = planted.models(2, dataset=name, arch=name, samples=1200)
    planted.stitches(strong, weak, lambda depth: 1.0, stitcher='"><img src=x onerror=alert(1)>')
    planted.run(job=name)
    store = planted.commit()
    text = page.write_page(store, tables(store), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;" in text
    tags = _Tags(text).tags
    assert "img" not in {tag for tag, _ in tags}
    *data, script = [attrs.get("type") for tag, attrs in tags if tag == "script"]
    assert (set(data), script) == ({"application/json"}, None)


def test_an_empty_store_has_a_page(empty, tmp_path):
    text = page.write_page(empty, tables(empty), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "0 models, 0 stitches" in text
    assert "No rows yet." in text
    assert "Read it as" not in text
    assert "No run is recorded" in text


def test_without_the_extra_the_page_has_no_charts(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "available", lambda: False)
    text = page.write_page(demo, tables(demo), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<svg" not in text
    assert "pip install &#39;sweeper-stitching[report]&#39;" in text


def test_a_table_from_the_users_folder_is_on_the_page(demo, tmp_path):
    (tmp_path / "seeds.sql").write_text(
        "-- question: How many seeds?\n-- one row per: width\n-- read it as: a count\n"
        "SELECT width, count(DISTINCT seed) AS seeds FROM models GROUP BY ALL\n"
    )
    text = page.write_page(demo, tables(demo, analysis=[tmp_path]), tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    assert "How many seeds?" in text


def test_a_failed_write_leaves_the_old_page(demo, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(page, "html", lambda *_: "\ud800")  # can't be encoded
    with pytest.raises(UnicodeEncodeError):
        page.write_page(demo, tables(demo), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs /usr/bin/chromium")
@pytest.mark.parametrize(
    ("width", "scheme"), [(1200, "light"), (1200, "dark"), (390, "light")], ids=["desktop", "dark", "phone"]
)
def test_a_browser_shows_the_page_without_errors(page_path, tmp_path, width, scheme):
    sync_api = pytest.importorskip("playwright.sync_api")
    requests, console_messages = [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("console", lambda message: console_messages.append(message.text))
        tab.on("pageerror", lambda error: console_messages.append(str(error)))
        tab.goto(page_path.as_uri())
        assert tab.locator("#more_data table").first.is_visible()
        for name in ("zoo", "more_data"):
            tab.locator(f"#{name}").scroll_into_view_if_needed()
            tab.locator(f"#{name} figure.drawn .live svg").wait_for()
            assert not tab.locator(f"#{name} .still svg").is_visible()
        assert tab.locator("#more_data tr.headline .verdict").first.inner_text() == "better"
        assert tab.evaluate("document.documentElement.scrollWidth") <= width  # wide tables scroll by themselves
        assert _contrast(tab) >= 7
        screenshot = tab.screenshot(full_page=True)
        assert requests == [page_path.as_uri()]
        assert console_messages == []
        browser.close()
    assert len(screenshot) > 50_000


def _contrast(tab) -> float:
    """Return the contrast of text and background: WCAG 2 requires 4.5 (level AA) or 7 (AAA)."""
    style = "getComputedStyle(document.body)"
    luminances = []
    for name in ("color", "backgroundColor"):
        channels = [int(c) / 255 for c in re.findall(r"\d+", tab.evaluate(f"{style}.{name}"))[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminances.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)
