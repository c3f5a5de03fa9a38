"""The answers at the top of the page: the sentences of `sweeper tables --answers`, in parts."""

from support.planted_store import Planted, analysis_table

from sweeper.report.answers import FEW, answers, sentences, short_answer
from sweeper.report.page_parts.top_answers import TopSentence, top_answer


def whole(sentence: TopSentence) -> str:
    """Return a sentence as it reads on the page."""
    separator = ": " if sentence.label and not sentence.text.startswith(":") else " " * bool(sentence.label)
    caveats = f" Caveats: {sentence.caveats}." if sentence.caveats else ""
    return f"{sentence.label}{separator}{sentence.decision}{sentence.text}{caveats}"


def test_the_sentences_are_those_of_the_answers(filled_tables):
    for name, table in filled_tables.items():
        answer = top_answer(table)
        assert answer is not None
        assert (answer.table, answer.question) == (name, table.question.question)
        assert [whole(sentence) for sentence in (*answer.sentences, *answer.further)] == sentences(table)


def test_of_many_answers_the_counts_are_shown_and_the_rest_on_request(demo_tables):
    table = demo_tables["controls"]
    assert len(answers(table)) == 7 > FEW
    answer = top_answer(table)
    assert answer is not None
    assert [sentence.text for sentence in answer.sentences] == short_answer(table)
    assert (answer.request, len(answer.further)) == ("7 answers", 7)
    assert {sentence.decision for sentence in answer.further} == {"does as well", "does worse", "undecided"}


def test_a_request_says_how_many_answers_have_caveats(planted: Planted):
    for level in (200, 400, 800, 1600):
        weak, strong = planted.models(3), planted.models(3, samples=level)
        planted.stitches(strong, weak, lambda depth: 4.0, control=0.3, drift=1.5 if level > 500 else 0.4)
    answer = top_answer(analysis_table(planted.commit(), "more_data"))
    assert answer is not None
    assert answer.request == "4 answers, 2 with caveats"
    assert [bool(sentence.caveats) for sentence in answer.further].count(True) == 2


def test_a_table_without_rows_has_no_answer(empty):
    assert top_answer(analysis_table(empty, "more_data")) is None
