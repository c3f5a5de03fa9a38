"""The paper's figures beside stores with a planted truth."""

import itertools
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from planted import CUTS, Planted

from sweeper.errors import UsageError
from sweeper.report.audit import show
from sweeper.report.audit.audit import Audit, audit
from sweeper.report.audit.compare import ALL, Compared, Short
from sweeper.report.audit.curves import Curve, curves
from sweeper.report.audit.definition import figures
from sweeper.spec.rows import ModelRow
from sweeper.store.store import Store

# The authors' protocol, as `analysis/paper/protocol.yaml` has it.
NETWORK = {
    "dataset": "cifar10", "width": 64, "samples": 50_000, "steps": 64_000, "batch": 128, "lr": 0.05, "momentum": 0.9,
    "weight_decay": 1e-4, "schedule": "step", "augment": "crop_flip",
}  # fmt: skip
STITCH = {"protocol": "paper", "max_steps": 120_000, "batch": 128, "lr": 1e-3, "augment": "crop_flip", "data": "full"}
RATIOS = {"5K samples": 0.5, "10K samples": 1.0, "25K samples": 2.5}


@cache
def paper(figure: str) -> dict[str, Curve]:
    return {curve.name: curve for curve in curves() if curve.figure == figure and curve.quantity == "penalty"}


def networks(planted: Planted, seeds: int, *, seed: int = 0, **given: object) -> list[ModelRow]:
    return planted.models(seeds, seed=seed, **(NETWORK | given))


def copy(planted: Planted, curve: Curve, bottoms: list[ModelRow], tops: list[ModelRow], turn: float = 1, **given):
    """Stitches whose penalty is the curve's at each depth, times `turn`, apart from a hundredth of a point."""
    for a in bottoms:
        for b in tops:
            if a.task != b.task:
                for i, (cut, _, depth) in enumerate(CUTS):
                    reading = curve.at(depth)
                    assert reading
                    noise = 0.001 * ((17 * a.seed + 5 * b.seed + i) % 3)
                    planted.stitch(a, b, cut, -turn * reading.value + noise, **(STITCH | given))


def more_data(planted: Planted, seeds: int = 2, turn: float = 1, **given) -> None:
    """Figure 2C at the paper's own sizes, ends of the curves included."""
    figure = paper("2C")
    tops = networks(planted, seeds, samples=10_000, error=33.66)
    twins = networks(
        planted, seeds, seed=100, samples=10_000, error=33.66 + turn * figure["10K samples"].points[1].value
    )
    for name, samples, bottoms in (
        ("5K samples", 5_000, None),
        ("10K samples", 0, twins),
        ("25K samples", 25_000, None),
    ):
        error = 33.66 + turn * figure[name].points[1].value
        bottoms = bottoms or networks(planted, seeds, seed=samples, samples=samples, error=error)
        copy(planted, figure[name], bottoms, tops, turn, **given)


def ask(store: Store, name: str, **given) -> Audit:
    return next(found for found in audit(store, [name], **given) if found.figure.name == name)


def only(store: Store, name: str, **given) -> Compared:
    (compared,) = ask(store, name, **given).compared
    return compared


def line(compared: Compared, curve: str = ALL) -> Short:
    return next(short for short in compared.short if short.curve == curve)


def test_a_copy_of_the_papers_curves_agrees_everywhere(planted):
    more_data(planted)
    found = only(planted.commit(), "2C")
    assert len(found.points) == 3 * len(CUTS) + 2  # A alone, of those that are not B's twins
    assert {point.sign for point in found.points} == {"same"}
    assert {point.size for point in found.points} == {"agrees"}
    assert max(abs(point.difference) for point in found.points) < 0.02
    assert line(found).tau == 1
    assert line(found).ratio == pytest.approx(1, abs=0.01)
    assert (line(found).same_sign, line(found).with_sign, line(found).agrees) == (32, 32, 32)
    assert {name: line(found, name).level for name in RATIOS} == RATIOS
    assert found.absent == ()


def test_a_run_like_the_authors_differs_in_its_seeds_alone(planted):
    more_data(planted)
    deviations = {each.what: (each.paper, each.here) for each in only(planted.commit(), "2C").deviations}
    assert deviations == {
        "training runs of a curve, A's x B's": ("1 x 1", "2 x 2"),
        "B's own test error, %": (33.66, 33.66),
    }


def test_turned_over_it_disagrees(planted):
    more_data(planted, turn=-1)
    found = only(planted.commit(), "2C")
    assert {point.sign for point in found.points} == {"opposite"}
    apart = [point for point in found.points if abs(point.paper.value) > 0.6]
    assert {point.size for point in apart} == {"disagrees"}
    assert {point.size for point in found.points if point not in apart} == {"agrees"}  # within a point of each other
    assert line(found).tau == -1
    assert (line(found).same_sign, line(found).same, line(found).opposite) == (0, 0, 32)


def test_one_seed_has_no_interval_and_no_verdict(planted):
    """What its means say is still told: their signs, sizes and order."""
    more_data(planted, seeds=1)
    found = only(planted.commit(), "2C")
    assert {(point.here.low, point.sign, point.size) for point in found.points} == {(None, "undecided", "undecided")}
    assert (line(found).same_sign, line(found).tau, line(found).agrees, line(found).disagrees) == (32, 1, 0, 0)
    assert "training runs of a curve, A's x B's" not in [each.what for each in found.deviations]


def test_a_margin_of_the_users(planted):
    more_data(planted, turn=1.2)  # up to 4.5 points off
    store = planted.commit()
    assert line(only(store, "2C")).disagrees > 0
    assert line(only(store, "2C", parameters={"margin": 5})).disagrees == 0
    for wrong in ({"margins": 1}, {"margin": -1}, {"margin": "wide"}):
        with pytest.raises(UsageError, match="margin"):
            audit(store, parameters=wrong)


def test_the_ratio_nearest_to_the_papers_stands_for_a_curve(planted):
    tops = planted.models(2, samples=100)
    for samples, penalty in ((30, 5.0), (60, 6.0), (300, -7.0), (1200, -8.0)):
        for a in planted.models(2, seed=samples, samples=samples):
            for b in tops:
                planted.stitch(a, b, "block6", -penalty)
    found = only(planted.commit(), "2C")
    middle = {point.curve: point.here.mean for point in found.points if point.cut == "block6"}
    assert middle == {"5K samples": 6.0, "25K samples": -7.0}
    assert (line(found, "5K samples").level, line(found, "25K samples").level) == (0.6, 3.0)
    assert (line(found, "5K samples").others, line(found, "25K samples").others) == (1, 1)
    assert found.absent == ("10K samples",)
    said = {each.what: (each.paper, each.here) for each in found.deviations}
    assert said["25K samples: A's images over B's"] == (2.5, 3.0)
    assert said["samples"] == (10_000, 100)
    assert said["places on the axis"] == (10, 1)


def test_of_two_trainings_that_might_stand_for_a_curve_one_does(planted):
    """Snapshots of another schedule are other networks: they stand back behind those of B's own, and are counted."""
    top = planted.models(2, steps=100, schedule_steps=400)
    for steps, schedule, penalty in ((200, 400, -1.0), (200, 200, -5.0)):
        for a in planted.models(2, seed=schedule, steps=steps, schedule_steps=schedule):
            for b in top:
                planted.stitch(a, b, "block6", -penalty)
    found = only(planted.commit(), "3B")
    assert [(point.cut, point.here.mean) for point in found.points] == [("block6", -1.0), ("(A alone)", 0.0)]
    assert line(found, "160 Epochs").others == 1


def test_the_control_alone_is_no_figure_of_its_axis_but_one_of_connectivity(planted):
    twins = networks(planted, 3)  # fewer leave no pair without one
    copy(planted, paper("3B")["80 Epochs"], twins, twins)
    store = planted.commit()
    assert [found.figure.name for found in audit(store) if found.compared] == ["2A"]


def test_settings_are_not_mixed(planted):
    more_data(planted)
    more_data(planted, turn=-1, protocol="strict")
    more_data(planted, turn=-1, lr=1e-4)
    found = ask(planted.commit(), "2C")
    taus = [(each.setting["protocol"], each.setting["lr"], line(each).tau) for each in found.compared]
    assert taus[0] == ("paper", 1e-3, 1)  # the nearest to the paper first
    assert sorted(taus[1:]) == [("paper", 1e-4, -1), ("strict", 1e-3, -1)]


def test_only_the_tasks_of_a_job(planted):
    more_data(planted)
    tasks = [row.task for row in planted.rows if not hasattr(row, "cut_a") or row.cut_a == "block6"]
    assert {point.cut for point in only(planted.commit(), "2C", only=tasks).points} == {"block6", "(A alone)"}


def test_more_training_takes_other_runs_and_for_80_epochs_a_network_itself(planted):
    figure = paper("3B")
    ages = {steps: [] for steps in (16_000, 32_000, 64_000)}
    for seed in range(3):
        for steps, of in ages.items():
            of.append(
                planted.model(
                    seed=seed, training=f"{seed:032x}", **(NETWORK | {"steps": steps, "schedule_steps": 64_000})
                )
            )
    for steps, name in ((16_000, "40 Epochs"), (64_000, "160 Epochs")):
        for a in ages[steps]:
            for b in ages[32_000]:
                same_run = a.training == b.training
                copy(planted, figure[name], [a], [b], turn=-9 if same_run else 1)
    for b in ages[32_000]:
        for cut, _, depth in CUTS:
            planted.stitch(b, b, cut, -figure["80 Epochs"].at(depth).value, **STITCH)
    found = only(planted.commit(), "3B")
    assert {point.size for point in found.points if point.cut != "(A alone)"} == {"agrees"}
    assert line(found, "40 Epochs").level == 0.5
    assert [point.curve for point in found.points if point.cut == "(A alone)"] == ["40 Epochs", "160 Epochs"]


def test_more_width_goes_by_the_ratio(planted):
    figure = paper("3C")
    tops = networks(planted, 2, width=8)
    for width, name in ((4, "Width 0.125x"), (32, "Width 1x")):
        copy(planted, figure[name], networks(planted, 2, seed=width, width=width), tops)
    found = only(planted.commit(), "3C")
    assert {point.size for point in found.points if point.cut != "(A alone)"} == {"agrees"}
    assert found.absent == ("Width 0.25x", "Width 2x")
    assert not any("A's width over B's" in each.what for each in found.deviations)
    assert ("width", 16, 8) in {(each.what, each.paper, each.here) for each in found.deviations}


def test_label_noise_goes_by_its_share(planted):
    tops = networks(planted, 2)
    for noise, name in ((0.1, "10% Label Noise"), (0.5, "50% Label Noise"), (0.9, "100% Label Noise")):
        copy(planted, paper("3A")[name], networks(planted, 2, seed=round(100 * noise), label_noise=noise), tops)
    found = only(planted.commit(), "3A")
    assert {point.size for point in found.points} == {"agrees"}
    assert line(found, "100% Label Noise").level == 0.9
    assert found.absent == ("Object-Animal",)


def test_labels_of_the_papers_kind_stand_before_the_codes(planted):
    """A label drawn from all ten in the text, from the other nine in the code; and classes joined into two."""
    tops = networks(planted, 2)
    for noise, name in ((0.1, "10% Label Noise"), (0.5, "50% Label Noise"), (1.0, "100% Label Noise")):
        given = {"seed": round(100 * noise), "label_noise": noise}
        copy(planted, paper("3A")[name], networks(planted, 2, **given, label_noise_kind="any_class"), tops)
        copy(planted, paper("3A")[name], networks(planted, 2, **given, label_noise_kind="other_class"), tops, turn=-1)
    copy(planted, paper("3A")["Object-Animal"], networks(planted, 2, seed=200, labels="object_animal"), tops)
    found = only(planted.commit(), "3A")
    assert len(found.points) == 4 * len(CUTS)
    assert {point.size for point in found.points} == {"agrees"}
    assert line(found, "10% Label Noise").others == 1
    assert found.absent == ()


def test_objectives_are_told_apart_on_both_sides(planted):
    supervised, simclr = networks(planted, 3), networks(planted, 3, seed=9, objective="simclr", temperature=0.5)
    figure = paper("6B")
    copy(planted, figure["SimCLR Bottom, E2E Top"], simclr, supervised, lr=1e-4)
    copy(planted, figure["SimCLR Top, E2E Bottom"], supervised, simclr, lr=1e-4)
    copy(planted, figure["Random Initialization"], supervised, supervised, lr=1e-4)
    for a in simclr:
        planted.similarity(a, supervised[0], "block4", 0.53)
        planted.similarity(a, supervised[0], "pool", 0.65)
    store = planted.commit()
    found = only(store, "6B")
    assert [line(found, name).points for name in figure] == [len(CUTS)] * 3
    assert {point.size for point in found.points} == {"agrees"}
    assert found.absent == ()
    assert [(point.x, round(point.difference, 2)) for point in only(store, "6A").points] == [(4.0, 0.0), (10.0, 0.0)]


def test_kernels_are_the_axis_of_figure_4(planted):
    tops = networks(planted, 3, error=8.0)
    for kernel, error in ((1, 11.0), (9, 12.2)):
        for cut in ("block2", "block5", "block8"):
            options = f'{{"depth":1,"kernel":{kernel},"norm":true}}'
            gain = 8.0 - error if cut == "block5" else -0.3
            for a, b in itertools.permutations(tops, 2):
                planted.stitch(a, b, cut, gain, **STITCH, stitcher="conv", options=options)
    found = only(planted.commit(), "4")
    six = [point for point in found.points if "first" in point.curve]
    assert [(point.cut, point.x, round(point.paper.value)) for point in six] == [("block5", 1, 11), ("block5", 9, 12)]
    assert {point.size for point in six} == {"agrees"}
    assert len(found.points) == 6
    assert ("places on the axis", 5, 2) in {(each.what, each.paper, each.here) for each in found.deviations}


def test_fine_tuning_is_told_from_stitching_in_figure_8(planted):
    """At its place in a ResNet-164: depth 3/19 here is as deep as its cut 13.5, between markers at 9 and 14."""
    given = {"arch": "resnet_cifar", "width": 16}
    tops, random = networks(planted, 2, **given), networks(planted, 2, seed=9, **given | {"steps": 0})
    for name, train in (("Stitching", "stitcher"), ("Finetuning", "top")):
        value = paper("8")[name].at((3 / 19 * 165 + 1) / 2).value
        for a, b in itertools.product(random, tops):
            planted.stitch(a, b, "block1", -value, **STITCH, train=train)
    found = only(planted.commit(), "8")
    assert [(point.curve, point.cut) for point in found.points] == [("Stitching", "block1"), ("Finetuning", "block1")]
    assert {round(point.difference, 6) for point in found.points} == {0}
    assert line(found).tau == 1


def test_whole_networks_with_frozen_layers_are_figure_9(planted):
    few = networks(planted, 3, samples=5_000, steps=64_000, error=52.0)
    networks(planted, 3, seed=1, error=8.3)
    donors = {"init": few[0].task, "frozen": "conv1,block7,block8,pool"}
    networks(planted, 3, seed=2, error=18.0, **donors)
    networks(planted, 3, seed=3, error=70.0, width=32)  # another network
    networks(planted, 3, seed=4, error=70.0, steps=100, schedule_steps=64_000)  # and an early one
    found = only(planted.commit(), "9")
    assert {(point.curve, point.here.mean, point.size) for point in found.points} == {
        ("5K samples", 52.0, "agrees"),
        ("50K samples", 8.3, "agrees"),
        ("Freeze trained", 18.0, "disagrees"),
    }
    assert line(found).tau == 1
    assert line(found, "5K samples").level == 10
    assert "50K samples" not in {deviation.what for deviation in found.deviations}


def test_the_authors_random_network_stands_before_another(planted):
    tops = networks(planted, 3)
    copies = [planted.model(**NETWORK | {"steps": 0, "init": top.task, "reset": "ends"}) for top in tops]
    others = networks(planted, 2, seed=9, steps=0)
    for cut, position, _ in CUTS:
        value = paper("5")["Stitched Model"].at(position / 12).value
        for copied, top in zip(copies, tops, strict=True):
            planted.stitch(copied, top, cut, -value, **STITCH)
        for a in others:
            for b in tops:
                planted.stitch(a, b, cut, value, **STITCH)
    found = only(planted.commit(), "5")
    assert {point.difference for point in found.points} == {0}
    assert line(found, "Stitched Model").others == 1


def test_a_random_bottom_is_figure_5_by_position_and_2a_by_its_grid(planted):
    """Figure 5 has a cut at position / 12, figure 2A at k of 18 layers, where a ResNet-18's depth is k of 19."""
    tops, random = networks(planted, 2), networks(planted, 2, seed=9, steps=0)
    grid = {cut: min(depth * 19, 17) / 18 for cut, _, depth in CUTS}
    for cut, position, _ in CUTS:
        five, two = paper("5")["Stitched Model"].at(position / 12), paper("2A")["Random Network"].at(grid[cut])
        assert abs(five.value - two.value) < 0.2  # the same experiment, read off two panels
        for a in random:
            for b in tops:
                planted.stitch(a, b, cut, -five.value, **STITCH)
    store = planted.commit()
    assert {point.difference for point in only(store, "5").points} == {0}
    beside = only(store, "2A")
    assert [point.curve for point in beside.points] == ["Random Network"] * len(CUTS)
    assert max(abs(point.difference) for point in beside.points) < 0.2


def test_twins_of_several_widths_are_curves_of_2a(planted):
    for width, name in ((32, "ResNet-18 w0.5x"), (64, "ResNet-18"), (100, "ResNet-18 w2x")):
        twins = networks(planted, 3, seed=width, width=width)
        for a in twins:
            for b in twins:
                for cut, _, depth in CUTS if a.task != b.task else ():
                    planted.stitch(a, b, cut, -paper("2A")[name].at(depth * 19 / 18).value, **(STITCH | {"lr": 5e-4}))
    found = only(planted.commit(), "2A")
    assert {point.size for point in found.points} == {"agrees"}
    assert line(found).tau == 1
    assert ("ResNet-18 w2x: B's width", 128, 100) in {(d.what, d.paper, d.here) for d in found.deviations}


def test_cka_has_no_sign(planted):
    weak, strong = planted.models(2, samples=5_000), planted.models(2, seed=5, samples=25_000)
    for a in strong:
        for b in weak:
            planted.similarity(a, b, "block8", 0.4)
            planted.similarity(a, b, "pool", 0.9)
    found = only(planted.commit(), "7")
    assert [(point.cut, point.sign, point.size) for point in found.points] == [
        ("block8", None, "agrees"),
        ("pool", None, "disagrees"),
    ]
    assert line(found).same_sign is None


def test_an_empty_store_says_what_would_fill_it(empty):
    """And every figure's SQL can be asked."""
    found = audit(empty)
    assert [each.figure.name for each in found] == list(figures())
    assert not any(each.compared for each in found)
    lines = show.terminal(found).splitlines()
    assert len(lines) == len(found)
    two_c = next(text for text in lines if text.startswith("figure 2C:"))
    assert "`sweeper run paper/more-data.small`" in two_c
    assert next(text for text in lines if text.startswith("figure 2B:")).endswith("by SwAV, DINO and SimCLR")
    assert json.loads(show.json(found))[2]["missing"] == two_c


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
            chance=samples,
            batch=128,
            lr=1e-2,
        )
    return planted.commit()


def test_the_example_of_the_docs_is_what_is_printed(planted):
    """But for the settings that it all shares, of which there will be more."""
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    printed = show.terminal([ask(small_run(planted), "2C")], width=116)
    before, after = re.split(r"^Throughout:(?s:.*?)(?=^Note:)", printed, flags=re.MULTILINE)
    assert before.strip() in page
    assert after.strip() in page


class TestShown:
    def test_the_rule_and_the_runs_stand_beneath(self, planted):
        more_data(planted)
        found = [ask(planted.commit(), "2C")]
        text = show.terminal(found, width=120)
        assert "figure 2C, protocol" in text
        assert "32 of 32" in text
        whole = " ".join(text.split())
        assert show.rule(found[0].figure) in whole
        assert "Throughout: arch resnet18k" in whole
        assert "dataset cifar10" in whole
        assert max(map(len, show.terminal(found, width=70).splitlines())) <= 70

    def test_settings_head_what_they_tell_apart(self, planted):
        more_data(planted)
        more_data(planted, turn=-1, protocol="strict")
        text = show.markdown([ask(planted.commit(), "2C")])
        assert text.count("**protocol paper**") == text.count("**protocol strict**") == 3
        assert "## figure 2C, in short" in text

    def test_curves_without_a_stand_in_are_named(self, planted):
        twins = networks(planted, 2)
        copy(planted, paper("3B")["80 Epochs"], twins, twins)
        notes = show.tables(ask(planted.commit(), "2A"))[0].notes
        (absent,) = [note for note in notes if note.startswith("Not here: ")]
        assert "Disjoint Trainset" in absent
        assert "ResNet-18," not in absent

    def test_json_is_typed_and_complete(self, planted):
        more_data(planted)
        (found,) = json.loads(show.json([ask(planted.commit(), "2C")]))
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
        deviations = show.tables(ask(planted.commit(), "2C"))[2]
        assert {"what": "dataset", "paper": "cifar10", "here": "parquet"} in deviations.rows.to_pylist()
        assert "JPEG" in deviations.notes[0]
