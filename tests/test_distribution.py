"""Tests of the distribution's name, version and commands that install its extras."""

import re

from sweeper import distribution


def test_the_installed_distribution_has_a_version_and_requirements():
    assert re.fullmatch(r"\d+\.\d+\.\d+", distribution.version())
    assert any(requirement.startswith("duckdb") for requirement in distribution.requirements())


def test_an_extra_is_installed_by_a_command_that_a_shell_takes():
    assert distribution.install_command("report") == f"pip install '{distribution.NAME}[report]'"
