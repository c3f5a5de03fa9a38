"""Analysis files: SQL with a header that states the question it answers.

The header consists of the comment lines at the start of a file, each `-- key: text`. A line `--   more text`, indented
by two spaces or more, continues the text before it:

    -- question: Do models trained on more images have better representations?
    -- one row per: level of A's and B's samples, and cut
    -- read it as: a gain above 0 says that A's representation is better for B's top than B's own
    -- rule: better where the interval lies above 0                  (optional: how a verdict is reached)
    -- parameter: margin = 1.0 (points)                              (optional, any number: `$margin` in the SQL)
    -- parameter: images = sampled | fixed (what is random)            (a word out of several, the first by default)
    -- sections: a_samples, b_samples         (optional: columns whose values form the headings of groups of rows)
    -- settings: protocol, stitcher           (optional: columns that move to the caption if they don't vary)
    -- beneath: trend                         (optional: columns that are shown below the table, equal values once)
    -- answer: More data: {verdict}. The net gain is {net_gain}   (optional: a sentence on each row over several cuts)
    -- in all: {rows} rows, from {least gain} to {most gain}   (optional: a sentence on all rows; `answers.py`)
    -- shown: cut, gain, verdict              (optional: the columns of a short table; otherwise all)
    -- about: tasks                           (optional: on tasks, not on results; a line beside other short tables)

After the header comes one SELECT over the views of a store.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from sweeper.errors import Mistake, UsageError, did_you_mean
from sweeper.resources import analysis_dir

REQUIRED = ("question", "one row per", "read it as")
_KEYS = (*REQUIRED, "rule", "parameter", "sections", "settings", "beneath", "answer", "in all", "shown", "about")
_ENTRY = re.compile(r"--\s?(?P<key>[a-z][a-z ]*?)\s*:\s*(?P<text>.*)")
_CONTINUATION = re.compile(r"--\s{2,}(?P<text>\S.*)")
_PARAMETER = re.compile(r"(?P<name>[a-z_]\w*)\s*=\s*(?P<value>[^\s(]+(?:\s*\|\s*[^\s(|]+)*)\s*(?:\((?P<meaning>.*)\))?")
_COLUMN = re.compile(r"[A-Za-z_]\w*")
_OVER_ROWS = re.compile(r"rows|(sum|least|most|distinct) [A-Za-z_]\w*")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

Value = int | float | str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number (or word) that the SQL reads as `$name`; `choices` are the words that it may be, if it is one."""

    name: str
    value: Value
    meaning: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """An analysis file: its header and its SQL."""

    name: str
    question: str
    one_row_per: str
    read_it_as: str
    sql: str
    rule: str = ""
    parameters: tuple[Parameter, ...] = ()
    sections: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    beneath: tuple[str, ...] = ()
    answer: str = ""
    in_all: str = ""
    shown: tuple[str, ...] = ()
    about_tasks: bool = False
    path: Path = field(default=Path(), compare=False)

    def arguments(self, given: Mapping[str, Value] | None = None) -> dict[str, Value]:
        """Return the value of each parameter by name: from `given` if it has the name, else the default."""
        return {p.name: (given or {}).get(p.name, p.value) for p in self.parameters}


@dataclass(slots=True)
class _HeaderLine:
    key: str
    text: str
    line: int


def read_question(path: Path) -> Question:
    """Read an analysis file.

    Raises:
        UsageError: The header is missing or malformed; the message has the file and line.
    """
    name = path.name.removesuffix(".sql")
    if not _NAME.fullmatch(name):
        _refuse(path, 1, f"{path.name!r} can't be the name of a table", "letters, digits, _ and -")
    try:
        sql = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't be read ({error})") from error
    entries, end = _header(path, sql.splitlines())
    entry_by_key = _entries_by_key(path, entries)
    parameters = tuple(_parameter(path, entry) for entry in entries if entry.key == "parameter")
    _check_parameters(path, parameters, sql.splitlines(), end)
    return Question(
        name=name,
        question=entry_by_key["question"].text,
        one_row_per=entry_by_key["one row per"].text,
        read_it_as=entry_by_key["read it as"].text,
        rule=_text(entry_by_key.get("rule")),
        parameters=parameters,
        sections=_columns(path, entry_by_key.get("sections")),
        settings=_columns(path, entry_by_key.get("settings")),
        beneath=_columns(path, entry_by_key.get("beneath")),
        answer=_template(path, entry_by_key.get("answer"), _COLUMN),
        in_all=_template(path, entry_by_key.get("in all"), _OVER_ROWS),
        shown=_columns(path, entry_by_key.get("shown")),
        about_tasks=_is_about_tasks(path, entry_by_key.get("about")),
        sql=sql,
        path=path,
    )


def find_questions(folders: Iterable[Path] = ()) -> dict[str, Question]:
    """Return the analysis files by name: those of Sweeper, then those in `folders`; later ones replace earlier ones.

    Raises:
        UsageError: A folder doesn't exist or has no such file, or a file has a malformed header.
    """
    questions: dict[str, Question] = {}
    for folder in (analysis_dir(), *map(Path, folders)):
        files = sorted(folder.glob("*.sql"))
        if not files:
            raise UsageError(f"--analysis {folder}: {_no_analysis(folder)}")
        questions |= {question.name: question for question in map(read_question, files)}
    return questions


def _no_analysis(folder: Path) -> str:
    """Return why a folder has no analysis files, and what would be right."""
    if folder.is_dir():
        return "the folder has no analysis file; put one there whose name ends with .sql"
    if folder.exists():
        return f"this is a file; name the folder that holds it: {folder.parent}"
    return "there is no such folder; name one that holds analysis files (*.sql)"


def _header(path: Path, lines: list[str]) -> tuple[list[_HeaderLine], int]:
    """Return the entries of the header, and the number of the first line after it."""
    entries: list[_HeaderLine] = []
    number = 0
    for number, line in enumerate(lines, start=1):
        if not line.startswith("--"):
            break
        if (continuation := _CONTINUATION.fullmatch(line)) and entries:
            entries[-1].text += " " + continuation["text"].strip()
        elif entry := _ENTRY.fullmatch(line):
            entries.append(_HeaderLine(entry["key"], entry["text"].strip(), number))
        else:
            _refuse(path, number, f"not a header line: {line.strip()!r}", "`-- key: text`, or `--   more of the text`")
    else:
        _refuse(path, max(number, 1), "no SQL after the header")
    if not entries:
        _refuse(path, 1, "no header", f"begin with `-- {': ...`, `-- '.join(REQUIRED)}: ...`")
    return entries, number


def _entries_by_key(path: Path, entries: list[_HeaderLine]) -> dict[str, _HeaderLine]:
    entry_by_key: dict[str, _HeaderLine] = {}
    for entry in entries:
        if entry.key not in _KEYS:
            suggestion = did_you_mean(entry.key, _KEYS) or f"one of: {', '.join(_KEYS)}"
            _refuse(path, entry.line, f"there is no header key {entry.key!r}", suggestion)
        if not entry.text:
            _refuse(path, entry.line, f"the header key {entry.key!r} has no text")
        if entry.key in entry_by_key and entry.key != "parameter":
            _refuse(
                path,
                entry.line,
                f"the header has a second {entry.key!r}",
                f"first on line {entry_by_key[entry.key].line}",
            )
        entry_by_key[entry.key] = entry
    for key in REQUIRED:
        if key not in entry_by_key:
            _refuse(path, 1, f"the header has no {key!r}", f"add a line `-- {key}: ...`")
    return entry_by_key


def _parameter(path: Path, entry: _HeaderLine) -> Parameter:
    match = _PARAMETER.fullmatch(entry.text)
    if match is None:
        _refuse(path, entry.line, f"not a parameter: {entry.text!r}", "`name = value (meaning)`")
    first, *others = (word.strip() for word in match["value"].split("|"))
    choices = (first, *others) if others else ()
    return Parameter(match["name"], first if choices else parse_parameter(first), match["meaning"] or "", choices)


def _check_parameters(path: Path, parameters: tuple[Parameter, ...], lines: list[str], end: int) -> None:
    """Check that each parameter is declared once and used, and that each one used is declared."""
    declared = [parameter.name for parameter in parameters]
    used = {
        name: number
        for number, line in enumerate(lines[end - 1 :], start=end)
        for name in re.findall(r"\$([a-z_]\w*)", line.split("--")[0])
    }
    for name, number in used.items():
        if name not in declared:
            _refuse(path, number, f"${name} is not declared", f"add `-- parameter: {name} = ...` to the header")
    for name in declared:
        if name not in used:
            _refuse(path, 1, f"the parameter {name} is not used", f"${name} in the SQL")
        if declared.count(name) > 1:
            _refuse(path, 1, f"the parameter {name} is declared twice")


def parse_parameter(text: str) -> Value:
    """Parse a parameter's value: an integer, a float or a word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def placeholders(template: str) -> list[str]:
    """Return the texts in braces in a template, such as "net_gain" or "least error"."""
    return _PLACEHOLDER.findall(template)


def filled(template: str, texts: Mapping[str, str]) -> str:
    """Return a template with the text of each of its placeholders."""
    return _PLACEHOLDER.sub(lambda match: texts[match[1]], template)


def _text(entry: _HeaderLine | None) -> str:
    return entry.text if entry else ""


def _template(path: Path, entry: _HeaderLine | None, allowed: re.Pattern[str]) -> str:
    """Return the template of a sentence.

    Raises:
        UsageError: A placeholder can't be filled in, or a sentence on a row doesn't begin with a label.
    """
    if entry and allowed is _COLUMN and ": " not in entry.text:
        _refuse(path, entry.line, f"{entry.key}: {entry.text}", "a label, a colon and a sentence")
    for name in placeholders(_text(entry)):
        if entry and not allowed.fullmatch(name):
            choices = "a column" if allowed is _COLUMN else "{rows}, or {sum x}, {least x}, {most x}, {distinct x}"
            _refuse(path, entry.line, f"{entry.key}: {{{name}}} can't be filled in", choices)
    return _text(entry)


def _is_about_tasks(path: Path, entry: _HeaderLine | None) -> bool:
    if entry and entry.text not in ("tasks", "results"):
        _refuse(path, entry.line, f"about: {entry.text}", "`tasks`, or `results` (the default)")
    return entry is not None and entry.text == "tasks"


def _columns(path: Path, entry: _HeaderLine | None) -> tuple[str, ...]:
    if entry is None:
        return ()
    names = tuple(name.strip() for name in entry.text.split(","))
    for name in names:
        if not _COLUMN.fullmatch(name):
            _refuse(path, entry.line, f"{entry.key}: {name!r} is not a column", "names, separated by commas")
    return names


def _refuse(path: Path, line: int, problem: str, correction: str = "") -> NoReturn:
    raise UsageError(str(Mistake(problem=problem, correction=correction, file=str(path), line=line, column=1)))
