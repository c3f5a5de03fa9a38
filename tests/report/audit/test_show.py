"""The audit as it is printed, in each format."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.audit_curves import ask, copy, more_data, networks, paper
from support.planted_store import Planted

from sweeper.report.audit import show
from sweeper.spec.records.rows import ModelRow
from sweeper.store.store import Store


def small_run(planted: Planted) -> Store:
    """What `docs/audit.md` shows: narrow networks, a fifth of the samples, four cuts, two fifths of the effect."""
    small = {"dataset": "parquet", "width": 8, "steps": 1000}
    tops = networks(planted, 3, **small, samples=2_000, error=55.0)
    for name, samples in (("5K samples", 1_000), ("10K samples", 2_000), ("25K samples", 5_000)):
        curve = paper("2C")[name]
        error = 55.0 + 0.4 * curve.points[1].value
        bottoms = tops if samples == 2_000 else networks(planted, 3, seed=10, **small, samples=samples, error=error)
        planted.stitches(
            bottoms,
            tops,
            lambda depth, curve=curve: -0.4 * curve.at(depth).value,
            cuts=["block3", "block5", "block7", "pool"],
            spread=0.7,
            random_seed=samples,
            batch=128,
            lr=1e-2,
        )
    return planted.commit()


def test_the_example_of_the_docs_is_what_is_printed(planted):
    """But for the settings that it all shares, of which there will be more."""
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    printed = show.audits_as_text([ask(small_run(planted), "2C")], width=116)
    before, after = re.split(r"^Throughout:(?s:.*?)(?=^Note:)", printed, flags=re.MULTILINE)
    assert before.strip() in page
    assert after.strip() in page


class TestShown:
    def test_the_rule_and_the_runs_stand_beneath(self, planted):
        more_data(planted)
        found = [ask(planted.commit(), "2C")]
        text = show.audits_as_text(found, width=120)
        assert "figure 2C, protocol" in text
        assert "32 of 32" in text
        whole = " ".join(text.split())
        assert show.rule(found[0].figure) in whole
        assert "Throughout: arch resnet18k" in whole
        assert "dataset cifar10" in whole
        assert max(map(len, show.audits_as_text(found, width=70).splitlines())) <= 70

    def test_settings_head_what_they_tell_apart(self, planted):
        more_data(planted)
        more_data(planted, turn=-1, protocol="strict")
        text = show.audits_as_markdown([ask(planted.commit(), "2C")])
        assert text.count("**protocol paper**") == text.count("**protocol strict**") == 3
        assert "## figure 2C, in short" in text

    def test_curves_without_a_stand_in_are_named(self, planted):
        twins = networks(planted, 2)
        copy(planted, paper("3B")["80 Epochs"], twins, twins)
        notes = show.audit_tables(ask(planted.commit(), "2A"))[0].notes
        (absent,) = [note for note in notes if note.startswith("Curves of the paper without results in this store: ")]
        assert "Disjoint Trainset" in absent
        assert "ResNet-18," not in absent

    def test_json_is_typed_and_complete(self, planted):
        more_data(planted)
        (found,) = json.loads(show.audits_as_json([ask(planted.commit(), "2C")]))
        assert (found["name"], found["quantity"], found["margin"], found["missing"]) == ("2C", "penalty", 1.0, None)
        (compared,) = found["compared"]
        assert set(compared) == {"setting", "points", "beyond", "short", "deviations", "absent"}
        point = next(p for p in compared["points"] if (p["curve"], p["cut"]) == ("25K samples", "pool"))
        assert point["paper"] == {"value": pytest.approx(-22.272, abs=1e-3), "uncertainty": pytest.approx(0.016)}
        assert point["here"]["low"] < point["here"]["mean"] < point["here"]["high"]
        assert compared["short"][-1]["tau"] == 1.0

    def test_images_of_a_folder_are_told(self, planted):
        more_data(planted)
        planted.rows = [replace(row, dataset="parquet") if isinstance(row, ModelRow) else row for row in planted.rows]
        deviations = show.audit_tables(ask(planted.commit(), "2C"))[2]
        assert {"what": "dataset", "paper": "cifar10", "here": "parquet"} in deviations.rows.to_pylist()
        assert "JPEG" in deviations.notes[0]
