"""A check of SQL files: each is one statement in DuckDB's dialect, begins with a comment and has no long lines.

Usage: python tests/support/lint_sql.py sweeper analysis (a part of `make lint`).
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import sqlglot

_WIDTH = 120  # characters, the same as for Python


def problems(path: Path) -> Iterator[str]:
    """Yield the problems of a file, each as PATH:LINE: text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0].startswith("-- "):
        yield f"{path}:1: the first line is not a comment that explains the file"
    yield from (f"{path}:{n}: longer than {_WIDTH} characters" for n, line in enumerate(lines, 1) if len(line) > _WIDTH)
    try:
        statements = sqlglot.parse("\n".join(lines), dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        place = error.errors[0].get("line", 1) if isinstance(error, sqlglot.ParseError) else 1
        yield f"{path}:{place}: {error}"
    else:
        if len(statements) != 1:
            yield f"{path}:1: {len(statements)} statements instead of one"


def main() -> None:
    """Print the problems of all SQL files in the given folders; exit with 1 if there are any."""
    files = sorted(path for folder in sys.argv[1:] for path in Path(folder).rglob("*.sql"))
    texts = [text for path in files for text in problems(path)]
    print("\n".join([*texts, f"{len(files)} SQL files, {len(texts)} problems"]))
    sys.exit(bool(texts))


if __name__ == "__main__":
    main()
