"""Tables that compare stitches of one pair of models: with itself, at other cuts, and by another protocol."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from support.balanced_interval import Bounds, balanced_interval, interval_of_models
from support.planted_store import CUTS, Planted, PlantedOutcomes, analysis_table, rows_of

from sweeper.report.answers import short_answer
from sweeper.spec.records.rows import ModelRow

DEPTHS = {name: depth for name, _, depth in CUTS}
CUT_NAMES = ("block2", "block5", "block8")


def bounds(row: dict, name: str) -> Bounds:
    """Return a quantity of a row with its interval."""
    return Bounds(row[name], row[f"{name}_low"], row[f"{name}_high"])


def stitch(planted: Planted, a: ModelRow, b: ModelRow, cut_a: str, cut_b: str, gain: float, **fields) -> None:
    """Add a stitch of a cut of A to a cut of B."""
    planted.stitch(a, b, cut_b, gain, **fields)
    planted.rows[-1] = replace(planted.rows[-1], cut_a=cut_a, depth_a=DEPTHS[cut_a])  # type: ignore[call-arg]


class TestOwnStitch:
    def test_gains_of_b_into_itself_are_students_means_over_models(self, planted: Planted):
        models, random = planted.models(5), np.random.default_rng(1)
        gains = random.normal(0.5, 1.0, (len(CUT_NAMES), len(models)))
        for cut, of_cut in zip(CUT_NAMES, gains, strict=True):
            for model, gain in zip(models, of_cut, strict=True):
                planted.stitch(model, model, cut, float(gain), agreement=90.0)
        table = analysis_table(planted.commit(), "own_stitch")
        for cut, of_cut in zip(CUT_NAMES, gains, strict=True):
            (row,) = rows_of(table, cut=cut)
            assert bounds(row, "gain") == pytest.approx(interval_of_models(of_cut))
            assert (row["runs"], row["agreement"], row["converged"]) == (5, 90, 100)
        means = [f"{mean:+.1f}" for mean in (gains.mean(axis=1).min(), gains.mean(axis=1).max())]
        assert short_answer(table) == [
            f"3 mean gains of a B that is stitched to itself, from {means[0]} to {means[1]} points, without a verdict."
        ]

    def test_it_is_the_gain_that_net_gains_are_without(self, planted: Planted):
        """Compare with the rows of `penalty_by_cut` for B into itself, with outcomes on single images."""
        outcomes = PlantedOutcomes(planted)
        tops, bottoms = outcomes.models(4, 0.5), outcomes.models(4, 0.9, samples=1200)
        outcomes.stitches(bottoms, tops, "block5", 0.7)
        outcomes.self_stitches(tops, "block5", 0.4)
        store = planted.commit()
        (own,) = analysis_table(store, "own_stitch").rows.to_pylist()
        (penalty,) = rows_of(analysis_table(store, "penalty_by_cut"), relation="self")
        (between,) = rows_of(analysis_table(store, "penalty_by_cut"), relation="other run")
        assert own["gain"] == pytest.approx(-penalty["penalty"])
        assert own["gain_low"] == pytest.approx(-penalty["penalty_high"])
        assert own["test_images"] == 450
        assert own["gain"] == pytest.approx(between["net_penalty"] - between["penalty"])

    def test_only_the_stitch_of_b_to_its_own_activation_counts(self, planted: Planted):
        models = planted.models(3)
        planted.self_stitches(models, 1.0, ["block5"])
        planted.self_stitches(models, 9.0, ["block5"], sender="noise")
        for model in models:
            stitch(planted, model, model, "block2", "block5", 9.0)
        planted.stitches(models, models, lambda depth: 9.0, cuts=["block5"])
        (row,) = analysis_table(planted.commit(), "own_stitch").rows.to_pylist()
        assert row["gain"] == 1.0


class TestFittingCuts:
    def fill(self, planted: Planted, cuts: Iterable[str] = CUT_NAMES) -> dict[tuple[str, str], np.ndarray]:
        """Add stitches of all cuts of 3 bottoms to all cuts of 4 tops; return net penalties by cut of B and of A."""
        tops, bottoms = planted.models(4), planted.models(3, seed=10, samples=1200)
        random, cuts = np.random.default_rng(2), tuple(cuts)
        own = {cut: random.normal(0, 1, len(tops)) for cut in cuts}
        net: dict[tuple[str, str], np.ndarray] = {}
        for cut_b in cuts:
            for top, gain in zip(tops, own[cut_b], strict=True):
                planted.stitch(top, top, cut_b, float(gain))
            for cut_a in cuts:
                effects = random.normal(0, 1, (len(bottoms), 1)) + random.normal(0, 1, (1, len(tops)))
                gains = effects - 20 * abs(DEPTHS[cut_a] - DEPTHS[cut_b]) + random.normal(0, 0.3, effects.shape)
                for i, a in enumerate(bottoms):
                    for j, b in enumerate(tops):
                        stitch(planted, a, b, cut_a, cut_b, float(gains[i, j]))
                net[cut_b, cut_a] = own[cut_b] - gains
        return net

    def test_net_penalties_are_those_of_the_two_way_table_of_models(self, planted: Planted):
        net = self.fill(planted)
        table = analysis_table(planted.commit(), "fitting_cuts")
        assert [(row["cut_b"], row["cut_a"]) for row in table.rows.to_pylist()] == list(net)
        for row in table.rows.to_pylist():
            expected = net[row["cut_b"], row["cut_a"]]
            assert bounds(row, "net_penalty") == pytest.approx(balanced_interval(expected))
            least = min(net[row["cut_b"], cut].mean() for cut in CUT_NAMES)
            assert row["best_fit"] == (expected.mean() == pytest.approx(least))
            assert (row["runs_a"], row["runs_b"], row["pairs"]) == (3, 4, 12)
        assert [row["cut_a"] for row in rows_of(table, best_fit=True)] == list(CUT_NAMES)
        assert short_answer(table)[0].startswith("9 pairs of a cut of B and a cut of A, with mean net penalties from ")

    def test_stitches_at_equal_cuts_alone_are_not_shown(self, planted: Planted):
        tops, bottoms = planted.models(3), planted.models(3, seed=10, samples=1200)
        planted.stitches(bottoms, tops, lambda depth: 1.0, control=0.0)
        planted.stitches(bottoms, tops, lambda depth: 1.0, stitcher="identity")
        stitch(planted, bottoms[0], tops[0], "block2", "block5", -3.0)
        rows = analysis_table(planted.commit(), "fitting_cuts").rows.to_pylist()
        assert {row["stitcher"] for row in rows} == {"conv1x1"}
        assert [row["pairs"] for row in rows if row["cut_a"] != row["cut_b"]] == [1]

    def test_pairs_without_a_control_are_counted(self, planted: Planted):
        tops, (bottom,) = planted.models(2), planted.models(1, seed=10)
        for top in tops:
            stitch(planted, bottom, top, "block2", "block5", -3.0)
        planted.self_stitches(tops[:1], 1.0, ["block5"])
        (row,) = analysis_table(planted.commit(), "fitting_cuts").rows.to_pylist()
        assert (row["net_penalty"], row["penalty"], row["pairs"], row["pairs_without_control"]) == (4, 3, 1, 1)


class TestProtocols:
    def fill(self, planted: Planted, extra: dict[str, float], noise: float = 0.1) -> dict[str, np.ndarray]:
        """Add stitches by both protocols; return the extra net gains, whose means are about `extra`, by cut."""
        tops, bottoms = planted.models(4), planted.models(3, seed=10, samples=1200)
        random = np.random.default_rng(3)
        differences = {}
        for cut, effect in extra.items():
            net = {}
            for protocol, more in (("strict", 0.0), ("paper", effect)):
                fields = {"protocol": protocol, "max_steps": 100 if protocol == "strict" else 300}
                own = random.normal(0, noise, len(tops))
                gains = more + random.normal(0, noise, (len(bottoms), len(tops)))
                for j, b in enumerate(tops):
                    planted.stitch(b, b, cut, float(own[j]), **fields)
                    for i, a in enumerate(bottoms):
                        planted.stitch(a, b, cut, float(gains[i, j]), **fields)
                net[protocol] = gains - own
            differences[cut] = net["paper"] - net["strict"]
        return differences

    @pytest.mark.parametrize(
        ("extra", "noise", "verdict", "verdicts"),
        [
            ((0.0, 0.1, -0.1), 0.1, "agree", ["agree", "agree", "agree"]),
            ((0.0, 5.0, -9.0), 0.1, "disagree", ["agree", "disagree", "disagree"]),
            ((0.0, 0.2, 1.0), 0.1, "undecided", ["agree", "agree", "undecided"]),
            ((0.0, 0.1, -0.1), 9.0, "undecided", ["undecided"] * 3),
        ],
    )
    def test_the_extra_net_gain_is_that_of_the_two_way_table_of_models(self, planted, extra, noise, verdict, verdicts):
        net = self.fill(planted, dict(zip(CUT_NAMES, extra, strict=True)), noise)
        table = analysis_table(planted.commit(), "protocols")
        first, *rows = table.rows.to_pylist()
        expected = {cut: balanced_interval(values, count=len(net)) for cut, values in net.items()}
        for row in rows:
            assert bounds(row, "extra_net_gain") == pytest.approx(expected[row["cut"]])
            assert row["paper_net_gain"] - row["strict_net_gain"] == pytest.approx(row["extra_net_gain"])
            assert (row["runs_a"], row["runs_b"], row["pairs"]) == (3, 4, 12)
            assert row["confidence"] == pytest.approx(100 - 5 / 3)
        assert [row["verdict"] for row in rows] == verdicts
        assert (first["cut"], first["verdict"]) == ("(every cut)", verdict)
        if verdict == "disagree":
            shown = max(expected.values(), key=lambda b: max(b.low, -b.high))
        else:
            shown = max(expected.values(), key=lambda b: max(b.high, -b.low))
        assert bounds(first, "extra_net_gain") == pytest.approx(shown)
        (sentence,) = short_answer(table)
        assert sentence.startswith(f"Protocols: {verdict}. Of A (resnet18k, width 16, 1,200 images, 200 steps) into B")
        assert (first["strict_training"], first["paper_training"]) == (
            "100 steps, batch 256, lr 0.001, augment none, stop held_out",
            "300 steps, batch 256, lr 0.001, augment none, stop held_out",
        )

    def test_stitches_of_one_protocol_or_of_different_settings_are_not_compared(self, planted: Planted):
        tops, bottoms = planted.models(3), planted.models(3, seed=10, samples=1200)
        for protocol, seed, stitcher in (("strict", 0, "conv1x1"), ("paper", 1, "conv1x1"), ("paper", 0, "identity")):
            fields = {"protocol": protocol, "seed": seed, "stitcher": stitcher}
            planted.stitches(bottoms, tops, lambda depth: 1.0, cuts=["block5"], control=0.0, **fields)
        assert analysis_table(planted.commit(), "protocols").rows.num_rows == 0

    def test_without_a_control_by_both_protocols_there_is_no_verdict(self, planted: Planted):
        tops, bottoms = planted.models(3), planted.models(3, seed=10, samples=1200)
        planted.stitches(bottoms, tops, lambda depth: 1.0, cuts=["block5"], control=0.0)
        planted.stitches(bottoms, tops, lambda depth: 1.0, cuts=["block5"], protocol="paper")
        rows = analysis_table(planted.commit(), "protocols").rows.to_pylist()
        assert [(row["verdict"], row["extra_net_gain"]) for row in rows] == [("no control", None)] * 2
        assert rows[1]["pairs_without_control"] == 9

    def test_a_probe_has_no_verdict_and_counts_in_none(self, planted: Planted):
        tops, bottoms = planted.models(3), planted.models(3, seed=10, samples=1200)
        for protocol, gain in (("strict", 1.0), ("paper", 9.0)):
            kinds = {"affine_top": True, "probe_only": True, "protocol": protocol}
            planted.stitches(bottoms, tops, lambda depth, gain=gain: gain, cuts=["pool"], control=0.0, **kinds)
            planted.stitches(
                bottoms, tops, lambda depth: 1.0, cuts=["block5"], control=0.0, spread=0.1, protocol=protocol
            )
        rows = analysis_table(planted.commit(), "protocols").rows.to_pylist()
        assert [(row["cut"], row["verdict"], row["cut_kind"]) for row in rows] == [
            ("(every cut)", "agree", None), ("block5", "agree", None), ("pool", None, "linear probe of A"),
        ]  # fmt: skip
        assert rows[1]["confidence"] == 95
