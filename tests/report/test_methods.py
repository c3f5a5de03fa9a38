"""The paragraph on methods."""

import re

from support.planted_store import Planted

from sweeper.report.methods import methods_paragraph


def digest(text: str) -> str:
    return re.findall(r"all tasks: ([0-9a-f]{64})\.", text)[0]


def test_its_counts_are_those_of_the_store(planted: Planted):
    weak, strong = planted.models(3), planted.models(4, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 1.0, cuts=["block6"], control=0.0)
    planted.run()
    text = methods_paragraph(planted.commit(), margin=2.5)
    assert (
        "We compared 7 networks of 2 settings (3 to 4 seeds of each; 7 training runs) on digits (content dddd" in text
    )
    assert "in 12 stitches and 3 control stitches (conv1x1 under strict)." in text
    assert "with a margin of 2.5 points" in text
    assert "No task failed." in text
    assert "other seeds on the same test images" in text


def test_the_digest_is_that_of_the_results_not_of_the_files(planted: Planted):
    models = planted.models(3)
    rows = planted.rows
    first = digest(methods_paragraph(planted.commit()))
    planted.rows = rows[:1]
    assert digest(methods_paragraph(planted.commit())) == first
    planted.stitch(models[0], models[1], "block6", 1.0)
    assert digest(methods_paragraph(planted.commit())) != first


def test_a_store_without_results_has_a_paragraph(empty):
    text = methods_paragraph(empty)
    assert "We compared 0 networks" in text
    assert "none, as there are no results" in text
