"""Tests of the script on a cluster's head, as a process of this machine."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.remote import head_script


@pytest.fixture
def drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of drivers in a home of this test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".cache" / "sweeper" / "drivers"


def answers(*arguments: str) -> list[tuple[str, str]]:
    """Return the kind and the text of each answer of the script."""
    output = subprocess.run(
        [sys.executable, head_script.__file__, *arguments], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.split(" ") for line in output.splitlines() if line]
    assert {line[0] for line in lines} == {head_script.MARK}
    return [(kind, base64.b64decode(text).decode()) for _, kind, text in lines]


def driver(drivers: Path, **files: str) -> Path:
    """Write the folder of a driver."""
    folder = drivers / "one"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_the_log_of_a_driver_that_has_ended_is_sent_whole_with_its_exit_code(drivers):
    driver(drivers, log="two lines –\nof text\n", exit_code="3")
    assert answers("log", "one", "0") == [("text", "two lines –\nof text\n"), ("end", "3")]
    assert answers("log", "one", "12") == [("text", "of text\n"), ("end", "3")]
    assert answers("state", "one") == [("end", "3")]


def test_a_driver_that_has_gone_without_an_exit_code_is_lost(drivers):
    process = subprocess.Popen(["true"])
    process.wait()
    driver(drivers, log="", pid=str(process.pid))
    assert answers("state", "one") == [("end", "lost")]


def test_a_driver_is_stopped_by_its_process(drivers):
    process = subprocess.Popen(["sleep", "600"])
    driver(drivers, log="", pid=str(process.pid))
    try:
        assert answers("state", "one") == [("running", "")]
        assert answers("stop", "one") == [("stopped", "")]
        assert process.wait(timeout=10) == -15
    finally:
        process.kill()


@pytest.mark.parametrize("operation", ["log", "state", "stop"])
def test_a_driver_that_does_not_exist_is_absent(drivers, operation):
    assert answers(operation, "absent") == [("absent", "")]
