"""Tests of stitchers in the user's code: the example of docs/stitchers.md, and mistakes in such a stitcher."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from sweeper.engine.upload_weights import verify_stitchers
from sweeper.errors import JobError, SweeperError, UsageError
from sweeper.plan.plan import Plan
from sweeper.spec.cards.user_stitchers import GROUP
from sweeper.spec.job.load import load
from sweeper.spec.job.resolve import from_json, to_json
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.rows import FailureRow, RunRow, StitchRow
from sweeper.spec.records.task import Recipe, StitchPack, TrainPack
from sweeper.store.store import Store
from sweeper.trials.perform import perform
from sweeper.trials.stitching.stitchers.conformance import main as conformance

PAGE = (Path(__file__).parents[2] / "docs" / "stitchers.md").read_text()
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
(JOB,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
CHANGED = CODE.replace("nn.ReLU()", "nn.Tanh()")
NAME = "my/wide.py:CARD"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the job and the stitcher of the page into a folder and return it; importing the stitcher creates a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "wide.py").write_text(f"{CODE}from pathlib import Path\nPath('{tmp_path}/imported').touch()\n")
    (tmp_path / "own.yaml").write_text(JOB)
    return tmp_path


def write_job(folder: Path, name: str) -> Path:
    """Write the page's job with another name of the stitcher, and return its file."""
    job = folder / "named.yaml"
    job.write_text(JOB.replace(NAME, name))
    return job


def recipes(sweep: ResolvedSweep) -> list[Recipe]:
    """Return the recipes of a job that use the user's stitchers."""
    return [
        operation for operation in Plan.of(sweep).graph.operations if isinstance(operation, Recipe) and operation.source
    ]


def ids(sweep: ResolvedSweep) -> set[str]:
    """Return the ids of the tasks of a job."""
    return set(Plan.of(sweep).ids())


def mistakes(job: Path, trust: bool = True) -> list[str]:
    """Return the mistakes that loading a job reports."""
    with pytest.raises(JobError) as error:
        load(job, trust=trust)
    return [str(mistake) for mistake in error.value.mistakes]


def write_distribution(folder: Path, name: str, version: str, entries: str) -> None:
    """Write the metadata that pip installs for a distribution that declares stitchers."""
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}\n")


def test_without_trust_the_job_is_refused_and_nothing_is_imported(sweeper, folder: Path) -> None:
    for command in ("plan", "run"):
        result = sweeper(command, "own.yaml")
        assert result.returncode == 2
        assert f"own.yaml:5:87 stitch.0.stitcher.1.name: {NAME} runs code that is not part of Sweeper" in result.stderr
        assert "--trust allows it" in result.stderr
    assert not (folder / "imported").exists()
    assert sweeper("plan", "own.yaml", "--trust").returncode == 0
    assert (folder / "imported").exists()


def test_the_example_agrees_with_its_card(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance([NAME]) == 0
    assert "wide agrees with its card" in capsys.readouterr().out


def test_options_are_axes_and_stitches_that_do_not_fit_are_left_out(folder: Path) -> None:
    plan = Plan.of(load(folder / "own.yaml", trust=True))
    assert [dict(recipe.options) for recipe in recipes(plan.sweep)] == [{"factor": 1}, {"factor": 2}]
    assert plan.count("stitches").tasks == 4 * (2 + 2)
    assert plan.left_out == {"wide joins maps of equal height and width, not 32 and 32": 8}


def test_an_unknown_option_is_refused(folder: Path) -> None:
    (folder / "own.yaml").write_text(JOB.replace("factor: [1, 2]", "factor: 0, width: 2"))
    assert [text.partition(": ")[2] for text in mistakes(folder / "own.yaml")] == [
        "0 is not allowed; it must be at least 1",
        f"{NAME} has no setting 'width'; its settings are factor",
    ]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("my/none.py:CARD", "", "no file"),
        ("my/wide.py:KARD", CODE, "has no attribute 'KARD'"),
        ("my/wide.py", CODE, "no stitcher 'my/wide.py'; add the name of the card in the file, such as my/wide.py:CARD"),
        (NAME, "CARD = 3", "is a int; a StitcherCard is needed"),
        (NAME, "1 / 0", "ZeroDivisionError: division by zero"),
        (NAME, "import sys; sys.exit(3)", "SystemExit: 3"),
        (NAME, "def :", "SyntaxError"),
        (NAME, CODE.replace('name="wide"', 'name="conv"'), "'conv' is a built-in stitcher"),
        (NAME, CODE.replace('name="wide"', 'name="so wide"'), "'so wide' is not an allowed name"),
        (NAME, CODE.replace("Option(int, 2,", "Option(list, 2,"), "the type of option 'factor' is none of bool, int"),
        ("no.such.module:CARD", CODE, "no module 'no.such.module'"),
        ("wyde", CODE, "no stitcher 'wyde'; available: conv1x1"),
    ],
)
def test_a_mistake_in_a_stitcher_is_reported_at_its_line_of_the_job(
    folder: Path, name: str, content: str, problem: str
) -> None:
    (folder / "my" / "wide.py").write_text(content)
    (mistake,) = mistakes(write_job(folder, name))
    assert mistake.startswith(f"{folder}/named.yaml:5:87 stitch.0.stitcher.1.name: ")
    assert problem in mistake


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('return ""', "return None", 'its misfit gives None; a reason is needed, or ""'),
        ("hidden = options", "hidden = 0.5 * options", "its parameters are"),
        ("as_they_are(bottom_shape, top_shape)", "as_they_are(bottom_shape)", "TypeError"),
    ],
)
def test_invalid_answers_of_a_card_are_reported(folder: Path, old: str, new: str, problem: str) -> None:
    (folder / "my" / "wide.py").write_text(CODE.replace(old, new))
    (mistake,) = mistakes(folder / "own.yaml")
    assert mistake.startswith(f"stitch.0.stitcher: {NAME} between 4x8x8 and 4x8x8")
    assert problem in mistake


def test_ids_depend_on_the_content_of_the_file_and_not_on_its_path(folder: Path) -> None:
    first = load(folder / "own.yaml", trust=True)
    builtin = ids(first) & ids(load(folder / "own.yaml", ["stitch.0.stitcher=conv1x1"]))
    shutil.copytree(folder / "my", folder / "elsewhere")
    for name in (
        "./my/../my/wide.py:CARD",
        "elsewhere/wide.py:CARD",
        f"{folder}/my/wide.py:CARD",
        "${HERE}/wide.py:CARD",
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HERE", str(folder / "my"))
            assert ids(load(write_job(folder, name), trust=True)) == ids(first)
    (folder / "my" / "wide.py").write_text(CHANGED)
    changed = load(folder / "own.yaml", trust=True)
    assert len(builtin) == 2 + 8
    assert ids(changed) & ids(first) == builtin
    assert {recipe.stitcher for recipe in recipes(first)} & {recipe.stitcher for recipe in recipes(changed)} == set()


def test_two_names_of_one_stitcher_give_the_same_tasks(folder: Path) -> None:
    twice = JOB.replace("stitcher: [conv1x1, ", f'stitcher: [conv1x1, {{name: "{folder}/{NAME}", factor: 1}}, ')
    (folder / "twice.yaml").write_text(twice)
    assert ids(load(folder / "twice.yaml", trust=True)) == ids(load(folder / "own.yaml", trust=True))


def test_a_resolved_job_is_planned_without_the_code(folder: Path) -> None:
    sweep = load(folder / "own.yaml", trust=True)
    text, planned = to_json(sweep), ids(sweep)
    shutil.rmtree(folder / "my")
    assert from_json(text) == sweep
    assert ids(from_json(text)) == planned
    assert sum(pack.seconds for pack in Plan.of(from_json(text)).packs()) > 0
    with pytest.raises(SweeperError, match="trust=True"):
        Plan.of(sweep.model_copy(update={"code": ()}))


def test_resuming_a_stored_job_needs_trust_again(sweeper, folder: Path, monkeypatch) -> None:
    sweep = load(folder / "own.yaml", trust=True)
    monkeypatch.setattr("sweeper.spec.cards.user_stitchers.user_stitcher", lambda *_: pytest.fail("it was imported"))
    store = Store.open(str(folder / "store"), create=True)
    counts = {"outcome": "", "tasks": 18, "done_before": 0, "done": 0, "failed": 0}
    without_code = sweep.model_copy(update={"code": ()})
    without_answers = sweep.model_copy(update={"stitchers": ()})  # resolving it again would import the stitcher
    for number, stored_sweep in enumerate((sweep, without_code, without_answers)):
        row = RunRow(
            task=f"r{number}",
            run=f"r{number}",
            job="own",
            event="start",
            host="h",
            pid=1,
            job_given="",
            job_resolved=to_json(stored_sweep),
            **counts,
        )
        store.commit([row], run=row.run, worker="driver")
        result = sweeper("resume", "--store", "store")
        assert result.returncode != 0
        assert NAME in result.stderr
        assert "--trust" in result.stderr


def perform_stitches(sweep: ResolvedSweep) -> list[StitchRow | FailureRow]:
    """Perform the packs of a job in this process, and return the receipts of its stitches."""
    weights: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    rows: list[StitchRow | FailureRow] = []
    for pack in Plan.of(sweep).packs():
        if isinstance(pack, TrainPack):
            for outcome in perform(pack, weights.__getitem__):
                row = outcome.rows[-1]
                weights[row.weights], digests[row.task] = outcome.weights, row.weights  # type: ignore[union-attr, assignment]
    for pack in Plan.of(sweep).packs():
        if isinstance(pack, StitchPack):
            pack_with_digests = StitchPack(pack.id, pack.a, pack.stitches, pack.measurements, pack.seconds, digests)
            rows += [outcome.rows[-1] for outcome in perform(pack_with_digests, weights.__getitem__)]  # type: ignore[misc]
    return rows


def test_stitches_fail_after_the_file_of_the_stitcher_changed(folder: Path) -> None:
    sweep = load(folder / "own.yaml", trust=True)
    rows = [row for row in perform_stitches(sweep) if isinstance(row, StitchRow) and row.stitcher.startswith("wide@")]
    assert {row.stitcher for row in rows} == {recipe.stitcher for recipe in recipes(sweep)}
    assert len(rows) == 8
    assert {(row.options, row.parameters) for row in rows} == {('{"factor": 1}', 144), ('{"factor": 2}', 280)}
    verify_stitchers(Plan.of(sweep))
    (folder / "my" / "wide.py").write_text(CHANGED)
    failed = [row for row in perform_stitches(sweep) if isinstance(row, FailureRow)]
    assert len(failed) == 8
    assert {"changed since its job was planned" in row.message for row in failed} == {True}
    with pytest.raises(UsageError, match=r"wide@.*changed since its job was planned: `sweeper run JOB`"):
        verify_stitchers(Plan.of(sweep))
    verify_stitchers(Plan.of(sweep, ids(sweep)))  # nothing is missing, so the file is not needed


def test_a_stitcher_in_a_module_is_loaded_and_refused_once_its_file_changes(folder: Path) -> None:
    name = f"user_module_{folder.name}".replace("-", "_")
    (folder / f"{name}.py").write_text(CODE)
    assert "--trust allows it" in mistakes(write_job(folder, f"{name}:CARD"), trust=False)[0]
    sweep = load(write_job(folder, f"{name}:CARD"), trust=True)
    assert {recipe.where for recipe in recipes(sweep)} == {f"{name}:CARD"}
    assert all(recipe.stitcher.startswith("wide@") for recipe in recipes(sweep))
    (folder / f"{name}.py").write_text(CHANGED)
    assert "changed since this process imported it" in mistakes(write_job(folder, f"{name}:CARD"))[0]


def test_an_entry_point_needs_no_trust_and_its_version_is_in_the_id(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = folder / "site"
    write_distribution(site, "toy-stitchers", "1.2.0", f"wide = toy_{folder.name}:CARD")
    (site / f"toy_{folder.name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(site)
    sweep = load(write_job(folder, "wide"))
    assert {(recipe.stitcher, recipe.source) for recipe in recipes(sweep)} == {
        ("wide@toy-stitchers-1.2.0", "toy-stitchers 1.2.0:wide")
    }
    assert {row.stitcher for row in perform_stitches(sweep)} >= {"wide@toy-stitchers-1.2.0"}  # type: ignore[union-attr]
    shutil.rmtree(site / "toy_stitchers-1.2.0.dist-info")
    write_distribution(site, "toy-stitchers", "1.3.0", f"wide = toy_{folder.name}:CARD")
    assert len(ids(load(write_job(folder, "wide"))) & ids(sweep)) == 2 + 8, "the models and conv1x1"
    with pytest.raises(UsageError, match="changed since its job was planned"):
        verify_stitchers(Plan.of(sweep))
    write_distribution(site, "others", "1.0", f"wide = toy_{folder.name}:CARD")
    assert "others and toy-stitchers both declare a stitcher 'wide'" in mistakes(write_job(folder, "wide"))[0]


def test_an_entry_point_with_the_name_of_a_built_in_stitcher_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_distribution(
        folder / "site", "grabby", "1.0", f"conv1x1 = toy_{folder.name}:CARD\nbroad = toy_{folder.name}:CARD"
    )
    (folder / "site" / f"toy_{folder.name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(folder / "site")
    (folder / "own.yaml").write_text(JOB.replace("[conv1x1, ", "[conv1x1, broad, "))
    name_taken, names_differ, *other_mistakes = mistakes(folder / "own.yaml")
    assert "'conv1x1' is a built-in stitcher, and grabby declares one of the same name" in name_taken
    assert "the entry point 'broad' holds a card named 'wide'; the two names must be equal" in names_differ
    assert other_mistakes == []


@pytest.mark.slow
def test_a_run_a_resume_and_a_run_with_a_changed_stitcher(shell, folder: Path) -> None:
    """Use Ray, whose workers import the file."""
    result = shell("sweeper run own.yaml --trust")
    assert result.returncode == 0, result.stderr
    resumed = shell("sweeper resume --trust")
    assert "18 were done before" in resumed.stderr
    assert shell("sweeper status").returncode == 0
    (folder / "my" / "wide.py").write_text(CHANGED)
    assert shell("sweeper resume --trust").returncode == 0, "every task is done, so the file isn't needed"
    changed = shell("sweeper run own.yaml --trust")
    assert changed.returncode == 0, changed.stderr
    assert "8 tasks done" in changed.stderr
    rows = shell('sweeper sql "SELECT DISTINCT stitcher FROM stitches ORDER BY ALL" --format csv').stdout.split()
    assert len(rows) == 1 + 3, rows
