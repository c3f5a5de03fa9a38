"""The commands as a user types them: streams, exit codes, formats, words."""

import json
import re
import sys

import pytest

COMMANDS = [
    "demo",
    "plan",
    "run",
    "resume",
    "status",
    "sql",
    "tables",
    "report",
    "schema",
    "doctor",
    "cuts",
    "explain",
    "audit",
]


def test_help_lists_every_command(shell):
    done = shell("sweeper --help")
    assert done.returncode == 0
    assert set(COMMANDS) <= set(re.findall(r"\w+", done.stdout))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(sweeper, command):
    done = sweeper(command, "--help")
    assert done.returncode == 0
    assert f"sweeper {command}" in done.stdout


def test_version(sweeper):
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", sweeper("--version").stdout)


class TestDoctor:
    def test_this_machine(self, sweeper, filled, tmp_path):
        done = sweeper("doctor", "--store", "runs/toy", "--json")
        checks = {check["name"]: check for check in json.loads(done.stdout)}
        assert done.returncode == 0, checks
        assert {"python", "torch", "ray", "devices", "memory", "disk", "token", "report", "store"} <= set(checks)
        assert checks["store"]["found"].endswith("tasks done")
        assert sweeper("doctor").returncode == 0

    def test_what_is_wrong(self, sweeper, tmp_path):
        done = sweeper("doctor", "--json", SWEEPER_CIFAR10=str(tmp_path), RAY_AUTH_MODE="disabled", RAY_ADDRESS="a:1")
        checks = {check["name"]: check["state"] for check in json.loads(done.stdout)}
        assert done.returncode == 1
        assert (checks["SWEEPER_CIFAR10"], checks["token"]) == ("failed", "failed")
        assert sweeper("doctor", "--store", tmp_path / "none").returncode == 1


class TestErrors:
    def test_usage(self, sweeper):
        assert sweeper("plan").returncode == 2
        assert sweeper("nothing").returncode == 2

    def test_a_defect_is_said_briefly_and_shown_on_request(self, monkeypatch, capsys):
        from sweeper.cli import cards, main

        def broken() -> None:
            raise ZeroDivisionError("oh")

        monkeypatch.setattr(cards, "print_schema", broken)
        monkeypatch.setattr(sys, "argv", ["sweeper", "schema"])
        monkeypatch.delenv("SWEEPER_DEBUG", raising=False)
        assert main.main() == 1
        told = capsys.readouterr().err
        assert "SWEEPER_DEBUG=1" in told
        assert "Traceback" not in told
        monkeypatch.setenv("SWEEPER_DEBUG", "1")
        assert main.main() == 1
        assert "Traceback" in capsys.readouterr().err

    def test_colour_is_for_terminals(self, sweeper):
        assert "\x1b[" not in sweeper("plan", "nothing", FORCE_COLOR="", NO_COLOR="1").stderr
