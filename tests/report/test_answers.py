"""Answers: sentences that are computed from the rows of a table."""

import re

import pyarrow as pa
import pytest
from support.planted_store import CUTS, MEAN, Planted, analysis_table, rows_of

from sweeper.report.answers import FEW, answers, sentences, short_answer
from sweeper.report.question import Question
from sweeper.report.tables import Table


def _table(columns: dict[str, list], **fields: object) -> Table:
    question = Question(name="t", question="Is it so?", one_row_per="row", read_it_as="it is", sql="", **fields)  # type: ignore[arg-type]
    return Table(question, pa.table(columns), {}, {})


def _levels(planted: Planted, *levels: int) -> None:
    weak = planted.models(4)
    for number, samples in enumerate(levels):
        strong = planted.models(4, seed=10 * (number + 1), samples=samples)
        planted.stitches(strong, weak, lambda depth: 6.0, control=0.0 if number == 0 else None)


def test_an_answer_states_the_numbers_of_its_row(planted: Planted):
    _levels(planted, 1200)
    table = analysis_table(planted.commit(), "more_data")
    (row,) = rows_of(table, cut=MEAN)
    numbers = f"+{row['net_gain']:.1f} points [{row['net_gain_low']:.1f}, {row['net_gain_high']:.1f}]"
    assert short_answer(table) == [
        f"More data: better. A of 1,200 images gives B of 100 a net gain of {numbers} (mean over depth >= 0.5; "
        "4 x 4 runs; 96.7 % interval for other seeds, but the same test images)."
    ]


def test_networks_of_one_setting_are_no_answer(planted: Planted):
    _levels(planted, 1200)
    weak = planted.models(4, seed=50)
    planted.stitches(weak, weak, lambda depth: 0.0, control=0.0)
    table = analysis_table(planted.commit(), "more_data")
    assert {row["verdict"] for row in rows_of(table, cut=MEAN)} == {"better", "control"}
    assert [answer.decision for answer in answers(table)] == ["better"]


def test_many_answers_are_counted_and_all_are_given_as_sentences(planted: Planted):
    levels = [200 * (i + 1) for i in range(FEW + 1)]
    _levels(planted, *levels)
    table = analysis_table(planted.commit(), "more_data")
    assert short_answer(table) == ["More data: better in 4 of 4 comparisons."]
    assert sentences(table)[1:] == [answer.sentence for answer in answers(table)]
    assert [int(re.findall(r"A of ([\d,]+) images", text)[0].replace(",", "")) for text in sentences(table)[1:]] == (
        [row["a_samples"] for row in rows_of(table, cut=MEAN)]
    )


def test_a_missing_control_is_the_answer(planted: Planted):
    planted.stitches(planted.models(3, seed=10, samples=1200), planted.models(3), lambda depth: 9.0)
    (text,) = short_answer(analysis_table(planted.commit(), "more_data"))
    assert text.startswith("More data: no control. B was not stitched to itself with the same stitcher and settings (")


def test_cuts_are_answers_where_no_row_is_over_several(planted: Planted):
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    planted.stitches(strong, weak, lambda depth: 9.0, cuts=["block1", "block2"], control=0.0)
    texts = short_answer(analysis_table(planted.commit(), "more_data"))
    assert [re.findall(r"\(cut (\w+);", text) for text in texts] == [["block1"], ["block2"]]


def test_caveats_and_settings_that_differ_follow(planted: Planted):
    weak, strong = planted.models(4), planted.models(4, seed=10, samples=1200)
    for protocol in ("strict", "paper"):
        planted.stitches(strong, weak, lambda depth: 9.0, control=0.0, protocol=protocol, drift=1.5)
    texts = short_answer(analysis_table(planted.commit(), "more_data"))
    assert {re.findall(r"; protocol (\w+)\)", text)[0] for text in texts} == {"strict", "paper"}
    assert all(text.endswith(" Caveats: drift above 1.") for text in texts)


@pytest.mark.parametrize("name", ["zoo", "penalty_by_cut"])
def test_a_table_without_verdicts_has_a_sentence_on_all_rows(planted: Planted, name: str):
    models = planted.models(3, error=20.0)
    planted.stitches(models, models, lambda depth: 1.0, spread=0.0, noise=0.0, control=0.0)
    expected = {
        "zoo": "3 models of 1 settings, with mean test errors from 20.00 to 20.00 %.",
        "penalty_by_cut": f"{2 * len(CUTS)} mean net penalties from -1.0 to +0.0 points, without a verdict.",
    }
    assert short_answer(analysis_table(planted.commit(), name)) == [expected[name]]


def test_a_table_without_rows_or_templates_has_no_answer(empty):
    assert short_answer(analysis_table(empty, "more_data")) == []
    assert sentences(_table({"n": [1, 2]})) == []


def test_a_users_template_is_filled_from_the_row():
    table = _table({"arch": ["vit", "mlp"], "count": [1234, 5], "verdict": ["yes", "no"]}, answer="{arch}: {count}")
    assert [answer.label for answer in answers(table)] == ["Vit", "Mlp"]
    assert short_answer(table) == ["Vit: 1,234.", "Mlp: 5."]
