"""Tests of the option --as-of: the numbers that a command printed are printed again, whatever came since."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.compaction import compact
from support.toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.spec.job.load import load

QUERY = "SELECT count(*) AS models, sum(test_error) AS error FROM models"


@pytest.fixture
def grow(job, complete_store):
    """Return a function that adds models and stitches to the store, and compacts it."""

    def add() -> None:
        larger = job.with_name("larger.yaml")
        larger.write_text(job.read_text().replace("name: toy", "name: larger").replace("[10, 11]", "[10, 11, 12]"))
        done = Plan.of(load(job)).ids()
        fill(larger, Path(complete_store.url), without=done, start={"task": "r2", "run": "r2"})
        compact(complete_store)
        complete_store.commit([], run="r3", worker="w")

    return add


def version_in(text: str) -> str:
    """Return the version that a text names as the one it shows."""
    (digest,) = set(re.findall(r"Version ([0-9a-f]{16}) of the store", text))
    return digest


@pytest.mark.parametrize("format", ["table", "markdown", "latex", "json"])
def test_a_cited_table_is_printed_again_after_more_came_and_was_compacted(sweeper, complete_store, grow, format):
    before = sweeper("tables", "-f", format)
    digest = version_in(before.stdout)
    grow()
    after = sweeper("tables", "-f", format)
    assert version_in(after.stdout) != digest
    assert after.stdout != before.stdout
    again = sweeper("tables", "-f", format, "--as-of", digest)
    assert (again.returncode, again.stdout, again.stderr) == (0, before.stdout, "")
    assert sweeper("tables", "-f", format, "--as-of", digest[:8]).stdout == before.stdout


@pytest.mark.parametrize("options", [("zoo", "-f", "csv"), ("--answers",)])
def test_the_version_of_a_text_without_notes_is_said_on_stderr(sweeper, complete_store, options):
    result = sweeper("tables", *options)
    assert (result.returncode, result.stderr.count("\n")) == (0, 1)
    assert version_in(result.stderr) == complete_store.pinned().version


def test_sql_audit_and_methods_read_the_version(sweeper, complete_store, grow):
    (table,) = json.loads(sweeper("tables", "zoo", "--json").stdout)
    commands = (("sql", QUERY, "--json"), ("audit", "2C", "--json"), ("methods",))
    before = [sweeper(*command).stdout for command in commands]
    time = datetime.now(UTC)
    assert f"Version of the store: {table['version']};" in " ".join(before[2].split())
    grow()
    assert json.loads(before[0])[0]["models"] + 1 == json.loads(sweeper("sql", QUERY, "--json").stdout)[0]["models"]
    assert [sweeper(*command, "--as-of", table["version"]).stdout for command in commands] == before
    assert sweeper("sql", QUERY, "--json", "--as-of", time.isoformat()).stdout == before[0]


def test_the_page_of_a_version_is_a_file_of_its_own(sweeper, complete_store, grow):
    page = Path(sweeper("report").stdout.strip())
    before, digest = page.read_text(), version_in(page.read_text())
    grow()
    after = Path(sweeper("report").stdout.strip()).read_text()
    again = Path(sweeper("report", "--as-of", digest).stdout.strip())
    assert again.name == f"report-{digest}.html"
    assert page.read_text() == after
    body = re.compile(r"Written by Sweeper.*")
    assert body.sub("", again.read_text()) == body.sub("", before) != body.sub("", after)


@pytest.mark.parametrize(
    ("moment", "code", "problem"),
    [
        ("abcdef", 1, "has no version abcdef; it has kept none yet"),
        ("1999-01-01", 1, "the store has no results as of 1999-01-01 00:00:00 UTC; its first results were made at"),
        ("3000-01-01", 2, "this time has not come yet"),
        ("yesterday", 2, "give the digest of a version"),
    ],
)
def test_what_names_no_version_is_one_sentence(sweeper, complete_store, moment, code, problem):
    result = sweeper("sql", QUERY, "--as-of", moment)
    assert result.returncode == code
    assert problem in result.stderr
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)


def test_a_version_whose_part_is_gone_is_one_sentence(sweeper, complete_store):
    (table,) = json.loads(sweeper("tables", "zoo", "--json").stdout)
    next(Path(complete_store.url, "rows", "models").iterdir()).unlink()
    result = sweeper("tables", "--as-of", table["version"])
    assert result.returncode == 1
    assert result.stderr.startswith("error: the store lacks 1 of the parts of this version (models ")
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)


def test_a_store_that_cannot_be_written_is_shown_with_the_reason(sweeper, complete_store):
    Path(complete_store.url, "tmp").rmdir()
    Path(complete_store.url, "tmp").write_text("in the way of the folder in which files are written")
    (table,) = json.loads(sweeper("tables", "zoo", "--json").stdout)
    (note,) = (note for note in table["notes"] if "Version" in note)
    assert note.startswith(
        f"Version {table['version']} of the store, which can't be shown again later, as it can't be "
    )
