"""Tests that each third-party package that is imported is declared in pyproject.toml and in ARCHITECTURE.md."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sweeper import distribution

ROOT = Path(__file__).parent.parent
# Packages that only an extra installs. The code imports them in functions, and works without them.
OPTIONAL = {"report": {"vl-convert-python"}, "timm": {"timm", "huggingface-hub"}}


def imported_modules() -> set[str]:
    """Return the top-level names of all third-party modules that a file of the package imports, in functions too."""
    names = set()
    for path in (ROOT / "sweeper").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"sweeper"}


def declared() -> dict[str, set[str]]:
    """Return the declared packages of each extra; those that are always installed under ""."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {name: {canonicalize_name(Requirement(line).name) for line in lines} for name, lines in groups.items()}


def test_every_imported_package_is_declared() -> None:
    packages = declared()
    for extra, names in OPTIONAL.items():
        assert names <= packages[extra]
    allowed = packages[""].union(*OPTIONAL.values())
    installed = packages_distributions()  # module name -> the packages that install it
    undeclared = {
        module
        for module in imported_modules()
        if not allowed & {canonicalize_name(package) for package in installed.get(module, [module])}
    }
    assert not undeclared


def test_every_declared_package_is_imported() -> None:
    installed = packages_distributions()
    used = {canonicalize_name(package) for module in imported_modules() for package in installed.get(module, [module])}
    assert declared()[""] <= used


def test_every_dependency_is_explained() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    first_cells = re.findall(r"^\| ([^|]+) \|", text.partition("## Dependencies")[2], re.MULTILINE)
    explained = {name.split("[")[0] for cell in first_cells for name in re.findall(r"[\w.\[\]-]+", cell)}
    explained = {canonicalize_name(name) for name in explained}
    assert declared()[""].union(*OPTIONAL.values()) <= explained


def test_extras_are_installed_into_the_distribution_of_sweeper() -> None:
    """`pip install 'sweeper[timm]'` would fetch another project's package from PyPI."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == distribution.NAME != "sweeper"
    assert distribution.install_command("timm") == "pip install 'sweeper-stitching[timm]'"


def test_no_file_tells_to_install_another_projects_distribution() -> None:
    patterns = re.compile(r"pip install[^\n]*[\s'\"]sweeper['\"\[\s]|[\"']sweeper\[|/sweeper-\*?[^\s]*\.whl")
    folders = ("sweeper", "docs", "jobs", "bench", "analysis")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile", "cluster.yaml", "pyproject.toml")]
    texts = {path: path.read_text("utf-8") for path in files if path.suffix not in (".pyc", ".png", ".safetensors")}
    assert not {str(path): match[0] for path, text in texts.items() if (match := patterns.search(text))}
