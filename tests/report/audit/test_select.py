"""Which runs stand for which curve of the paper."""

import itertools

from support.audit_curves import NETWORK, STITCH, ask, copy, line, more_data, networks, only, paper
from support.planted_store import CUTS

from sweeper.report.audit.audit import audit


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
