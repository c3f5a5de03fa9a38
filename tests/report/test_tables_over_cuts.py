"""Tables on the cuts of a pair: where more helps most, and which similarity measures rank cuts as stitching does."""

import numpy as np
import pytest
from scipy import stats
from support.balanced_interval import Bounds, balanced_interval
from support.planted_store import CUTS, Planted, analysis_table, rows_of

from sweeper.report.answers import short_answer
from sweeper.report.terminal import short_tables_as_text

LATE = ("block4", "block6", "block8")


def bounds(row: dict, name: str) -> Bounds:
    """Return a quantity of a row with its interval."""
    return Bounds(row[name], row[f"{name}_low"], row[f"{name}_high"])


def fill(planted: Planted, effects: dict[str, float], noise: float = 0.1, **more) -> dict[str, np.ndarray]:
    """Add 3 bottoms with more of something than 4 tops; return their net gains by cut, of about these effects."""
    tops, bottoms = planted.models(4), planted.models(3, seed=10, **more)
    random, net = np.random.default_rng(4), {}
    for cut, effect in effects.items():
        own, gains = random.normal(0, noise, 4), effect + random.normal(0, noise, (3, 4))
        for j, b in enumerate(tops):
            planted.stitch(b, b, cut, float(own[j]))
            for i, a in enumerate(bottoms):
                planted.stitch(a, b, cut, float(gains[i, j]))
        net[cut] = gains - own
    return net


class TestWhereMoreHelps:
    @pytest.mark.parametrize(
        ("effects", "verdicts", "verdict"),
        [
            ((1.0, 3.0, 9.0), ["less", "less", "largest"], "block8"),
            ((1.0, 9.0, 9.1), ["less", "undecided", "largest"], "undecided"),
            ((9.0, 3.0, 1.0), ["largest", "less", "less"], "block4"),
        ],
    )
    def test_intervals_are_simultaneous_over_cuts_and_over_differences(self, planted, effects, verdicts, verdict):
        net = fill(planted, dict(zip(LATE, effects, strict=True)), samples=1200)
        table = analysis_table(planted.commit(), "where_more_helps")
        first, *rows = table.rows.to_pylist()
        peak = max(LATE, key=lambda cut: net[cut].mean())
        for row in rows:
            assert bounds(row, "net_gain") == pytest.approx(balanced_interval(net[row["cut"]], count=3))
            if row["cut"] != peak:
                expected = balanced_interval(net[row["cut"]] - net[peak], count=3)  # pairs of three cuts
                assert bounds(row, "behind_gain") == pytest.approx(expected)
        assert [row["verdict"] for row in rows] == verdicts
        assert (first["cut"], first["peak"], first["verdict"]) == ("(largest)", peak, verdict)
        assert bounds(first, "net_gain") == pytest.approx(balanced_interval(net[peak], count=3))
        assert first["may_be_largest"].split(", ") == [row["cut"] for row in rows if row["verdict"] != "less"]
        (sentence,) = short_answer(table)
        assert sentence.startswith(
            f"More data helps most at: {verdict}. With 1200 against 100 images the largest net gain"
        )

    @pytest.mark.parametrize(
        ("more", "name", "levels"),
        [
            ({"samples": 300}, "data", ("300", "100 images")),
            ({"width": 32}, "width", ("width 32", "16")),
            ({"steps": 900}, "training", ("900", "200 steps")),
        ],
    )
    def test_one_thing_alone_differs(self, planted: Planted, more, name, levels):
        fill(planted, {"block4": 1.0, "block8": 5.0}, **more)
        rows = analysis_table(planted.commit(), "where_more_helps").rows.to_pylist()
        assert {(row["more"], row["a_level"], row["b_level"]) for row in rows} == {(name, *levels)}

    @pytest.mark.parametrize("more", [{"samples": 300, "width": 32}, {"samples": 50}, {}, {"label_noise": 0.5}])
    def test_other_pairs_are_not_shown(self, planted: Planted, more):
        fill(planted, {"block4": 1.0, "block8": 5.0}, **more)
        assert analysis_table(planted.commit(), "where_more_helps").rows.num_rows == 0

    def test_probes_and_single_cuts_are_left_out(self, planted: Planted):
        tops, bottoms = planted.models(3), planted.models(3, seed=10, samples=1200)
        planted.stitches(bottoms, tops, lambda depth: 1.0, cuts=["block4"], control=0.0)
        planted.stitches(bottoms, tops, lambda depth: 9.0, cuts=["pool"], control=0.0, affine_top=True, probe_only=True)
        assert analysis_table(planted.commit(), "where_more_helps").rows.num_rows == 0

    def test_one_run_on_a_side_decides_nothing(self, planted: Planted):
        tops, bottoms = planted.models(1), planted.models(3, seed=10, samples=1200)
        planted.stitches(bottoms, tops, lambda depth: 50 * depth, cuts=LATE, control=0.0)
        first, *rows = analysis_table(planted.commit(), "where_more_helps").rows.to_pylist()
        assert (first["verdict"], first["net_gain_low"]) == ("undecided", None)
        assert [row["verdict"] for row in rows] == ["undecided", "undecided", "largest"]


class TestMeasures:
    def fill(self, planted: Planted, measures: dict[str, float], pairs: tuple[int, int] = (3, 4)):
        """Add stitches and similarities that follow the net gain by a factor; return them for each pair and cut."""
        bottoms, tops = planted.models(pairs[0], seed=10), planted.models(pairs[1], width=32)
        random = np.random.default_rng(5)
        net = np.round(random.normal(0, 2, (*pairs, len(CUTS))), 0)  # some are equal
        values = {name: factor * net + np.round(random.normal(0, 1, net.shape), 0) for name, factor in measures.items()}
        planted.self_stitches(tops, 0.0)
        for i, a in enumerate(bottoms):
            for j, b in enumerate(tops):
                for k, (cut, *_) in enumerate(CUTS):
                    planted.stitch(a, b, cut, float(net[i, j, k]))
                    for name in measures:
                        planted.similarity(a, b, cut, float(values[name][i, j, k]), measure=name, options="{}")
        return net, values

    def test_correlations_are_spearmans_of_each_pair_with_an_interval_over_models(self, planted: Planted):
        measures = {"linear_cka": 3.0, "svcca": 0.0, "rsa": -3.0}
        net, values = self.fill(planted, measures)
        table = analysis_table(planted.commit(), "measures")
        rows = {row["measure"]: row for row in table.rows.to_pylist()}
        for name in measures:
            rho = [
                [stats.spearmanr(x, y).statistic for x, y in zip(*of_bottom, strict=True)]
                for of_bottom in zip(net, values[name], strict=True)
            ]
            expected = balanced_interval(np.array(rho), count=len(measures))
            assert bounds(rows[name], "correlation") == pytest.approx(expected)
            assert (rows[name]["cuts"], rows[name]["pairs"]) == (len(CUTS), 12)
        assert [rows[name]["verdict"] for name in measures] == ["agrees", "undecided", "opposite"]
        assert short_answer(table)[0].startswith("Agreement of linear_cka: agrees. Its rank correlation with net gains")
        assert len(short_tables_as_text([table, table], 100).split("linear_cka: agrees")) == 3  # said, and in no grid

    def test_pairs_with_two_cuts_or_equal_values_have_no_correlation(self, planted: Planted):
        (a,), tops = planted.models(1, seed=10), planted.models(2)
        planted.self_stitches(tops, 0.0)
        for number, (cut, *_) in enumerate(CUTS[:4]):
            planted.stitch(a, tops[0], cut, float(number))
            planted.similarity(a, tops[0], cut, 0.5)
            if number < 2:
                planted.stitch(a, tops[1], cut, float(number))
                planted.similarity(a, tops[1], cut, float(number))
        assert analysis_table(planted.commit(), "measures").rows.num_rows == 0

    def test_probes_do_not_count(self, planted: Planted):
        tops, bottoms = planted.models(2), planted.models(2, seed=10)
        planted.self_stitches(tops, 0.0)
        for a in bottoms:
            for b in tops:
                for number, cut in enumerate(("block2", "block4", "block6", "pool")):
                    planted.stitch(a, b, cut, float(number), affine_top=cut == "pool", probe_only=cut == "pool")
                    planted.similarity(a, b, cut, -9.0 if cut == "pool" else float(number))
        (row,) = analysis_table(planted.commit(), "measures").rows.to_pylist()
        assert (row["correlation"], row["cuts"]) == (pytest.approx(1), 3)


def test_the_demo_has_both(demo_tables):
    rows = rows_of(demo_tables["where_more_helps"], cut="(largest)")
    assert {(row["more"], row["peak"]) for row in rows} == {(more, "pool") for more in ("data", "width", "training")}
    verdicts = {row["measure"]: row["verdict"] for row in demo_tables["measures"].rows.to_pylist()}
    assert verdicts == {"linear_cka debiased:false": "opposite", "linear_cka debiased:true": "opposite"}
