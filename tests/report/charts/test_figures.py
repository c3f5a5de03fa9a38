"""Charts as files: their names, and what is in them."""

import io
import json
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from sweeper.errors import SetupError, StoreError
from sweeper.report.charts import drawing
from sweeper.report.charts.choose import charts
from sweeper.report.charts.figures import check_folder_of_figures, write_figures
from sweeper.report.tables import tables

pytest.importorskip("vl_convert")


def test_each_chart_is_four_files_that_other_programs_can_read(demo_tables, tmp_path):
    (figure,) = write_figures([demo_tables["more_data"]], tmp_path)
    assert (figure.table, figure.name) == ("more_data", "more_data")
    names = ["more_data.svg", "more_data.png", "more_data.pdf", "more_data.vl.json"]
    assert [file.name for file in figure.files] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    svg, png, pdf, specification = (file.read_bytes() for file in figure.files)
    root = ElementTree.fromstring(svg)
    (chart,) = charts(demo_tables["more_data"])
    assert (root.get("role"), root.get("aria-label")) == ("img", chart.description)
    with Image.open(io.BytesIO(png)) as image:
        assert image.width > 2 * 680
        assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)
        assert len(image.convert("RGB").getcolors(1 << 24)) > 100  # it is drawn
    assert pdf.startswith(b"%PDF-")
    content = json.loads(specification)
    assert content["description"] == chart.description
    assert content["background"] == "white"
    data = content["data"]["values"]
    at_pool = [d for d in data if d["cut"].startswith("pool") and d["quantity"] == "net gain"]
    assert at_pool
    assert all(datum["low"] < datum["mean"] < datum["high"] for datum in at_pool)


def test_files_are_named_by_question_and_panel_and_the_panel_is_in_the_picture(demo_tables, tmp_path):
    written = write_figures([demo_tables[name] for name in ("zoo", "controls")], tmp_path)
    assert [figure.name for figure in written] == [
        "zoo",
        "controls-A-samples-1200-steps-200-B-width-8-samples-1200-steps-200",
        "controls-A-width-16-B-width-16-samples-100",
    ]
    title = charts(demo_tables["controls"])[1].title
    assert json.loads(written[2].files[3].read_text(encoding="utf-8"))["title"]["subtitle"] == title
    assert title in written[2].files[0].read_text(encoding="utf-8")


def test_names_that_repeat_or_are_long_are_told_apart(planted, tmp_path):
    folder = tmp_path / "figures"
    check_folder_of_figures(folder)
    arch = "../../network with a name /" + "x" * 300
    weak = planted.models(1, arch=arch)
    for level in range(17):
        planted.stitches(planted.models(1, samples=1000 + level, arch=arch), weak, lambda depth: 1.0, cuts=["pool"])
    written = write_figures(tables(planted.commit(), ["more_data"]), folder)
    names = [figure.name for figure in written]
    assert len(set(names)) == len(names) == 3
    assert all(len(name) < 130 and name.startswith("more_data") and "/" not in name for name in names)
    assert {path.parent for figure in written for path in figure.files} == {folder}


def test_without_the_extra_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "available", lambda: False)
    with pytest.raises(SetupError, match=r"pip install 'sweeper-stitching\[report\]'"):
        check_folder_of_figures(tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("folder", ["file", "file/figures", "/proc/figures"])
def test_a_folder_that_cannot_be_written_is_refused(folder, tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(SetupError, match=rf"charts can't be written to .*{folder} \(.+\); give a folder"):
        check_folder_of_figures(tmp_path / folder)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_file_that_cannot_be_written_is_named(demo_tables, tmp_path):
    (tmp_path / "zoo.png").mkdir()
    with pytest.raises(SetupError, match=r"zoo\.png can't be written \(it is a folder\); name a file in it"):
        write_figures([demo_tables["zoo"]], tmp_path)


def test_tables_without_charts_are_named(empty, tmp_path):
    with pytest.raises(StoreError, match=r"there is no chart to write: .* \(zoo, more_data\)"):
        write_figures(tables(empty, ["zoo", "more_data"]), tmp_path)
    assert not list(tmp_path.glob("*.svg"))
