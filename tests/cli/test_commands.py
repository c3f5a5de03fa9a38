"""Tests of what all commands have in common, of `doctor`, and of errors: streams, exit codes and messages."""

import json
import re
import sys
from collections import Counter

import pytest
from support.toy_store import fill

from sweeper.plan.plan import Plan
from sweeper.spec.job import load, resolve

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
    "data",
    "doctor",
    "cuts",
    "explain",
    "rerun",
    "audit",
    "export",
]


def test_help_lists_every_command(shell):
    result = shell("sweeper --help")
    assert result.returncode == 0
    assert set(COMMANDS) <= set(re.findall(r"\w+", result.stdout))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_page(sweeper, command):
    result = sweeper(command, "--help")
    assert result.returncode == 0
    assert f"sweeper {command}" in result.stdout


def test_the_version_has_three_numbers(sweeper):
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", sweeper("--version").stdout)


class TestDoctor:
    def test_all_checks_pass_on_this_machine(self, sweeper, complete_store, tmp_path):
        result = sweeper("doctor", "--store", "runs/toy", "--json")
        checks = {check["name"]: check for check in json.loads(result.stdout)}
        assert result.returncode == 0, checks
        names = {"python", "torch", "ray", "devices", "memory", "scratch", "network", "token", "report", "store"}
        assert names <= set(checks)
        assert checks["store"]["details"].endswith("tasks done")
        result = sweeper("doctor")
        assert result.returncode == 0
        assert "nothing stops a run" in result.stdout

    def test_a_failed_check_sets_the_exit_code(self, sweeper, tmp_path):
        result = sweeper("doctor", "--json", SWEEPER_CIFAR10=str(tmp_path), RAY_AUTH_MODE="disabled", RAY_ADDRESS="a:1")
        checks = {check["name"]: check["state"] for check in json.loads(result.stdout)}
        assert result.returncode == 1
        assert (checks["SWEEPER_CIFAR10"], checks["token"]) == ("failed", "failed")
        (tmp_path / "file").write_text("")
        result = sweeper("doctor", "--store", tmp_path / "file")
        assert result.returncode == 1
        assert re.search(r"failed +store +.* is a file;.*\n +fix: name a folder", result.stdout)

    def test_a_job_names_the_store_that_is_checked(self, sweeper, job, complete_store):
        result = sweeper("doctor", job, "--json")
        checks = {check["name"]: check for check in json.loads(result.stdout)}
        assert (checks["job"]["state"], checks["store"]["state"]) == ("ok", "ok")
        assert checks["store"]["details"].endswith("24 tasks done")
        result = sweeper("doctor", job, "models.weak.widht=3", "--json")
        assert result.returncode == 1
        assert "sweeper plan" in {check["name"]: check for check in json.loads(result.stdout)}["job"]["fix"]


class TestErrors:
    def test_wrong_usage_has_exit_code_2(self, sweeper):
        assert sweeper("plan").returncode == 2
        assert sweeper("nothing").returncode == 2

    def test_an_unexpected_exception_shows_its_traceback_only_with_sweeper_debug(self, monkeypatch, capsys):
        from sweeper.cli import cards, main

        def raise_error() -> None:
            raise ZeroDivisionError("oh")

        monkeypatch.setattr(cards, "print_schema", raise_error)
        monkeypatch.setattr(sys, "argv", ["sweeper", "schema"])
        monkeypatch.delenv("SWEEPER_DEBUG", raising=False)
        assert main.main() == 1
        stderr = capsys.readouterr().err
        assert "SWEEPER_DEBUG=1" in stderr
        assert "Traceback" not in stderr
        monkeypatch.setenv("SWEEPER_DEBUG", "1")
        assert main.main() == 1
        assert "Traceback" in capsys.readouterr().err

    def test_output_that_is_not_a_terminal_has_no_colours(self, sweeper):
        assert "\x1b[" not in sweeper("plan", "nothing", FORCE_COLOR="", NO_COLOR="1").stderr


def test_run_resolves_and_checks_a_job_once(sweeper, job, complete_store, monkeypatch):
    calls: Counter[str] = Counter()

    def count(module: object, name: str) -> None:
        function = getattr(module, name)

        def counted(*arguments: object) -> object:
            calls[name] += 1
            return function(*arguments)

        monkeypatch.setattr(module, name, counted)

    count(resolve, "resolve")
    count(resolve, "list_data")
    count(load, "findings")
    outcome = sweeper("run", job)
    assert outcome.returncode == 0, outcome.stderr
    assert "complete: 0 tasks done" in outcome.stderr
    assert calls == {"resolve": 1, "list_data": 1, "findings": 1}


def test_a_run_with_nothing_but_failed_tasks_left_says_so_without_ray(sweeper, job):
    """Check also that the counts of `status` and `plan` agree with those of the run."""
    ids = Plan.of(load.load(job)).ids()
    fill(job, job.parent / "runs" / "toy", failed=[ids[0], *ids[6:8]], without=ids[8:10])
    result = sweeper("run", job)
    assert result.returncode == 3
    assert "starting Ray" not in result.stderr
    lines = result.stderr.splitlines()
    assert any("3 had failed before and were not tried, 2 blocked by failed models" in line for line in lines)
    example = min(ids[0], *ids[6:8])
    first = lines.index("failed:    3 models: ValueError")
    assert lines[first + 1] == f"           for example {example[:12]}: no"
    assert lines[first + 2].startswith(f"details:   sweeper explain {example[:12]} --store ")
    assert any(re.fullmatch(r"rerun one: sweeper rerun \w{32} --store .*/runs/toy", line) for line in lines)
    assert any(line.startswith("rerun all: sweeper resume --store ") and "--retry-failed" in line for line in lines)
    assert not any(line.startswith("continue: ") for line in lines)
    [status] = json.loads(sweeper("status", "--json").stdout)["jobs"]
    assert (status["done"], status["failed"], status["blocked"], status["missing"]) == (19, 3, 2, 0)
    assert "failed: 3 tasks have failed for good" in sweeper("plan", job).stdout


def test_the_shell_can_complete_commands_and_options(shell):
    """Ask as bash does after a script that `sweeper --show-completion bash` prints was run."""
    complete = "_SWEEPER_COMPLETE=complete_bash COMP_CWORD=1 sweeper"
    assert {"status", "stop"} <= set(shell(f"COMP_WORDS='sweeper st' {complete}").stdout.split())
    assert "_SWEEPER_COMPLETE=complete_bash" in shell("sweeper --show-completion bash").stdout
