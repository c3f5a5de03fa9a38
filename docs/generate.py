"""The generated pages of this folder: the job file, the commands, the views, the tables, the measures' cards. And the
JSON Schema beside the jobs, which their first lines name.

    python docs/generate.py           (or: make docs)

Each page is made from the definitions that the program itself uses (schema, cards, commands, rows, headers of the SQL
files), so the two always agree. `tests/test_docs.py` compares the pages with the stored files.
"""

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from sweeper.cli.app import app
from sweeper.cli.schema import SECTIONS, default_in_words, job_schema, type_in_words
from sweeper.report.question import find_questions
from sweeper.report.tables import ORDER
from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.cards.card import Option
from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.cards.protocols import PROTOCOLS
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.job.section import Section
from sweeper.spec.job.sweep import Sweep
from sweeper.spec.job.where import ATTRIBUTES
from sweeper.store.query.views import SAMPLES, TABLE_MACROS, legend

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py; edit its sources instead of this file. -->\n"
CARDS = "<!-- From here on written by docs/generate.py, from the cards. -->\n"

_OWN = "[stitchers.md](stitchers.md) describes how to add your own.\n"


def pages() -> dict[str, str]:
    """Return the text of each generated page, and of the JSON Schema, by file name."""
    texts = {"job.md": job(), "commands.md": commands(), "views.md": views(), "tables.md": tables()}
    schema = json.dumps(job_schema(), indent=1, ensure_ascii=False) + "\n"
    others = {"measures.md": measures(), "../jobs/job.schema.json": schema}
    return {name: NOTE + text for name, text in texts.items()} | others


def job() -> str:
    """Return the page of the job file: sections and keys from the schema, with their descriptions, then the cards."""
    definitions = job_schema()
    schemas = definitions.pop("$defs")
    parts = [
        "# The job file\n",
        "A job is a YAML file. Where a list is allowed, a single value stands for a list of one. Every list is an axis "
        "of the grid; "
        "`seed: 0..9` and `[0..2, 7]` hold a range of whole numbers, both ends included. On the command line a list "
        "needs no brackets: `stitch.0.stitcher=conv1x1,{name: conv, kernel: 3}`. Axes that are "
        "named in one `zip` advance together. `sweeper plan JOB` reports every mistake and estimates the job's cost. "
        "Editors with a YAML language server (VS Code with its YAML extension, Neovim, Emacs) complete and check a job "
        "whose first line is `# yaml-language-server: $schema=job.schema.json`; `sweeper init` writes this file beside "
        "its jobs, and `sweeper schema > job.schema.json` beside yours.\n",
    ]
    for key, section in SECTIONS.values():
        schema = definitions if section is Sweep else schemas[section.__name__]
        parts.append(f"## {key}\n\n{_prose(section)}\n")
        parts.append(_table(("key", "takes", "default", "meaning"), _keys(section, schema)))
    attributes = ", ".join(f"`{name}`" for name in ATTRIBUTES)
    parts.append(
        "## where\n\nA condition on the models of a pair, `a` (bottom) and `b` (top), such as "
        "`a.seed != b.seed and a.samples > b.samples`: comparisons, `and`, `or`, `not`, `in [..]`, arithmetic, and "
        f"these attributes of each model: {attributes}.\n"
    )
    parts.append(_cards())
    return "\n".join(parts)


def _keys(section: type[Section], schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in section.model_fields.items():
        if name in schema["properties"] and name != "options":
            takes = type_in_words(schema["properties"][name])
            yield f"`{name}`", takes, default_in_words(field), field.description or ""


def _cards() -> str:
    parts = ["## Architectures\n", _card_table(ARCHS), "## Stitchers\n", _card_table(STITCHERS), _OWN]
    parts += ["## Measures\n", _card_table(MEASURES)]
    protocols = (
        (f"`{p.name}`", p.meaning, p.steps, p.batch, f"{p.lr:g}", f"{p.top_lr:g}", p.augment)
        for p in PROTOCOLS.values()
    )
    parts += [
        "## Protocols\n",
        _table(("name", "meaning", "steps", "batch", "lr", "with `train: top`", "augment"), protocols),
    ]
    data_sets = (
        (f"`{d.name}`", d.meaning, d.train, d.test, d.classes, "x".join(map(str, d.shape)), d.holdout, d.source)
        for d in DATASETS.values()
    )
    headings = ("name", "meaning", "train", "test", "classes", "shape", "kept for stopping", "source")
    parts += ["## Data sets\n", _table(headings, data_sets)]
    return "\n".join(parts)


def _card_table(cards: Mapping[str, Any]) -> str:
    rows = ((f"`{card.name}`", card.meaning, _options(card.options)) for card in cards.values())
    return _table(("name", "meaning", "settings"), rows)


def _options(options: Mapping[str, Option]) -> str:
    return "; ".join(
        f"`{name}` ({'needed' if option.default is None else option.default}): {option.meaning}"
        for name, option in options.items()
    )


def commands() -> str:
    """Return the page of the commands, with the arguments and options that Typer has for each."""
    group: Any = typer.main.get_command(app)
    parts = [
        "# Commands\n",
        f"{group.help}\n",
        "Data goes to stdout, messages to stderr; `NO_COLOR` is respected. Exit codes: 0 complete, 1 error, 2 usage, "
        "3 finished with failed tasks, 4 store busy, 130 interrupted.\n",
        "The store is the first that is set of `--store`, `SWEEPER_STORE` and the job's `store:`; otherwise it is "
        "`runs/<job name>`. A command without a job uses the only store in `runs/`.\n",
    ]
    for name, command in group.commands.items():
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        options = [param for param in command.params if param.param_type_name == "option" and param.name != "help"]
        usage = " ".join([f"sweeper {name}", *map(_metavar, arguments), *(["[OPTIONS]"] if options else [])])
        parts += [f"## {name}\n", f"```\n{usage}\n```\n", f"{inspect.cleandoc(command.help)}\n"]
        rows = [(f"`{_metavar(param)}`", param.help or "") for param in arguments]
        rows += [(", ".join(f"`{flag}`" for flag in param.opts), param.help or "") for param in options]
        parts += [_table(("", ""), rows)] if rows else []
    return "\n".join(parts)


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name = f"{name} ..." if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def views() -> str:
    """Return the page of the views: columns, units, meanings, and sample queries."""
    columns = legend()
    parts = [
        "# Views and columns\n",
        "`sweeper sql` without a query prints these tables. Errors, penalties and gains are in points.\n",
    ]
    for view in dict.fromkeys(column[0] for column in columns):
        rows = (
            (f"`{name}`", kind, unit, meaning)
            for column_view, name, kind, unit, meaning in columns
            if column_view == view
        )
        parts += [f"## {view}\n", _table(("column", "type", "unit", "meaning"), rows)]
    parts.append("## Table macros\n")
    parts += [f"`{macro.name}({macro.parameters})`\n\n```text\n{macro.meaning}\n```\n" for macro in TABLE_MACROS]
    parts.append("## Samples\n")
    parts += [f"{sample.question}\n\n```sql\n{sample.sql}\n```\n" for sample in SAMPLES]
    return "\n".join(parts)


def measures() -> str:
    """Return the page of the measures: its hand-written introduction, unchanged, and the tables from the cards."""
    introduction = (HERE / "measures.md").read_text(encoding="utf-8").partition(CARDS)[0]
    cards = (
        (
            f"`{card.name}`",
            card.estimator,
            f"{card.range[0]:g} to {card.range[1]:g}",
            ", ".join(card.invariances),
            "yes" if card.symmetric else "no",
            card.source,
        )
        for card in MEASURES.values()
    )
    headings = ("name", "estimator", "range", "invariances", "symmetric", "source")
    return "\n".join([introduction + CARDS, _table(headings, cards), _card_table(MEASURES)])


def tables() -> str:
    """Return the page of the tables: question, rows, reading and rule of each, from the headers of `analysis/*.sql`."""
    questions = find_questions()
    parts = [
        "# Tables\n",
        "`sweeper tables [NAME ...]` prints the answer to each of these questions, computed from the rows by the "
        "template shown here, and its table in short; `--full` prints all rows with the rules, `--answers` the answers "
        "alone. Each table is one SQL file with a header; a file of your own in a folder given with `--analysis DIR` "
        "is a table as well, and may have templates: `answer` is a sentence on each row over several cuts that has a "
        "verdict, in which `{column}` stands for a value with its interval; `in all` is one on all rows, with "
        "`{rows}`, `{sum x}`, `{least x}`, `{most x}` and `{distinct x}`. `shown` names the columns of the "
        "short table.\n",
    ]
    for name in dict.fromkeys([*ORDER, *sorted(questions)]):
        question = questions[name]
        lines = {"Answer": _code(question.answer or question.in_all), "One row per": question.one_row_per}
        lines |= {"Read it as": question.read_it_as, "Rule": question.rule}
        parameters = "; ".join(f"`{p.name}` = {p.value} ({p.meaning})" for p in question.parameters)
        lines |= {"Parameters": parameters}
        parts.append(f"## {name}\n\n{question.question}\n")
        parts.append("\n".join(f"- {head}: {text}" for head, text in lines.items() if text) + "\n")
    return "\n".join(parts)


def _code(template: str) -> str:
    return f"`{template}`" if template else ""


def _prose(section: type[Section]) -> str:
    """Return the docstring of a section, or of the section that it extends, as one paragraph."""
    docs = (cls.__doc__ for cls in section.__mro__ if issubclass(cls, Section) and cls.__doc__)
    return " ".join(next(docs, "").split())


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def main() -> None:
    """Write every generated page."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
