"""The page: self-contained, escaped, with an answer, a table, its SQL and its rows for each question."""

import json
import re
from html.parser import HTMLParser

import pytest
from markupsafe import escape
from support import store_rows

from sweeper.report import page
from sweeper.report.charts import drawing
from sweeper.report.tables import tables


class _Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


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


def test_all_else_takes_no_more_than_the_script(page_path):
    text = page_path.read_text(encoding="utf-8")
    script = max(re.findall(r"<script>.*?</script>", text, re.DOTALL), key=len)
    assert len(text) - len(script) < 900_000  # of the page with 30 models and 12 charts


def test_the_answers_come_first_and_each_links_to_its_section(page_path, demo_tables):
    text = page_path.read_text(encoding="utf-8")
    answers = text[text.index('<section id="answers"') : text.index('<section id="zoo"')]
    for name, table in demo_tables.items():
        is_answered = f'<a href="#{name}">{escape(table.question.question)}</a>' in answers
        assert is_answered == bool(table.rows.num_rows)
        assert (f'<section id="{name}">' in text) == is_answered
    assert re.search(
        r"<strong>More data</strong>: <span class=.verdict up.>better</span>\. A of 1,200 images gives B of 100 "
        r"a net gain of \+[\d.]+ points \[[\d., ]+\]",
        answers,
    )
    assert '<span class="verdict open">undecided</span>' in answers
    assert "<summary>7 answers</summary>" in answers


def test_each_table_has_its_sql_and_its_rows_once(page_path, demo_tables):
    text = page_path.read_text(encoding="utf-8")
    filled = [table for table in demo_tables.values() if table.rows.num_rows]
    for table in filled:
        assert text.count(str(escape(table.question.sql))) == 1
    packed = [
        json.loads(rows) for rows in re.findall(r'<script type="application/json" class="rows">(.*)</script>', text)
    ]
    assert [rows["names"] for rows in packed] == [table.rows.column_names for table in filled]
    assert [rows["count"] for rows in packed] == [table.rows.num_rows for table in filled]


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


def test_failures_are_shown_by_class_with_a_count_and_an_example(planted, tmp_path):
    fields = {"of": "stitches", "error": "ValueError", "place": "f.py:1", "traceback": "", "final": True}
    planted.models(2)
    planted.rows += [store_rows.failure(f"t{i}", message="<b>no</b> channel", **fields) for i in range(3)]
    store = planted.commit()
    text = page.html(store, tables(store))
    failures = text[text.index('<section id="failures"') : text.index('<section id="runs"')]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", failures)
    assert cells == ["stitches", "ValueError at f.py:1", "3", "t0", "&lt;b&gt;no&lt;/b&gt; channel"]
    assert 'href="#failures"' in text
    assert 'id="failures"' not in page.html(store, tables(store), "job", ["t9"])  # these tasks haven't failed


def test_an_empty_store_has_a_page(empty, tmp_path):
    text = page.write_page(empty, tables(empty), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "0 models, 0 stitches" in text
    empty_section = text[text.index("Questions without rows yet") : text.index('<section id="runs"')]
    assert re.findall(r'<li id="(\w+)">(.*)</li>', empty_section) == [
        (table.name, f"{table.name.replace('_', ' ')}: {escape(table.question.question)}") for table in tables(empty)
    ]
    assert "Read it as" not in text
    assert "<details>" not in text
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
