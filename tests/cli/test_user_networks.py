"""Tests of networks in users' files: the example of docs/own_networks.md, and mistakes in such a network or its job."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sweeper.engine.upload_weights import verify_networks
from sweeper.errors import JobError, SweeperError, UsageError
from sweeper.plan.plan import Plan
from sweeper.spec.cards import probed
from sweeper.spec.cards.card import Cut, NetworkLayout
from sweeper.spec.cards.probed import Probed
from sweeper.spec.job import signatures
from sweeper.spec.job.load import load
from sweeper.spec.job.resolve import from_json, missing_networks, resolve, to_json
from sweeper.spec.job.sweep import ResolvedSweep
from sweeper.spec.records.rows import FailureRow, ModelRow
from sweeper.trials.perform import perform

PAGE = (Path(__file__).parents[2] / "docs" / "own_networks.md").read_text()
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
(JOB,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
CHANGED = CODE.replace("stride=2", "stride=4")
NAME = "my/nets.py:Small"
LAYOUT = NetworkLayout((Cut("conv1", 1, 0.3, (8, 8, 8), 10), Cut("conv2", 2, 0.6, (16, 4, 4), 20)), 30, 40)

ONE_MODEL = "name: one\nmodels:\n  m: {arch: my/nets.py:net, steps: 0}\n"
SIBLINGS = """
from torch import nn
from blocks.layers import hidden

def net(image, num_classes, size: int = 4):
    from last import head
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden(size)), head(hidden(size), num_classes))
"""


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder for all tests: reading a signature takes seconds, and these are the same files."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_cache: Path, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """Write the job and the network of the page into a folder and return it; the current folder is another one."""
    monkeypatch.setenv("SWEEPER_CACHE", str(shared_cache))
    (tmp_path / "jobs" / "my").mkdir(parents=True)
    (tmp_path / "jobs" / "my" / "nets.py").write_text(CODE)
    (tmp_path / "jobs" / "job.yaml").write_text(JOB)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    modules, path = dict(sys.modules), list(sys.path)
    yield tmp_path / "jobs"
    assert sys.path == path
    for name in sys.modules.keys() - modules.keys():
        if name.partition(".")[0] in ("blocks", "last"):
            del sys.modules[name]


def write_siblings(folder: Path, factor: int = 1) -> None:
    """Write a network that imports modules of its folder, and a job with it."""
    (folder / "my" / "blocks").mkdir(parents=True, exist_ok=True)
    (folder / "my" / "nets.py").write_text(SIBLINGS)
    (folder / "my" / "blocks" / "__init__.py").write_text("")
    (folder / "my" / "blocks" / "layers.py").write_text(
        f"from .sizes import FACTOR\n\ndef hidden(size):\n    return FACTOR * size * {factor}\n"
    )
    (folder / "my" / "blocks" / "sizes.py").write_text("FACTOR = 2\n")
    (folder / "my" / "last.py").write_text("from torch import nn\nhead = nn.Linear\n")
    (folder / "job.yaml").write_text(ONE_MODEL)


def cache_cards(sweep: ResolvedSweep) -> ResolvedSweep:
    """Return a job with a card for each of its networks, without measuring them."""
    networks = {network.name: network for network in sweep.user_networks}
    cards = tuple(
        Probed(networks[name].card, shape, classes, LAYOUT, options)
        for name, shape, classes, options in missing_networks(sweep, sweep.data)
    )
    return resolve(sweep.model_copy(update={"networks": (*sweep.networks, *cards)}))


def loaded(folder: Path, *overrides: str) -> ResolvedSweep:
    """Return the trusted job with a card for each of its networks."""
    return cache_cards(load(folder / "job.yaml", overrides, trust=True))


def mistakes(folder: Path, *overrides: str) -> list[str]:
    """Return the mistakes that loading the job reports."""
    with pytest.raises(JobError) as error:
        load(folder / "job.yaml", overrides, trust=True)
    return [str(mistake) for mistake in error.value.mistakes]


def performed(sweep: ResolvedSweep) -> list[ModelRow | FailureRow]:
    """Train the models of a job in this process, and return their receipts."""
    return [
        outcome.rows[-1]  # type: ignore[misc]
        for pack in Plan.of(sweep).packs()
        for outcome in perform(pack, {}.__getitem__)
    ]


def test_without_trust_a_network_is_refused_and_not_imported(sweeper, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(signatures, "read_signature", lambda *_: pytest.fail("the file was run"))
    for command in ("plan", "run"):
        result = sweeper(command, folder / "job.yaml")
        assert (result.returncode, result.stdout) == (2, "")
        (line,) = result.stderr.splitlines()
        assert f"job.yaml:3:13 models.m.arch: {NAME} runs code that is not part of Sweeper; --trust allows it" in line
    result = sweeper("cuts", f"{folder}/{NAME}")
    assert (result.returncode, result.stdout) == (2, "")
    assert "--trust allows it" in result.stderr


def test_arguments_are_axes_and_their_defaults_are_recorded(folder: Path) -> None:
    sweep = loaded(folder)
    assert {model.training.options for model in Plan.of(sweep).models} == {
        (("dropout", 0.0), ("norm", norm), ("width", width)) for width in (8, 16) for norm in ("batch", "none")
    }
    counts = Plan.of(sweep).counts()
    assert (counts["models"].tasks, counts["stitches"].tasks) == (8, 2 * (2 * 2 * 2) * 2)
    assert {model.training.arch for model in Plan.of(sweep).models} == {sweep.user_networks[0].card}
    assert re.fullmatch(r"Small@[0-9a-f]{8}", sweep.user_networks[0].card)


def test_a_default_that_is_given_is_the_same_model(folder: Path) -> None:
    ids = set(Plan.of(loaded(folder)).ids())
    assert set(Plan.of(loaded(folder, "models.m.dropout=0")).ids()) == ids
    assert not set(Plan.of(loaded(folder, "models.m.dropout=0.5")).ids()) & ids


def test_the_same_job_is_planned_from_any_folder_and_by_any_path(folder: Path, monkeypatch) -> None:
    ids = Plan.of(loaded(folder)).ids()
    shutil.copytree(folder / "my", folder / "copy")
    monkeypatch.setenv("HERE", str(folder / "copy"))
    for name in ("./my/../my/nets.py:Small", f"{folder}/my/nets.py:Small", "${HERE}/nets.py:Small"):
        monkeypatch.chdir(folder if "HERE" in name else folder.parent)
        assert Plan.of(loaded(folder, f"models.m.arch={name}")).ids() == ids
    (folder / "my" / "nets.py").write_text(CHANGED)
    assert not set(Plan.of(loaded(folder)).ids()) & set(ids)


@pytest.mark.parametrize(
    ("override", "place", "problem"),
    [
        ("widht=8", "models.m.widht", f"{NAME} has no argument 'widht'; did you mean 'width'?"),
        ("step=8", "models.m.step", f"{NAME} has no argument 'step'; did you mean 'steps'?"),
        ("zzz=8", "models.m.zzz", f"{NAME} has no argument 'zzz'; its arguments are width, norm, dropout"),
        ("num_classes=5", "models.m.num_classes", "num_classes comes from the data set (the number of classes); leave"),
        ("in_channels=1", "models.m.in_channels", "in_channels comes from the data set"),
        ("width=x", "models.m.width", "'x' is not allowed; it must be a whole number: "),
        ("width=8,2.5", "models.m.width.1", "2.5 is not allowed; it must be a whole number"),
        ("width=true", "models.m.width", "true is not allowed; it must be a whole number"),
        ("norm=bach", "models.m.norm", "'bach' is not allowed; did you mean 'batch'?"),
        ("norm=layer", "models.m.norm", "'layer' is not allowed; it must be one of 'batch', 'none'"),
        ("dropout=much", "models.m.dropout", "'much' is not allowed; it must be a number"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_signature(folder: Path, override: str, place: str, problem: str) -> None:
    (mistake,) = mistakes(folder, f"models.m.{override}")
    assert f"{place}: {problem}" in mistake
    if "not allowed" in problem:
        name = place.split(".")[2]
        assert re.search(rf"{folder}/my/nets\.py:9 has '{name}: .* = .*'", mistake)


def test_a_wrong_setting_is_refused_at_its_line_of_the_job(sweeper, folder: Path) -> None:
    (folder / "job.yaml").write_text(JOB.replace("width: [8, 16]", "width: [8, big]"))
    result = sweeper("plan", folder / "job.yaml", "--trust")
    assert (result.returncode, result.stdout) == (2, "")
    assert "job.yaml:3:44 models.m.width.1: 'big' is not allowed" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("def net(num_classes) return 3\n", ["my/nets.py:1: SyntaxError"]),
        ("import nowhere_at_all\n", ["my/nets.py:1: ModuleNotFoundError: No module named 'nowhere_at_all'"]),
        ("x = 1\nx / 0\n", ["my/nets.py:2: ZeroDivisionError: division by zero"]),
        ("import sys\nsys.exit(3)\n", ["my/nets.py:2: SystemExit: 3"]),
        ("def nett(num_classes): pass\n", ["has no class or function 'net'; did you mean 'nets.py:nett'?"]),
        ("net = 3\n", ["net is a int; name the class or the function"]),
        ("from torch import nn\nnet = nn.Identity()\n", ["net is a network; name the class or the function"]),
        ("def net(layers: list[int]): pass\n", ["needs a value for its argument 'layers'", "give it a default"]),
        ("def net(n_classes): pass\n", ["needs a value for its argument 'n_classes'", "num_classes, in_channels"]),
        ("def net(seed): pass\n", ["its argument 'seed'", "'seed' is a key of every family: rename the argument"]),
        ("import os\nos._exit(5)\n", ["the import of", "ends with exit code 5"]),
    ],
)
def test_a_mistake_in_a_users_file_is_one_sentence_with_its_place(
    sweeper, folder: Path, content: str, problems: list[str]
) -> None:
    (folder / "my" / "nets.py").write_text(f"{content}print('printed')\n")
    (folder / "job.yaml").write_text(ONE_MODEL)
    result = sweeper("plan", folder / "job.yaml", "--trust", "--json")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert re.match(r"error: .*job\.yaml:3:\d+ models\.m(\.arch)?: ", line)
    assert [problem for problem in problems if problem not in line] == []


def test_a_mistake_in_a_constructor_is_one_sentence_with_its_place_and_settings(sweeper, folder: Path) -> None:
    content = "def net(num_classes, width=4):\n    print('built')\n    return [1][width]\n"
    (folder / "my" / "nets.py").write_text(content)
    (folder / "job.yaml").write_text(ONE_MODEL.replace("steps", "width: 8, steps"))
    result = sweeper("plan", folder / "job.yaml", "--trust")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert f"models.m.arch: {folder}/my/nets.py:3: net(num_classes=10, width=8) can't be made: IndexError" in line
    cuts = sweeper("cuts", f"{folder}/my/nets.py:net", "width=8", "--trust", "--json")
    assert (cuts.returncode, cuts.stdout) == (2, "")
    assert "nets.py:3: net(num_classes=1000, width=8) can't be made" in cuts.stderr


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("my/none.py:Small", "my/none.py; the path is relative to the job's file"),
        ("my/nets.py", "no architecture 'my/nets.py'; add the name of a class or function in the file"),
        ("my/nets.py:Smal", "has no class or function 'Smal'; did you mean 'nets.py:Small'?"),
        ("my.nets:Small", "no module 'my.nets'"),
    ],
)
def test_a_wrong_name_is_refused(folder: Path, name: str, problem: str) -> None:
    assert problem in " ".join(mistakes(folder, f"models.m.arch={name}", "stitch.0.where=a.seed != b.seed"))


def test_a_module_beside_the_file_is_imported_and_is_part_of_the_version(folder: Path, monkeypatch) -> None:
    write_siblings(folder)
    sweep = loaded(folder)
    (row,) = performed(sweep)
    assert isinstance(row, ModelRow), row
    assert row.parameters == 65 * 8 + 9 * 10
    write_siblings(folder, factor=2)
    (failure,) = performed(sweep)
    assert isinstance(failure, FailureRow)
    assert "is missing, or it changed after the job was loaded" in failure.message
    changed = loaded(folder)
    assert not set(Plan.of(changed).ids()) & set(Plan.of(sweep).ids())
    (row,) = performed(changed)
    assert isinstance(row, ModelRow), row
    assert row.parameters == 65 * 16 + 17 * 10, "this process has imported the older modules"
    assert not list(folder.rglob("__pycache__"))


def test_modules_of_the_same_names_in_two_folders_are_two_modules(folder: Path, tmp_path: Path) -> None:
    write_siblings(folder)
    write_siblings(tmp_path / "other", factor=3)
    text = ONE_MODEL + f"  n: {{arch: {tmp_path}/other/my/nets.py:net, steps: 0}}\n"
    (folder / "job.yaml").write_text(text)
    rows = performed(loaded(folder))
    assert {row.parameters for row in rows if isinstance(row, ModelRow)} == {65 * 8 + 9 * 10, 65 * 24 + 25 * 10}


def test_a_resolved_job_is_planned_without_the_code(folder: Path) -> None:
    sweep = loaded(folder)
    text, ids = to_json(sweep), Plan.of(sweep).ids()
    shutil.rmtree(folder / "my")
    assert from_json(text) == sweep
    assert Plan.of(from_json(text)).ids() == ids
    with pytest.raises(SweeperError, match="trust=True"):
        Plan.of(sweep.model_copy(update={"code": ()}))


def test_a_changed_file_stops_the_job_before_it_starts(folder: Path) -> None:
    sweep = loaded(folder)
    verify_networks(Plan.of(sweep))
    (folder / "my" / "nets.py").write_text(CHANGED)
    with pytest.raises(UsageError, match=r"nets\.py, or a module beside it, is missing or changed.*`sweeper run JOB`"):
        verify_networks(Plan.of(sweep))
    verify_networks(Plan.of(sweep, set(Plan.of(sweep).ids())))  # nothing is missing, so the file is not needed


def test_conditions_read_the_arguments_of_networks(folder: Path) -> None:
    assert Plan.of(loaded(folder, "stitch.0.where=a.norm == 'none' and b.dropout < 0.5")).count("stitches").tasks == 64
    (mistake,) = mistakes(folder, "stitch.0.where=a.nrm != b.norm")
    assert "no attribute 'a.nrm'; did you mean 'a.norm'?" in mistake
    (mistake,) = mistakes(folder, "stitch.0.where=a.norm == 3")
    assert "a text is compared with a number" in mistake


def test_a_condition_names_a_network_as_the_job_does(folder: Path) -> None:
    sweep = loaded(folder, f"stitch.0.where=a.arch == '{NAME}' and a.norm != b.norm and a.width == b.width")
    assert Plan.of(sweep).ids() == Plan.of(loaded(folder)).ids()


def test_a_model_starts_from_the_weights_of_the_same_settings_alone(folder: Path) -> None:
    family = '{{arch: "my/nets.py:Small", width: {}, steps: 5, samples: 100{}}}'
    text = f"name: two\nmodels:\n  m: {family.format(8, '')}\n  n: {family.format('WIDTH', ', init_from: m')}\n"
    (folder / "job.yaml").write_text(text.replace("WIDTH", "8"))
    assert Plan.of(loaded(folder)).counts()["models"].tasks == 2
    (folder / "job.yaml").write_text(text.replace("WIDTH", "16"))
    (mistake,) = mistakes(folder)
    assert "models.n.init_from: its models can't start from the weights of 'm'" in mistake


def test_a_file_of_weights_is_checked_and_used_at_the_given_settings(folder: Path) -> None:
    from sweeper.trials.networks.traced.construct import make

    options = (("dropout", 0.0), ("norm", "batch"), ("width", 8))
    network = make(f"{folder}/{NAME}", (1, 8, 8), 10, trust=True, options=options)
    torch.save(network.state_dict(), folder / "w.pt")
    text = 'name: w\nmodels:\n  m: {arch: "my/nets.py:Small", width: 8, steps: 0, weights: w.pt}\n'
    (folder / "job.yaml").write_text(text)
    (pack,) = Plan.of(loaded(folder)).packs()
    (outcome,) = perform(pack, lambda _: (folder / "w.pt").read_bytes())
    assert isinstance(outcome.rows[-1], ModelRow), outcome.rows[-1]
    (mistake,) = mistakes(folder, "models.m.width=16")
    assert "models.m.weights: " in mistake
    assert "the weights don't fit" in mistake


def test_an_error_in_forward_names_its_line(sweeper, folder: Path) -> None:
    (folder / "my" / "nets.py").write_text(CODE.replace("(1))", "(1), unknown)"))
    result = sweeper("cuts", f"{folder}/{NAME}", "--trust", "--image", "1x8x8")
    assert (result.returncode, result.stdout) == (2, "")
    line = CODE[: CODE.index("return self.head")].count("\n") + 1
    assert f"name 'unknown' is not defined (NameError) at {folder}/my/nets.py:{line}" in result.stderr


def test_the_cuts_of_a_network_are_listed_at_the_given_settings(sweeper, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    arguments = ("cuts", NAME, "width=4", "--set", "norm=none", "--image", "2x8x8", "--classes", "3", "--trust")
    result = sweeper(*arguments, "--json")
    output = json.loads(result.stdout)
    assert output["options"] == {"dropout": 0.0, "norm": "none", "width": 4}
    assert [cut["shape"] for cut in output["cuts"] if cut["name"] == "conv2"] == [[8, 4, 4]]
    wrong = sweeper(*arguments, "--set", "width=big")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "'big' is not allowed; it must be a whole number" in wrong.stderr
    assert "has no argument 'widht'; did you mean 'width'?" in sweeper("cuts", NAME, "widht=4", "--trust").stderr
    assert "no file" in sweeper("cuts", "my/none.py:Small", "--trust").stderr


def test_a_plan_measures_the_cuts_of_each_setting_once(sweeper, folder: Path, monkeypatch) -> None:
    from sweeper.cli import cards

    monkeypatch.setattr(cards, "PROBE_SECONDS", 60.0)
    result = sweeper("plan", folder / "job.yaml", "--trust", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["stitches"]["tasks"] == 32
    monkeypatch.setattr(cards, "_run_probe", lambda *_: pytest.fail("it was measured again"))
    assert sweeper("plan", folder / "job.yaml", "--trust", "--json").stdout == result.stdout


def test_a_plan_without_time_names_a_command_for_each_setting(
    sweeper, folder: Path, tmp_path: Path, monkeypatch
) -> None:
    from sweeper.cli import cards

    monkeypatch.setattr(cards, "PROBE_SECONDS", 0.0)
    arguments = ("plan", folder / "job.yaml", "--trust", "--json", "models.m.dropout=0.25", "models.m.width=8")
    commands = json.loads(sweeper(*arguments).stdout)["unknown_cuts"][NAME].split(" && ")
    settings = "dropout=0.25 norm=none width=8 --image 1x8x8 --classes 10 --trust"
    assert commands[1] == f"sweeper cuts {folder}/{NAME} {settings}"
    for command in commands:
        assert sweeper(*command.split()[1:]).returncode == 0
    assert "unknown_cuts" not in json.loads(sweeper(*arguments).stdout)


def test_a_card_belongs_to_a_version_and_its_settings(folder: Path) -> None:
    probed.cache_card(Probed("Net@12345678", (1, 8, 8), 10, LAYOUT, (("width", 8),)), "1" * 64)
    assert probed.read_cached_card("Net@12345678", (1, 8, 8), 10, (("width", 8),), "1" * 64)
    assert probed.read_cached_card("Net@12345678", (1, 8, 8), 10, (("width", 9),), "1" * 64) is None
    assert probed.read_cached_card("Net@12345678", (1, 8, 8), 10, (("width", 8),), "2" * 64) is None


@pytest.mark.slow
def test_a_run_a_resume_and_a_run_with_a_changed_network(shell, folder: Path, tmp_path: Path) -> None:
    """Use Ray, whose workers import the file."""
    result = shell("cd elsewhere && sweeper run ../jobs/job.yaml --trust")
    assert result.returncode == 0, result.stderr
    assert "Small@" not in result.stderr
    resumed = shell("cd elsewhere && sweeper resume --trust")
    assert "40 were done before" in resumed.stderr
    assert shell("cd elsewhere && sweeper resume").returncode == 2
    (folder / "my" / "nets.py").write_text(CHANGED)
    assert shell("cd elsewhere && sweeper resume --trust").returncode == 0, "every task is done"
    changed = shell("cd elsewhere && sweeper run ../jobs/job.yaml --trust")
    assert changed.returncode == 0, changed.stderr
    assert "40 tasks done" in changed.stderr
    rows = shell('cd elsewhere && sweeper sql "SELECT DISTINCT arch FROM models" --format csv').stdout.split()
    assert len(rows) == 1 + 2, rows
