"""The assignment of runs to the curves of the paper."""

import itertools
from dataclasses import replace

import pytest
from support.audit_curves import (
    NETWORK,
    STITCH,
    figure_audit,
    only_comparison,
    paper_curves,
    plant_curve,
    plant_more_data,
    plant_networks,
    summary_of,
)
from support.planted_store import CUTS

from sweeper.report.audit.audit import audit


def test_the_level_nearest_to_the_papers_is_compared_with_a_curve(planted):
    tops = planted.models(2, samples=100)
    for samples, penalty in ((30, 5.0), (60, 6.0), (300, -7.0), (1200, -8.0)):
        for a in planted.models(2, seed=samples, samples=samples):
            for b in tops:
                planted.stitch(a, b, "block6", -penalty)
    comparison = only_comparison(planted.commit(), "2C")
    middle = {point.curve: point.here.mean for point in comparison.points if point.cut == "block6"}
    assert middle == {"5K samples": 6.0, "25K samples": -7.0}
    assert (summary_of(comparison, "5K samples").level, summary_of(comparison, "25K samples").level) == (0.6, 3.0)
    assert (summary_of(comparison, "5K samples").others, summary_of(comparison, "25K samples").others) == (1, 1)
    assert comparison.absent == ("10K samples",)
    deviations = {deviation.what: (deviation.paper, deviation.here) for deviation in comparison.deviations}
    assert deviations["25K samples: A's images over B's"] == (2.5, 3.0)
    assert deviations["samples"] == (10_000, 100)
    assert deviations["places on the axis"] == (10, 1)


def test_among_schedules_at_the_same_level_that_of_b_is_compared(planted):
    """Plant bottoms of B's schedule and of another one; the latter are counted as other pairs."""
    top = planted.models(2, steps=100, schedule_steps=400)
    for steps, schedule, penalty in ((200, 400, -1.0), (200, 200, -5.0)):
        for a in planted.models(2, seed=schedule, steps=steps, schedule_steps=schedule):
            for b in top:
                planted.stitch(a, b, "block6", -penalty)
    comparison = only_comparison(planted.commit(), "3B")
    assert [(point.cut, point.here.mean) for point in comparison.points] == [("block6", -1.0), ("(A alone)", 0.0)]
    assert summary_of(comparison, "160 Epochs").others == 1


def test_models_of_one_setting_are_compared_with_figure_2a_only(planted):
    models = plant_networks(planted, 3)  # an interval leaves out one run at a time, which needs pairs of other runs
    plant_curve(planted, paper_curves("3B")["80 Epochs"], models, models)
    store = planted.commit()
    assert [result.figure.name for result in audit(store) if result.compared] == ["2A"]


def test_each_setting_has_a_comparison_of_its_own(planted):
    plant_more_data(planted)
    plant_more_data(planted, factor=-1, protocol="strict")
    plant_more_data(planted, factor=-1, lr=1e-4)
    compared = figure_audit(planted.commit(), "2C").compared
    taus = [
        (comparison.setting["protocol"], comparison.setting["lr"], summary_of(comparison).tau)
        for comparison in compared
    ]
    assert taus[0] == ("paper", 1e-3, 1)  # the nearest to the paper first
    assert sorted(taus[1:]) == [("paper", 1e-4, -1), ("strict", 1e-3, -1)]


@pytest.mark.parametrize("sender", ["label", "noise"])
def test_a_stitcher_that_does_not_read_the_bottom_is_in_no_comparison(planted, sender: str):
    models = plant_networks(planted, 3)
    plant_curve(planted, paper_curves("3B")["80 Epochs"], models, models)
    (before,) = [result for result in audit(planted.commit()) if result.compared]
    for a, b in itertools.permutations(models, 2):
        planted.stitch(a, b, "block6", 40.0, sender=sender, **STITCH)
    (after,) = [result for result in audit(planted.commit()) if result.compared]
    assert replace(after, remarks=()) == replace(before, remarks=())  # the remarks name the versions of the store


def test_only_restricts_the_audit_to_the_tasks_of_a_job(planted):
    plant_more_data(planted)
    tasks = [row.task for row in planted.rows if not hasattr(row, "cut_a") or row.cut_a == "block6"]
    assert {point.cut for point in only_comparison(planted.commit(), "2C", only=tasks).points} == {
        "block6",
        "(A alone)",
    }


def test_more_training_takes_other_runs_and_self_stitches_for_80_epochs(planted):
    figure = paper_curves("3B")
    snapshots = {steps: [] for steps in (16_000, 32_000, 64_000)}
    for seed in range(3):
        for steps, models in snapshots.items():
            models.append(
                planted.model(
                    seed=seed, training=f"{seed:032x}", **(NETWORK | {"steps": steps, "schedule_steps": 64_000})
                )
            )
    for steps, name in ((16_000, "40 Epochs"), (64_000, "160 Epochs")):
        for a in snapshots[steps]:
            for b in snapshots[32_000]:
                same_run = a.training == b.training
                plant_curve(planted, figure[name], [a], [b], factor=-9 if same_run else 1)
    for b in snapshots[32_000]:
        for cut, _, depth in CUTS:
            planted.stitch(b, b, cut, -figure["80 Epochs"].at(depth).value, **STITCH)
    comparison = only_comparison(planted.commit(), "3B")
    assert {point.size for point in comparison.points if point.cut != "(A alone)"} == {"agrees"}
    assert summary_of(comparison, "40 Epochs").level == 0.5
    assert [point.curve for point in comparison.points if point.cut == "(A alone)"] == ["40 Epochs", "160 Epochs"]


def test_widths_are_assigned_by_their_ratio(planted):
    figure = paper_curves("3C")
    tops = plant_networks(planted, 2, width=8)
    for width, name in ((4, "Width 0.125x"), (32, "Width 1x")):
        plant_curve(planted, figure[name], plant_networks(planted, 2, seed=width, width=width), tops)
    comparison = only_comparison(planted.commit(), "3C")
    assert {point.size for point in comparison.points if point.cut != "(A alone)"} == {"agrees"}
    assert comparison.absent == ("Width 0.25x", "Width 2x")
    assert not any("A's width over B's" in deviation.what for deviation in comparison.deviations)
    assert ("width", 16, 8) in {
        (deviation.what, deviation.paper, deviation.here) for deviation in comparison.deviations
    }


def test_label_noise_is_assigned_by_its_share(planted):
    tops = plant_networks(planted, 2)
    for noise, name in ((0.1, "10% Label Noise"), (0.5, "50% Label Noise"), (0.9, "100% Label Noise")):
        plant_curve(
            planted,
            paper_curves("3A")[name],
            plant_networks(planted, 2, seed=round(100 * noise), label_noise=noise),
            tops,
        )
    comparison = only_comparison(planted.commit(), "3A")
    assert {point.size for point in comparison.points} == {"agrees"}
    assert summary_of(comparison, "100% Label Noise").level == 0.9
    assert comparison.absent == ("Object-Animal",)


def test_label_noise_of_the_papers_kind_is_preferred(planted):
    """Plant labels drawn from ten classes (the paper's text), from the other nine (its code), and joined classes."""
    tops = plant_networks(planted, 2)
    for noise, name in ((0.1, "10% Label Noise"), (0.5, "50% Label Noise"), (1.0, "100% Label Noise")):
        settings = {"seed": round(100 * noise), "label_noise": noise}
        plant_curve(
            planted,
            paper_curves("3A")[name],
            plant_networks(planted, 2, **settings, label_noise_kind="any_class"),
            tops,
        )
        plant_curve(
            planted,
            paper_curves("3A")[name],
            plant_networks(planted, 2, **settings, label_noise_kind="other_class"),
            tops,
            factor=-1,
        )
    plant_curve(
        planted, paper_curves("3A")["Object-Animal"], plant_networks(planted, 2, seed=200, labels="object_animal"), tops
    )
    comparison = only_comparison(planted.commit(), "3A")
    assert len(comparison.points) == 4 * len(CUTS)
    assert {point.size for point in comparison.points} == {"agrees"}
    assert summary_of(comparison, "10% Label Noise").others == 1
    assert comparison.absent == ()


def test_objectives_of_a_and_of_b_are_distinguished(planted):
    supervised = plant_networks(planted, 3)
    simclr = plant_networks(planted, 3, seed=9, objective="simclr", temperature=0.5)
    figure = paper_curves("6B")
    plant_curve(planted, figure["SimCLR Bottom, E2E Top"], simclr, supervised, lr=1e-4)
    plant_curve(planted, figure["SimCLR Top, E2E Bottom"], supervised, simclr, lr=1e-4)
    plant_curve(planted, figure["Random Initialization"], supervised, supervised, lr=1e-4)
    for a in simclr:
        planted.similarity(a, supervised[0], "block4", 0.53)
        planted.similarity(a, supervised[0], "pool", 0.65)
    store = planted.commit()
    comparison = only_comparison(store, "6B")
    assert [summary_of(comparison, name).points for name in figure] == [len(CUTS)] * 3
    assert {point.size for point in comparison.points} == {"agrees"}
    assert comparison.absent == ()
    assert [(point.x, round(point.difference, 2)) for point in only_comparison(store, "6A").points] == [
        (4.0, 0.0),
        (10.0, 0.0),
    ]


def test_figure_4_compares_stitchers_of_several_kernel_sizes(planted):
    tops = plant_networks(planted, 3, error=8.0)
    for kernel, error in ((1, 11.0), (9, 12.2)):
        for cut in ("block2", "block5", "block8"):
            options = f'{{"depth":1,"kernel":{kernel},"norm":true}}'
            gain = 8.0 - error if cut == "block5" else -0.3
            for a, b in itertools.permutations(tops, 2):
                planted.stitch(a, b, cut, gain, **STITCH, stitcher="conv", options=options)
    comparison = only_comparison(planted.commit(), "4")
    first_curve_points = [point for point in comparison.points if "first" in point.curve]
    assert [(point.cut, point.x, round(point.paper.value)) for point in first_curve_points] == [
        ("block5", 1, 11),
        ("block5", 9, 12),
    ]
    assert {point.size for point in first_curve_points} == {"agrees"}
    assert len(comparison.points) == 6
    assert ("places on the axis", 5, 2) in {
        (deviation.what, deviation.paper, deviation.here) for deviation in comparison.deviations
    }


def test_figure_8_distinguishes_fine_tuning_from_stitching(planted):
    """Compare depth 3/19 with cut 13.5 of a ResNet-164, which is as deep and lies between markers at 9 and 14."""
    settings = {"arch": "resnet_cifar", "width": 16}
    tops, random = plant_networks(planted, 2, **settings), plant_networks(planted, 2, seed=9, **settings | {"steps": 0})
    for name, train in (("Stitching", "stitcher"), ("Finetuning", "top")):
        value = paper_curves("8")[name].at((3 / 19 * 165 + 1) / 2).value
        for a, b in itertools.product(random, tops):
            planted.stitch(a, b, "block1", -value, **STITCH, train=train)
    comparison = only_comparison(planted.commit(), "8")
    assert [(point.curve, point.cut) for point in comparison.points] == [
        ("Stitching", "block1"),
        ("Finetuning", "block1"),
    ]
    assert {round(point.difference, 6) for point in comparison.points} == {0}
    assert summary_of(comparison).tau == 1


def test_networks_with_frozen_layers_are_compared_with_figure_9(planted):
    few_images = plant_networks(planted, 3, samples=5_000, steps=64_000, error=52.0)
    plant_networks(planted, 3, seed=1, error=8.3)
    donors = {"init": few_images[0].task, "frozen": "conv1,block7,block8,pool"}
    plant_networks(planted, 3, seed=2, error=18.0, **donors)
    plant_networks(planted, 3, seed=3, error=70.0, width=32)  # another network
    plant_networks(planted, 3, seed=4, error=70.0, steps=100, schedule_steps=64_000)  # and an early one
    comparison = only_comparison(planted.commit(), "9")
    assert {(point.curve, point.here.mean, point.size) for point in comparison.points} == {
        ("5K samples", 52.0, "agrees"),
        ("50K samples", 8.3, "agrees"),
        ("Freeze trained", 18.0, "disagrees"),
    }
    assert summary_of(comparison).tau == 1
    assert summary_of(comparison, "5K samples").level == 10
    assert "50K samples" not in {deviation.what for deviation in comparison.deviations}


@pytest.mark.parametrize("resets", [("ends",), ("ends_torch",), ("ends", "ends_torch")])
def test_the_authors_random_network_is_preferred(planted, resets: tuple[str, ...]):
    """Prefer copies whose ends were drawn by torch to other copies, and these to independent networks."""
    tops = plant_networks(planted, 3)
    copies = [
        (reset, top, planted.model(**NETWORK | {"steps": 0, "init": top.task, "reset": reset}))
        for reset in resets
        for top in tops
    ]
    independent_networks = plant_networks(planted, 2, seed=9, steps=0)
    for cut, position, _ in CUTS:
        value = paper_curves("5")["Stitched Model"].at(position / 12).value
        for reset, top, copied in copies:
            planted.stitch(copied, top, cut, -value if reset == resets[-1] else value, **STITCH)
        for a in independent_networks:
            for b in tops:
                planted.stitch(a, b, cut, value, **STITCH)
    comparison = only_comparison(planted.commit(), "5")
    assert {point.difference for point in comparison.points} == {0}
    assert summary_of(comparison, "Stitched Model").others == len(resets)


def test_a_pre_activation_resnet_is_preferred_for_the_papers_resnet_164(planted):
    curve = paper_curves("2A")["ResNet-164"]
    for arch, factor in (("resnet_cifar", -1), ("preact_resnet_cifar", 1)):
        tops = plant_networks(planted, 3, seed=10 * factor + 10, arch=arch, options='{"blocks": 27, "width": 64}')
        plant_curve(planted, curve, tops, tops, factor)
    comparison = only_comparison(planted.commit(), "2A")
    assert {point.curve for point in comparison.points} == {"ResNet-164"}
    assert {point.size for point in comparison.points} == {"agrees"}
    assert summary_of(comparison, "ResNet-164").others == 1


def test_a_random_bottom_is_compared_with_figures_5_and_2a(planted):
    """Convert depths: x is position / 12 in figure 5 and k / 18 in figure 2A, where a ResNet-18's depth is k / 19."""
    tops, random = plant_networks(planted, 2), plant_networks(planted, 2, seed=9, steps=0)
    grid = {cut: min(depth * 19, 17) / 18 for cut, _, depth in CUTS}
    for cut, position, _ in CUTS:
        reading_5, reading_2a = (
            paper_curves("5")["Stitched Model"].at(position / 12),
            paper_curves("2A")["Random Network"].at(grid[cut]),
        )
        assert abs(reading_5.value - reading_2a.value) < 0.2  # the same experiment, read off two panels
        for a in random:
            for b in tops:
                planted.stitch(a, b, cut, -reading_5.value, **STITCH)
    store = planted.commit()
    assert {point.difference for point in only_comparison(store, "5").points} == {0}
    comparison_2a = only_comparison(store, "2A")
    assert [point.curve for point in comparison_2a.points] == ["Random Network"] * len(CUTS)
    assert max(abs(point.difference) for point in comparison_2a.points) < 0.2


def test_networks_of_several_widths_are_compared_with_the_curves_of_2a(planted):
    for width, name in ((32, "ResNet-18 w0.5x"), (64, "ResNet-18"), (100, "ResNet-18 w2x")):
        models = plant_networks(planted, 3, seed=width, width=width)
        for a in models:
            for b in models:
                for cut, _, depth in CUTS if a.task != b.task else ():
                    planted.stitch(
                        a, b, cut, -paper_curves("2A")[name].at(depth * 19 / 18).value, **(STITCH | {"lr": 5e-4})
                    )
    comparison = only_comparison(planted.commit(), "2A")
    assert {point.size for point in comparison.points} == {"agrees"}
    assert summary_of(comparison).tau == 1
    assert ("ResNet-18 w2x: B's width", 128, 100) in {(d.what, d.paper, d.here) for d in comparison.deviations}


def test_the_sign_of_cka_is_not_compared(planted):
    weak, strong = planted.models(2, samples=5_000), planted.models(2, seed=5, samples=25_000)
    for a in strong:
        for b in weak:
            planted.similarity(a, b, "block8", 0.4)
            planted.similarity(a, b, "pool", 0.9)
    comparison = only_comparison(planted.commit(), "7")
    assert [(point.cut, point.sign, point.size) for point in comparison.points] == [
        ("block8", None, "agrees"),
        ("pool", None, "disagrees"),
    ]
    assert summary_of(comparison).same_sign is None
