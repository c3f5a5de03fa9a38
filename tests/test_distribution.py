"""Tests of the distribution's name, version and commands that install its extras or a later version."""

import re

import pytest

from sweeper import distribution


def test_the_installed_distribution_has_a_version_and_requirements():
    assert re.fullmatch(r"\d+\.\d+\.\d+", distribution.version())
    assert any(requirement.startswith("duckdb") for requirement in distribution.requirements())


def test_an_extra_is_installed_by_a_command_that_a_shell_takes():
    assert distribution.install_command("report") == f"pip install '{distribution.NAME}[report]'"


def test_a_later_version_that_is_known_is_installed_by_a_command():
    assert (
        distribution.later_version("9.10.0")
        == f"install Sweeper 9.10.0 or later: pip install '{distribution.NAME}>=9.10.0'"
    )


@pytest.mark.parametrize("name", [None, "", "new", "1; rm -r x", "0.0.1", distribution.version(), 9])
def test_a_version_that_is_not_known_or_not_later_is_not_named(name: object):
    assert distribution.later_version(name) == "install a later version of Sweeper"
