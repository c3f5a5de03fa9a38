"""Tests of the weights that a job names: identified by content, recorded in a resolved job, checked in advance."""

import shutil
from pathlib import Path

import pytest

from sweeper.errors import JobError, SweeperError
from sweeper.plan.plan import Plan
from sweeper.spec.content.weights import Weights, set_file
from sweeper.spec.job.load import load
from sweeper.spec.job.resolve import from_json, resolve, to_json
from sweeper.spec.records.ident import digest

HEADER = b'{"__metadata__":{}}'
EMPTY = len(HEADER).to_bytes(8, "little") + HEADER  # a safetensors file without tensors
JOB = """
name: theirs
models:
  m: {arch: resnet18k, width: 2, steps: 0, weights: one.safetensors}
stitch:
  - {bottom: m, top: m, layers: [pool]}
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    # These files have no tensors: here only their names and contents count, not whether they fit a network.
    monkeypatch.setattr("sweeper.spec.job.load.weight_findings", lambda _: [])
    (tmp_path / "one.safetensors").write_bytes(EMPTY)
    (tmp_path / "two.safetensors").write_bytes(EMPTY + b" ")
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


def ids(job: Path, *overrides: str) -> list[str]:
    return Plan.of(load(job, overrides)).ids()


def test_a_file_is_its_content(job: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "one.safetensors", tmp_path / "elsewhere" / "copy.safetensors")
    named = ids(job)
    assert named == ids(job, "models.m.weights=elsewhere/copy.safetensors")
    assert named == ids(job, "models.m.weights=[elsewhere/copy.safetensors]")
    others = ids(job, "models.m.weights=two.safetensors"), ids(job, "models.m.weights=none")
    assert not set(named) & {*others[0], *others[1]}
    assert not set(others[0]) & set(others[1])
    (model,) = Plan.of(load(job)).models
    assert model.training.weights == digest(EMPTY)
    assert len(ids(job, "models.m.weights=[none,one.safetensors]")) == 2 + 4


def test_where_settings_of_training_are_neutral_so_they_are_in_no_id(job: Path) -> None:
    assert ids(job) == ids(job, "models.m.lr=0.5", "models.m.samples=100")
    assert len({*ids(job), *ids(job, "models.m.seed=1"), *ids(job, "models.m.reset=ends")}) == 3 * 2


def test_a_resolved_job_needs_no_file(job: Path, tmp_path: Path) -> None:
    sweep = load(job)
    path = str(tmp_path / "one.safetensors")
    assert sweep.weights == (Weights(path, "", digest(EMPTY), path),)
    (tmp_path / "one.safetensors").unlink()
    carried = from_json(to_json(sweep))
    assert carried == sweep == resolve(carried)
    assert Plan.of(carried).ids() == Plan.of(sweep).ids()


def test_paths_start_at_the_job_and_may_name_variables(job: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("ZOO", str(tmp_path))
    assert ids(job) == ids(job, "models.m.weights=${ZOO}/one.safetensors")


def test_a_set_is_had_once_it_lies_in_the_cache_and_is_one_architectures(job: Path) -> None:
    text = job.read_text().replace("resnet18k, width: 2", '"torchvision:toy"')
    job.write_text(text.replace("one.safetensors", "IMAGENET1K_V1"))
    sweep = load(job)
    assert not sweep.weights
    with pytest.raises(SweeperError, match="IMAGENET1K_V1 of torchvision:toy"):
        Plan.of(sweep)
    file = set_file("IMAGENET1K_V1", "torchvision:toy")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"PK of some kind")
    (had,) = load(job).weights
    assert (had.name, had.arch, had.digest) == ("IMAGENET1K_V1", "torchvision:toy", digest(b"PK of some kind"))


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("models.m.weights=three.safetensors", "three.safetensors can't be read: No such file"),
        ("models.m.weights=job.yaml", "no weights 'job.yaml'; a file (.safetensors, .pt, .pth, "),
        ("models.m.weights=broken.safetensors", "broken.safetensors is not a safetensors file"),
        ("models.m.weights=broken.pt", "broken.pt is not a state dict that torch saved"),
        ("models.m.weights=IMAGENET1K_V1", "resnet18k has no weights of the name 'IMAGENET1K_V1'"),
        ("models.m.weights=${NOWHERE_TO_BE_FOUND}/a.pt", "NOWHERE_TO_BE_FOUND is not set"),
        ("models.m.init_from=m", "a run starts from another model or from a file, not both"),
        ("weights=1", "unknown key; a family's weights are named in it"),
    ],
)
def test_mistakes(job: Path, tmp_path: Path, override: str, what: str) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 7 + b"\0{ but of no such length")
    (tmp_path / "broken.pt").write_text("weights")
    with pytest.raises(JobError) as caught:
        load(job, [override])
    assert what in str(caught.value)


def test_a_mistake_has_a_place(job: Path) -> None:
    job.write_text(JOB.replace("one.safetensors", "[one.safetensors, none.pt]"))
    with pytest.raises(JobError) as caught:
        load(job)
    (mistake,) = caught.value.mistakes
    assert (mistake.line, mistake.key) == (4, "models.m.weights.1")
