"""The problem of a text that isn't YAML, in words for a person who doesn't know the grammar of YAML."""

import re
from typing import NamedTuple

from ruamel.yaml.error import MarkedYAMLError

_STAR = "a * begins an alias in YAML; give the values, or write '*' in quotes"
_COLUMNS = "keys of one mapping, and items of one list, begin in the same column"
_NO_TOKEN = re.compile(r"found character '(.+)' that cannot start any token", re.DOTALL)
_NOT_CLOSED = re.compile(r"expected ',' or '([\]}])', but got '(.*)'", re.DOTALL)
_NOT_ENDED = re.compile(r"expected <block end>, but found '(.+)'")


class YamlProblem(NamedTuple):
    """A problem, its correction if one is known, and its place: line and column count from 1, and are 0 if unknown."""

    problem: str
    correction: str
    line: int
    column: int


def yaml_problem(error: MarkedYAMLError) -> YamlProblem:
    """Return the problem that an error of the YAML library is about."""
    words = _in_plain_words(error)
    mark = error.problem_mark or error.context_mark
    if error.context_mark and error.problem in ("could not find expected ':'", "found unexpected end of stream"):
        mark = error.context_mark  # where the key or the quoted text begins; the other mark is where the search ended
    return YamlProblem(*words, mark.line + 1 if mark else 0, mark.column + 1 if mark else 0)


def _in_plain_words(error: MarkedYAMLError) -> tuple[str, str]:
    """Return the problem and its correction ("": none is known)."""
    problem, context = error.problem or "", error.context or ""
    if match := _NO_TOKEN.fullmatch(problem):
        return _wrong_beginning(match[1])
    if match := _NOT_CLOSED.fullmatch(problem):
        return _not_closed(error, *match.groups())
    if match := _NOT_ENDED.fullmatch(problem):
        return _not_ended(match[1])
    if problem == "mapping values are not allowed here":
        return (
            "this ':' belongs to no key",
            f"write a text that has ': ' in quotes, and a ':' after each key; {_COLUMNS}",
        )
    if problem == "could not find expected ':'":
        return "a ':' is missing after a key", "write key: value"
    if problem == "found unexpected end of stream" and "quoted" in context:
        return "the closing quote is missing of the text that begins here", "end it with the same quote"
    is_star = context == "while scanning an alias" or problem.startswith("found undefined alias")
    text = ", ".join(part for part in (context, problem) if part).replace("\0", "its end")
    return text, _STAR if is_star else ""


def _wrong_beginning(character: str) -> tuple[str, str]:
    if character in ("\t", r"\t"):
        return "a tab can't indent a line", "indent it with spaces"
    return f"a value can't begin with {character}", "write the value in quotes"


def _not_closed(error: MarkedYAMLError, bracket: str, token: str) -> tuple[str, str]:
    kind, opening = ("list", "[") if bracket == "]" else ("mapping", "{")
    where = "at the end" if "stream end" in token else "before this"
    begin = error.context_mark
    place = f" in line {begin.line + 1}, column {begin.column + 1}" if begin else ""
    return f"a comma or {bracket} is missing {where}", f"the {kind} begins with {opening}{place}"


def _not_ended(token: str) -> tuple[str, str]:
    if token in ("]", "}"):
        return f"this {token} closes nothing", "leave it out, or write the value in quotes"
    if token == "<scalar>":
        return "text follows a value that has ended", "write the whole value in quotes, and a ' between '...' twice"
    return "the indentation doesn't fit the lines above", _COLUMNS
