"""Tests of the message about a command line that can't be read: one sentence, which says what would be right."""

import pytest

HELP = " `sweeper{} --help` shows how to call it\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "tables --stor x",
            "sweeper tables: there is no option --stor; did you mean '--store'?" + HELP.format(" tables"),
        ),
        ("sql -x", "sweeper sql: there is no option -x;" + HELP.format(" sql")),
        ("--versio", "sweeper: there is no option --versio; did you mean '--version'?" + HELP.format("")),
        ("tabel", "sweeper: no such command 'tabel'; did you mean 'tables'?" + HELP.format("")),
        ("run", "sweeper run: missing argument 'JOB';" + HELP.format(" run")),
        ("tables --store", "option '--store' requires an argument; `sweeper"),
        ("tables --timeout soon", "invalid value for '--timeout': "),
        ("sql --format excel", "'excel' is not one of 'table', 'markdown'"),
        ("init own-image", "'own-image' is not one of 'more-data', 'own-images'"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(sweeper, line, message):
    result = sweeper(*line.split())
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: sweeper")
    assert message in result.stderr
    assert not [words for words in ("Value error", "unable to parse") if words in result.stderr]
    assert len(result.stderr.splitlines()) == 1


def test_without_a_command_the_help_is_printed(shell):
    result = shell("python -m sweeper")
    assert "Usage: sweeper [OPTIONS] COMMAND" in result.stdout + result.stderr
    assert "error:" not in result.stderr
