"""Tests of errors of other software at the command line: a sentence, exit code 2, and no word of a defect."""

import errno

import duckdb
import pytest

from sweeper.cli import main as commands
from sweeper.cli.translate import translate
from sweeper.errors import SetupError, UsageError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/etc/fonts"), "/etc/fonts: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (ModuleNotFoundError("No module named 'timm'", name="timm"), "the library timm is not installed"),
        (ImportError("libGL.so.1: cannot open shared object file"), "libGL.so.1"),
        (MemoryError(), "too little free memory"),
        (duckdb.IOException("IO Error: no temporary folder"), "DuckDB reports: IO Error: no temporary folder"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"), "PYTHONIOENCODING=utf-8"),
    ],
)
def test_errors_about_the_machine_are_translated(error, text):
    translated = translate(error)
    assert isinstance(translated, SetupError)
    assert text in str(translated)


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        KeyError("x"),
        AssertionError(),
        duckdb.BinderException("no such column"),
        ModuleNotFoundError("No module named 'sweeper.nowhere'", name="sweeper.nowhere"),
    ],
)
def test_other_exceptions_stay_defects(error):
    assert translate(error) is None


def test_errors_of_sweeper_stay_as_they_are():
    error = UsageError("wrong")
    assert translate(error) is error


def test_a_defect_is_named_as_such_and_an_error_of_the_machine_is_not(sweeper, monkeypatch):
    def run_with(error: Exception):
        def fail(prog_name: str) -> None:
            raise error

        monkeypatch.setattr(commands, "app", fail)
        return sweeper("plan", "demo")

    defect = run_with(ZeroDivisionError("division by zero"))
    assert defect.returncode == 1
    assert "This is a defect of Sweeper" in defect.stderr
    machine = run_with(PermissionError(errno.EACCES, "Permission denied", "/x"))
    assert (machine.returncode, machine.stderr) == (2, "error: /x: Permission denied\n")


def test_a_cache_folder_that_cannot_be_written_is_named_before_a_run_starts(sweeper, job):
    result = sweeper("run", job, SWEEPER_CACHE=f"{job}/cache")
    assert result.returncode == 2
    assert not (job.parent / "runs").exists()
    assert f"the cache folder {job}/cache can't be written" in result.stderr
    assert "SWEEPER_CACHE" in result.stderr


@pytest.mark.parametrize("address", ["foo", "ray://127.0.0.1:10001", "127.0.0.1:99999", "http://host:6379", "::1"])
def test_plan_refuses_an_address_of_the_wrong_form(sweeper, job, address):
    result = sweeper("plan", job, f"engine.address={address}")
    assert result.returncode == 2
    assert "engine.address" in result.stderr
    assert "HOST:PORT" in result.stderr
