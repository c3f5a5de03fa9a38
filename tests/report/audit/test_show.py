"""The output formats of audits."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.audit_curves import figure_audit, paper_curves, plant_curve, plant_more_data, plant_networks
from support.planted_store import CUTS, Planted

from sweeper.report.audit import show
from sweeper.report.audit.audit import UNFIT_STITCHERS, audit
from sweeper.report.audit.compare import ALL
from sweeper.spec.records.rows import ModelRow
from sweeper.store.store import Store


def small_run(planted: Planted) -> Store:
    """Plant the example of `docs/audit.md`: narrow networks, four cuts, and two fifths of the paper's effect."""
    small = {"dataset": "parquet", "width": 8, "steps": 1000}
    tops = plant_networks(planted, 3, **small, samples=2_000, error=55.0)
    for name, samples in (("5K samples", 1_000), ("10K samples", 2_000), ("25K samples", 5_000)):
        curve = paper_curves("2C")[name]
        error = 55.0 + 0.4 * curve.points[1].value
        bottoms = (
            tops if samples == 2_000 else plant_networks(planted, 3, seed=10, **small, samples=samples, error=error)
        )
        planted.stitches(
            bottoms,
            tops,
            lambda depth, curve=curve: -0.4 * curve.at(depth).value,
            cuts=["block3", "block5", "block7", "pool"],
            spread=0.7,
            random_seed=samples,
            batch=128,
            lr=1e-2,
            data="full",
        )
    for b in tops:  # the stitcher itself gains as much as it gives to other networks of 2,000 images
        for cut, _, depth in CUTS:
            own = -0.4 * paper_curves("2C")["10K samples"].at(depth).value
            planted.stitch(b, b, cut, own, batch=128, lr=1e-2, data="full")
    return planted.commit()


def test_the_example_of_the_docs_is_what_is_printed(planted):
    """Compare all but the line of the shared settings, which grows with new settings, and the digest of the version."""
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    printed = show.audits_as_text([figure_audit(small_run(planted), "2C")], width=140)
    printed = re.sub(r"\b[0-9a-f]{16}\b", "3f2a9c1b8d04e675", printed)
    start, end = re.split(r"^In all rows:(?s:.*?)(?=^Note:)", printed, flags=re.MULTILINE)
    assert start.strip() in page
    assert end.strip() in page


class TestInShort:
    """The line for each figure, and what is left out."""

    def test_its_numbers_are_those_of_the_summaries(self, planted):
        plant_more_data(planted)
        result = figure_audit(planted.commit(), "2C")
        text = show.in_short([result], width=200)
        line = next(line for line in result.compared[0].short if line.curve == ALL)
        cells = next(row for row in text.splitlines() if row.startswith("2C ")).split("  ")
        numbers = [cell.strip() for cell in cells if cell.strip()]
        assert numbers[:4] == ["2C", "1", str(len(result.compared[0].short) - 1), f"{line.a_runs} x {line.b_runs}"]
        assert f"Of {line.points} sizes, {line.agrees} agree" in " ".join(text.split())
        assert max(map(len, text.splitlines())) <= 100

    def test_figures_without_results_are_named_with_their_job(self, planted):
        text = show.in_short(audit(planted.commit()), width=100)
        assert "2C (paper/more-data.small)" in " ".join(text.split())
        assert len(text.splitlines()) <= 40

    @pytest.mark.parametrize("stitcher", sorted(UNFIT_STITCHERS))
    def test_a_stitcher_of_another_kind_cant_stand_for_the_papers(self, planted, stitcher):
        plant_more_data(planted)
        before = figure_audit(planted.commit(), "2C")
        plant_more_data(planted, stitcher=stitcher)
        after = figure_audit(planted.commit(), "2C")
        assert after.unfit == 3
        assert before.unfit == 0
        assert [c.setting["stitcher"] for c in after.compared] == ["conv1x1"]
        assert "stand for the paper's: 3 curve(s)" in " ".join(show.in_short([after]).split())


class TestShown:
    """Texts, Markdown and JSON of audits."""

    def test_the_caption_has_the_rule_and_the_settings(self, planted):
        plant_more_data(planted)
        audits = [figure_audit(planted.commit(), "2C")]
        text = show.audits_as_text(audits, width=120)
        assert "figure 2C, deviations" in text
        assert "32 of 32" in text
        on_one_line = " ".join(text.split())
        assert show.rule(audits[0].figure) in on_one_line
        assert "In all rows: arch resnet18k" in on_one_line
        assert "dataset cifar10" in on_one_line
        assert max(map(len, show.audits_as_text(audits, width=70).splitlines())) <= 70

    def test_settings_that_vary_are_headings(self, planted):
        plant_more_data(planted)
        plant_more_data(planted, factor=-1, protocol="strict")
        text = show.audits_as_markdown([figure_audit(planted.commit(), "2C")])
        assert text.count("**protocol paper**") == text.count("**protocol strict**") == 3
        assert "## figure 2C, summary" in text

    def test_curves_without_results_are_named(self, planted):
        models = plant_networks(planted, 2)
        plant_curve(planted, paper_curves("3B")["80 Epochs"], models, models)
        notes = show.audit_tables(figure_audit(planted.commit(), "2A"))[0].notes
        (absent,) = [note for note in notes if note.startswith("Curves of the paper without results in this store: ")]
        assert "Disjoint Trainset" in absent
        assert "ResNet-18," not in absent

    def test_json_is_typed_and_complete(self, planted):
        plant_more_data(planted)
        (figure,) = json.loads(show.audits_as_json([figure_audit(planted.commit(), "2C")]))
        assert (figure["name"], figure["quantity"], figure["margin"], figure["missing"]) == ("2C", "penalty", 1.0, None)
        (compared,) = figure["compared"]
        assert set(compared) == {"setting", "points", "beyond", "short", "deviations", "absent"}
        point = next(p for p in compared["points"] if (p["curve"], p["cut"]) == ("25K samples", "pool"))
        assert point["paper"] == {"value": pytest.approx(-22.272, abs=1e-3), "uncertainty": pytest.approx(0.016)}
        assert point["here"]["low"] < point["here"]["mean"] < point["here"]["high"]
        assert compared["short"][-1]["tau"] == 1.0

    def test_images_from_a_folder_get_a_note(self, planted):
        plant_more_data(planted)
        planted.rows = [replace(row, dataset="parquet") if isinstance(row, ModelRow) else row for row in planted.rows]
        deviations = show.audit_tables(figure_audit(planted.commit(), "2C"))[2]
        assert {"what": "dataset", "paper": "cifar10", "here": "parquet"} in deviations.rows.to_pylist()
        assert "JPEG" in deviations.notes[0]
