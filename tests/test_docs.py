"""Tests of the docs: code blocks run, generated pages are current, links have targets, the site builds."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.toy_store import JOB, fill

from sweeper.plan.plan import Plan
from sweeper.resources import job_names
from sweeper.spec.job.load import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

# Commands of the README that can't run in a test, with the reason.
NOT_TRIED = {"s3://BUCKET": "needs a cluster and a bucket"}


def blocks(language: str) -> list[str]:
    """Return the README's code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def commands() -> list[str]:
    """Return the `sweeper` commands in the README, without their comments."""
    lines = [line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("sweeper ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder with the README's job and its filled store."""
    folder = tmp_path_factory.mktemp("readme")
    job = folder / "more-data.yaml"
    job.write_text(blocks("yaml")[0])
    fill(job, folder / "runs" / "more-data")
    return folder


def test_the_readme_shows_the_main_commands():
    assert len(commands()) >= 10
    names = {shlex.split(command)[1] for command in commands()}
    assert {"plan", "run", "tables", "report", "sql", "status", "resume"} <= names


@pytest.mark.parametrize("command", commands())
def test_the_readmes_commands_run(command, folder):
    for word, reason in NOT_TRIED.items():
        if word in command:
            pytest.skip(reason)
    environment = {"HOME": os.environ["HOME"], "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-c", command], check=False, capture_output=True, text=True, cwd=folder, env=environment, timeout=120
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("block", blocks("python"))
def test_the_readmes_python_runs(block, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    exec(compile(block, "README.md", "exec"), {})
    assert "stitches" in capsys.readouterr().out


def test_the_readmes_targets_are_in_the_menu():
    menu = subprocess.run(["make", "-s", "-C", ROOT], check=True, capture_output=True, text=True).stdout
    targets = set(re.findall(r"^make (\S+)", "\n".join(blocks("sh")), flags=re.M))
    assert targets == {"demo", "test"}
    for target in (*targets, "test-all", "lint", "bench", "clean"):
        assert f"make {target}" in menu


def test_the_page_on_own_questions_runs(folder):
    page = (ROOT / "docs" / "own_questions.md").read_text()
    (sql,), (lines,) = (re.findall(rf"```{language}\n(.*?)```", page, flags=re.S) for language in ("sql", "sh"))
    (folder / "my_analysis").mkdir()
    (folder / "my_analysis" / "by_cut.sql").write_text(sql)
    environment = {"HOME": os.environ["HOME"], "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", "-e", "-c", lines]
    result = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=environment)
    assert result.returncode == 0, result.stderr
    assert "At which cut do other networks help most?" in result.stdout
    assert (folder / "by_cut.csv").read_text().startswith("cut,pairs,net_gain\n")


def script(name: str) -> ModuleType:
    """Import docs/NAME.py."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def generated() -> dict[str, str]:
    """Return the generated pages: their texts by file name."""
    return script("generate").pages()


def test_generated_pages_are_current():
    for name, text in generated().items():
        assert (ROOT / "docs" / name).read_text() == text, f"docs/{name} is out of date: make docs"


def test_every_field_of_a_job_is_in_its_page():
    from sweeper.spec.job.family import Family
    from sweeper.spec.job.sweep import Engine, SimilaritySection, StitchSection, Sweep

    page = generated()["job.md"]
    for section in (Sweep, Family, StitchSection, SimilaritySection, Engine):
        for name in set(section.model_fields) - {"options"}:
            assert f"| `{name}` |" in page


def test_the_results_have_every_small_job_and_every_figure_but_one():
    outputs = script("results").JOBS
    small = {name.removeprefix("paper/").removesuffix(".small") for name in job_names() if name.endswith(".small")}
    assert set(outputs) == small - {"self-supervised"}, "it needs published weights"
    figures = {path.stem for path in (ROOT / "analysis" / "paper" / "figures").glob("*.yaml")}
    assert {figure for output in outputs.values() for figure in output.figures} == figures - {"2B"}, (
        "ResNet-50s on ImageNet"
    )


def test_the_page_of_the_paper_counts_agreement_and_disagreement_of_every_figure():
    """Compare the table with the results, and the text with the counts of each figure that has signs.

    After another run of the jobs, `make docs` writes the table; the sentences are in the text and are written by hand.
    """
    agreement = script("agreement")
    page = (ROOT / "docs" / "paper.md").read_text()
    assert page == agreement.page(), "docs/paper.md is out of date: make docs"
    counts = agreement.agreements((ROOT / "docs" / "results.md").read_text())
    outputs = {f"{job}.small": set(output.figures) for job, output in script("results").JOBS.items()}
    assert {(c.job, c.figure) for c in counts} >= {(job, figure) for job in outputs for figure in outputs[job]}
    text = " ".join(page.split())
    for figure in (figure for figure in counts if figure.signed is not None):
        assert agreement.in_words(figure) in text, f"docs/paper.md on figure {figure.figure}, {figure.curves}"
    claims = text.split(agreement.END.strip())[1]
    assert len(re.findall("orders agree", claims)) == len(re.findall("disagree; [0-9]+ of [0-9]+ orders agree", claims))


def test_agreement_is_counted_as_the_audit_counts_it():
    """Count the verdicts of a figure's points in the results, and compare with the counts read from its summary."""
    results = (ROOT / "docs" / "results.md").read_text()
    text = results.split("### figure 2C\n")[1].split("###")[0]
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.M)
    summaries = [counts for counts in script("agreement").agreements(results) if counts.figure == "2C"]
    for table, counts in zip(tables, summaries, strict=True):
        lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
        rows = [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]
        rows = [row for row in rows if row.get("cut kind", "–") == "–"]
        for prefix, same, opposite in (
            ("", counts.same, counts.opposite),
            ("net ", counts.net_same or 0, counts.net_opposite),
        ):
            signs = [row.get(f"{prefix}sign") for row in rows]
            assert (same, opposite) == (signs.count("same"), signs.count("opposite"))
        sizes = [row["size"] for row in rows]
        assert (counts.agrees, counts.disagrees) == (sizes.count("agrees"), sizes.count("disagrees"))
        assert counts.points == len(rows)
        decided = [row for row in rows if not row["penalty"].startswith(("+0.0 ", "-0.0 "))]  # rounding hides a sign
        same_by_mean = sum(row["penalty"][0] == row["paper penalty"][0] for row in decided)  # + and -
        assert same_by_mean <= counts.same_by_mean <= same_by_mean + len(rows) - len(decided)


def test_the_results_have_the_tables_of_complete_jobs_without_captions(tmp_path):
    job = tmp_path / "kept.yaml"
    job.write_text(JOB.replace("name: toy", "name: more-data-small"))
    complete_store, incomplete_store = (
        fill(job, tmp_path / "whole"),
        fill(job, tmp_path / "part", without=Plan.of(load(job)).ids()[-1:]),
    )
    page = script("results").page(complete_store, "")
    assert "## more-data.small" not in script("results").page(incomplete_store, ""), (
        "a job that isn't complete has no result"
    )
    assert re.search(r"## more-data.small\n\n\d+ tasks; version \d+ of the stitching kernel", page)
    assert "### more\\_data" in page
    assert "| cut | cut kind | depth | pairs |" in page
    assert "- Rule" not in page
    assert script("results").page(incomplete_store, page) == page, "a job that isn't complete keeps its section"
    earlier = "# Results\n\n## more-width.small\n\nwidth\n\n## more-data.small\n\ndata\n"
    sections = script("results").page(complete_store, earlier).split("\n## ")
    assert sections[1] == page.split("\n## ")[1]
    assert sections[2] == "more-width.small\n\nwidth\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_has_a_target(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_of_the_docs_is_in_the_menu_of_the_site():
    listed = set(re.findall(r"- (\S+\.md)", (ROOT / "mkdocs.yml").read_text()))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_the_site_builds_and_loads_nothing_from_another_host(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    build = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert build.returncode == 0, build.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) >= len(list((ROOT / "docs").glob("*.md")))
    for page in pages:
        tags = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", page.read_text(encoding="utf-8"))
        addresses = [address for tag in tags for address in re.findall(r"\b(?:src|href)=[\"']?([^\"'\s>]+)", tag)]
        assert addresses
        assert not [address for address in addresses if re.match(r"\w+:(?!image/)|//", address)], page.name
    for style in tmp_path.rglob("*.css"):
        assert not re.search(r"(?:url\([\"']?|@import [\"'])(?:https?:)?//", style.read_text(encoding="utf-8")), (
            style.name
        )


def test_the_tests_that_show_what_a_store_promises_exist():
    paths = re.findall(r"`(tests/[^`]+)`", (ROOT / "docs" / "promises.md").read_text())
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
