"""The command `report --figures`."""

import json

import pytest
from PIL import Image

from sweeper.report.charts import drawing
from sweeper.store.store import Store

pytest.importorskip("vl_convert")


def test_the_charts_of_a_store_are_written_and_the_last_lines_say_what(sweeper, complete_store, tmp_path):
    result = sweeper("report", "--figures", "figures")
    assert result.returncode == 0, result.stderr
    *lines, last = result.stdout.splitlines()
    names = [line.removeprefix("figures/").removesuffix("{.svg,.png,.pdf,.vl.json}") for line in lines]
    assert {"zoo", "connected"} <= set(names)
    assert last.startswith(f"{len(names)} charts of ")
    assert last.endswith("each as SVG, PNG, PDF and Vega-Lite JSON")
    written = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert written == sorted(f"{name}{suffix}" for name in names for suffix in (".svg", ".png", ".pdf", ".vl.json"))
    with Image.open(tmp_path / "figures" / "zoo.png") as image:
        image.load()
    assert (tmp_path / "figures" / "zoo.pdf").read_bytes().startswith(b"%PDF-")
    models = json.loads((tmp_path / "figures" / "zoo.vl.json").read_text())["data"]["values"]
    assert all(model["lowest"] <= model["error"] <= model["highest"] for model in models)
    assert not (tmp_path / "runs" / "toy" / "report.html").exists()


def test_the_page_is_written_too_where_it_is_named(sweeper, complete_store, tmp_path):
    result = sweeper("report", "--figures", "figures", "-o", "page.html", "--job", "toy")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == "page.html"
    assert "<title>toy" in (tmp_path / "page.html").read_text()
    assert (tmp_path / "figures" / "zoo.svg").exists()


def test_each_mistake_is_a_sentence(sweeper, complete_store, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("kept")
    result = sweeper("report", "--figures", "file")
    assert (result.returncode, result.stderr.splitlines()) == (
        2, ["error: charts can't be written to file (File exists); give a folder that can be written"],
    )  # fmt: skip
    Store.open(str(tmp_path / "new"), create=True)
    result = sweeper("report", "--figures", "figures", "--store", "new")
    assert result.returncode == 1
    assert "there is no chart to write: the tables have no rows that a chart shows (zoo, " in result.stderr
    monkeypatch.setattr(drawing, "available", lambda: False)
    result = sweeper("report", "--figures", "figures")
    assert (result.returncode, result.stderr.splitlines()) == (
        2, ["error: charts need an extra that is not installed: pip install 'sweeper-stitching[report]'"],
    )  # fmt: skip
