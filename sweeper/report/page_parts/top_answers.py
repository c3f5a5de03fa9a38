"""The answers at the top of the page: for each question its sentences, with their verdicts and caveats apart."""

from dataclasses import dataclass

from sweeper.report.answers import FEW, Answer, answers, short_answer
from sweeper.report.tables import Table
from sweeper.spec.content.wording import count_of


@dataclass(frozen=True, slots=True)
class TopSentence:
    """A sentence in four parts: its label, the decision, all else, and the caveats; parts that it lacks are empty."""

    label: str
    decision: str
    text: str
    caveats: str = ""


@dataclass(frozen=True, slots=True)
class TopAnswer:
    """The answer to a question.

    `sentences` are always shown. `further` are shown on request, under the text `request`, because they are many.
    """

    table: str
    question: str
    sentences: tuple[TopSentence, ...]
    request: str = ""
    further: tuple[TopSentence, ...] = ()


def top_answer(table: Table) -> TopAnswer | None:
    """Return the answer of a table, or None if it has no rows or its header has no template."""
    texts, answered = short_answer(table), answers(table)
    if not texts:
        return None
    name, question = table.name, table.question.question
    in_parts = tuple(map(_in_parts, answered))
    if 0 < len(answered) <= FEW:
        return TopAnswer(name, question, in_parts)
    in_short = tuple(TopSentence("", "", text) for text in texts)
    return TopAnswer(name, question, in_short, _request(answered), in_parts)


def _in_parts(answer: Answer) -> TopSentence:
    statement = answer.text.removeprefix(f"{answer.label}: ")
    if not statement.startswith(answer.decision):
        return TopSentence(answer.label, answer.decision, f": {statement}", answer.caveats)
    return TopSentence(answer.label, answer.decision, statement.removeprefix(answer.decision), answer.caveats)


def _request(answered: list[Answer]) -> str:
    """Return "5 answers, 2 with caveats"; empty if there is none."""
    doubted = sum(bool(answer.caveats) for answer in answered)
    caveats = f", {doubted} with caveats" if doubted else ""
    return f"{count_of(len(answered), 'answer')}{caveats}" if answered else ""
