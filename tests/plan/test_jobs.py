"""Tests of the packaged jobs: each can be planned, has the tasks of its figure, and shares networks with others."""

import io
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.published_checkpoints import write_image_folder, write_published
from support.schedule import lower_bound, simulate

from sweeper.plan.controls import lacks_control
from sweeper.plan.plan import Plan
from sweeper.resources import job, job_names
from sweeper.spec.job.load import load
from sweeper.spec.records.task import Model, Stitch, StitchPack
from sweeper.trials.training.train import decay

PAPER = [name for name in job_names() if name.startswith("paper/")]
SMALL = [name for name in PAPER if name.endswith(".small")]

# Small jobs whose tops aren't bottoms of `more-data.small`: its tops, ResNet-20s, and networks for ImageNet.
OTHER_TOPS = (
    "paper/more-data.small",
    "paper/controls.small",
    "paper/stitch-or-fine-tune.small",
    "paper/self-supervised.small",
)

# The longest durations on some workers that count as good, in least possible durations. On 64 workers the fifteen
# training runs of `more-data`, a quarter of its duration, leave 49 of them idle.
LONGEST_DURATIONS = {("demo", 2): 1.02, ("demo", 8): 1.05, ("paper/more-data", 16): 1.05, ("paper/more-data", 64): 1.4}

PAGE = Path(__file__).parents[2] / "docs" / "paper.md"

# Models, stitches and similarities of the paper-size jobs. A pair of ResNet-18s has 10 cuts, 5 seeds a side are 25
# pairs in `strict` and 3 are 9 in `paper`.
COUNTS = {
    # Seeds, widths and halves of ResNet-18; ResNet-20, -110 and -164 at 2, 7 and 11 of their cuts; Myrtle; ViT.
    "connectivity": (
        15 + 10 + 9 + 5 + 3,
        (75 + 50 + 9 * 4 + 3) * 10 + 2 * 9 * (2 + 7 + 11) + (25 + 9) * 5 + 2 * 9 * 14,
        75 * 10,
    ),
    "random-control": (5 + 5 + 5, (25 + 25 + 5) * 10 + (9 + 3 + 3) * 10, (25 + 25 + 5) * 10),
    # Three seeds of the stitcher, self-stitches; two senders, random bottoms, three ranks.
    "controls": (15, (25 + 5) * 3 * 10 + (2 + 1) * 25 * 10 + 3 * (25 + 5) * 10, 0),
    "objectives": (10, 100 * 10 + 36 * 10, 50 * 10),
    "labels": (5 + 15 + 5, 125 * 10 + 45 * 10, 125 * 10),
    "more-data": (15, 75 * 10 * 2 + 27 * 10, 750),
    # The figure's snapshots, those before the drop of the learning rate and those after it.
    "more-training": (35, 3 * (75 - 10) * 10 + (27 - 6) * 10, (75 - 10) * 10),
    "self-supervised": (1 + 3 + 3, 7 * 10 * 2, 0),
    "more-width": (20, 100 * 10 + 36 * 10, 1000),
    "kernel-size": (5, (25 + 9) * 3 * 5, 0),
    "stitch-or-fine-tune": (6, 18 * 7 * 2 + (9 + 3) * 7 * 2, 0),
    "freeze-training": (15, 0, 10 * 10),
    "cross-depth": (5, 9 * 100 + 5 * 5 + 5, 9 * 100),
    "cka-beside-stitching": (40, (100 + 75 * 2 + 50) * 10, 2 * (100 + 75 + 50) * 10 + 2 * 45 * 10),
}


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in the layout of the Hugging Face hub with as many images as CIFAR-10, all of them equal."""
    folder, png = tmp_path_factory.mktemp("cifar10"), io.BytesIO()
    Image.new("RGB", (32, 32)).save(png, "PNG")
    for split, count in (("train", 50_000), ("test", 10_000)):
        images = pa.array([{"bytes": png.getvalue(), "path": None}] * count)
        labels = pa.array([i % 10 for i in range(count)])
        pq.write_table(pa.table({"img": images, "label": labels}), folder / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables of the jobs on ImageNet: folders of small images, and of weights in the published layouts.

    The cuts of ResNet-50 are found, as `sweeper run` does before it plans.
    """
    folder = tmp_path_factory.mktemp("imagenet")
    write_image_folder(folder / "imagenet", classes=1000, train=6000, val=1000)
    write_image_folder(folder / "imagenette", classes=10, train=9469, val=3925)
    write_published(folder / "checkpoints")
    for image, classes in (("3x224x224", "1000"), ("3x48x48", "10")):
        words = ("cuts", "torchvision:resnet50", "--image", image, "--classes", classes)
        subprocess.run([sys.executable, "-m", "sweeper", *words], check=True, capture_output=True)
    names = {"SWEEPER_IMAGENET": "imagenet", "SWEEPER_IMAGENETTE": "imagenette", "SWEEPER_CHECKPOINTS": "checkpoints"}
    return {variable: str(folder / name) for variable, name in names.items()}


@pytest.fixture(autouse=True)
def folders_in_environment(cifar10: Path, imagenet: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables that the paper's jobs read the folders of images and of weights from."""
    for variable, value in {"SWEEPER_CIFAR10": str(cifar10), **imagenet}.items():
        monkeypatch.setenv(variable, value)


@cache
def plan_of(name: str) -> Plan:
    """Return the plan of a packaged job."""
    return Plan.of(load(job(name)))


def family(name: str, family: str) -> list[Model]:
    """Return the models of a family of one of the paper's jobs."""
    plan = plan_of(f"paper/{name}")
    return [plan.models[place] for place in plan.families[family]]


def trained_ids(models: list[Model]) -> set[str]:
    """Return the ids of those models that are trained."""
    return {model.id for model in models if model.step}


@pytest.mark.parametrize("name", job_names())
def test_every_packaged_job_can_be_planned(name: str):
    counts = plan_of(name).counts()
    assert counts["models"].tasks >= 3
    assert counts["stitches"].tasks + counts["similarities"].tasks >= 20


@pytest.mark.parametrize("name", PAPER)
def test_paper_jobs_share_a_store_and_their_header_names_the_other_size(name: str):
    text = job(name).read_text()
    sweep = load(job(name))
    assert sweep.store == "runs/paper"
    assert sweep.name == name.removeprefix("paper/").replace(".", "-")
    file_of_other_size = f"{name}.yaml".replace(".small", "") if name in SMALL else f"{name}.small.yaml"
    assert file_of_other_size.removeprefix("paper/") in text.split("\nname:")[0], "its header names the other size"
    assert job(file_of_other_size).is_file()


@pytest.mark.parametrize("name", [name for name in PAPER if name not in SMALL])
def test_paper_size_jobs_have_the_tasks_of_their_figures(name: str):
    counts = plan_of(name).counts()
    assert (
        tuple(counts[kind].tasks for kind in ("models", "stitches", "similarities"))
        == COUNTS[name.removeprefix("paper/")]
    )


@pytest.mark.parametrize("name", PAPER)
def test_header_and_docs_page_agree_with_the_plan(name: str):
    """Compare the minutes of a small job, and the numbers of tasks of a paper-size job."""
    short = name.removeprefix("paper/")
    row = next(line for line in reversed(PAGE.read_text().splitlines()) if line.startswith(f"| `{short}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    if name in SMALL:
        minutes = sum(pack.seconds for pack in plan_of(name).packs()) / 120
        header = " ".join(job(name).read_text().split("\nname:")[0].replace("\n#", " ").split())
        minutes_in_header = re.search(r"the plan at (\d+) minutes on two cores", header)
        assert minutes_in_header, "the header of a small job gives its minutes"
        assert [float(cells[2]), float(minutes_in_header[1])] == pytest.approx([minutes] * 2, rel=0.2)
    else:
        assert [int(cell.replace(",", "")) for cell in cells[1:4]] == list(COUNTS[short])


@pytest.mark.parametrize("name", SMALL)
def test_small_jobs_take_at_most_an_hour_on_two_cores(name: str):
    assert sum(pack.seconds for pack in plan_of(name).packs()) <= 2 * 3600


def test_most_small_jobs_take_a_quarter_of_an_hour_after_more_data():
    stored_ids = frozenset(plan_of("paper/more-data.small").missing)
    small = [name for name in SMALL if name != "paper/more-data.small"]
    seconds = {name: sum(pack.seconds for pack in Plan.of(load(job(name)), done=stored_ids).packs()) for name in small}
    quick = {name.removeprefix("paper/").removesuffix(".small") for name, s in seconds.items() if s <= 2 * 900}
    assert quick >= {"random-control", "controls", "objectives", "kernel-size", "freeze-training", "cross-depth"}


@pytest.mark.parametrize("name", [name for name in SMALL if name not in OTHER_TOPS])
def test_small_jobs_share_their_tops_with_more_data(name: str):
    """Check that the tops are among the bottoms with most images of `more-data.small`."""
    short = name.removeprefix("paper/")
    tops = {"freeze-training.small": "many", "more-training.small": "run"}.get(short, "top")
    shared = trained_ids(family(short, tops)) & trained_ids(family("more-data.small", "bottom"))
    assert len(shared) == 3


def test_all_networks_of_controls_are_trained_by_more_data():
    trained = trained_ids(plan_of("paper/controls.small").models)
    assert len(trained) == 6
    assert trained <= ids("paper/more-data.small")


def test_all_networks_of_cka_beside_stitching_are_trained_by_other_jobs():
    """Check for each size that the other jobs of that size train all its networks."""
    for name in ("paper/cka-beside-stitching", "paper/cka-beside-stitching.small"):
        other_jobs = [job for job in PAPER if (job in SMALL) == (name in SMALL) and job != name]
        assert ids(name) <= set[str]().union(*map(ids, other_jobs))


def ids(name: str) -> set[str]:
    """Return the ids of a packaged job's models."""
    return {model.id for model in plan_of(name).models}


def stitches_of(name: str) -> list[Stitch]:
    """Return the stitches of a packaged job."""
    plan = plan_of(name)
    return [task for task in plan.tasks(range(len(plan.graph.rows))) if isinstance(task, Stitch)]


@pytest.mark.parametrize("name", job_names())
def test_every_stitch_has_its_control(name: str):
    """Verdicts compare each stitch with the stitch of its B to itself."""
    assert not lacks_control(plan_of(name)).any()


@pytest.mark.parametrize("name", job_names())
def test_where_samples_vary_the_stitcher_first_takes_the_tops_own_images(name: str):
    """Check the sections of strict stitches whose tops have fewer images than other networks of the job."""
    sweep, plan = load(job(name)), plan_of(name)
    samples = {family: {plan.models[i].training.samples for i in places} for family, places in plan.families.items()}
    all_images = max(set().union(*samples.values()))
    for section in sweep.stitch:
        bottom, top = (set().union(*(samples[family] for family in side)) for side in (section.bottom, section.top))
        trains = "strict" in section.protocol and section.stitcher[0].name != "identity"
        if trains and len(bottom | top) > 1 and 0 < max(top) < all_images:
            assert section.data[0] == "top", f"{section.bottom} into {section.top}"


def test_random_copies_are_stitched_to_the_network_they_were_copied_from():
    copies = [task for task in stitches_of("paper/random-control.small") if task.a.training.reset != "none"]
    assert len(copies) == 2 * 3 * 4
    assert all(task.a.training.init == task.b for task in copies)


def test_frozen_networks_start_from_the_network_of_few_images_with_their_seed():
    frozen, few = family("freeze-training.small", "frozen"), family("freeze-training.small", "few")
    assert [model.training.init for model in frozen] == few
    assert {model.training.freeze for model in frozen} == {("conv1", "block7", "block8", "pool")}


def test_without_a_folder_the_data_set_can_be_given_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SWEEPER_CIFAR10")
    assert Plan.of(load(job("paper/labels.small"), ["dataset=cifar10"])).data.name == "cifar10"


@pytest.mark.parametrize("name", ["more-training", "more-training.small"])
def test_the_control_of_more_training_compares_snapshots_of_equal_learning_rate(name: str):
    """Compare the factors on the learning rate of each snapshot's last step; the figure's own snapshots differ."""
    factors = {
        part: {decay(m.training.schedule, (m.step - 1) / m.training.steps) for m in family(name, part)}
        for part in ("run", "before", "before_top", "after", "after_top")
    }
    assert factors["before"] == factors["before_top"] == {1.0}
    assert factors["after"] == factors["after_top"] == {0.2}
    assert len(factors["run"]) == 2
    runs = {m.training for part in factors for m in family(name, part)}
    assert runs == {m.training for m in family(name, "run")}, "the control trains no further networks"


def test_the_job_of_figure_2b_reads_each_file_and_trains_only_heads():
    for name, tops in (("self-supervised", "weights"), ("self-supervised.small", "probe")):
        runs = {part: family(name, part)[0].training for part in ("top", "swav", "dino", "simclr", "random")}
        assert len({run.weights for run in runs.values()}) == 5
        assert {run.head for part, run in runs.items() if part in ("swav", "dino", "simclr")} == {"probe"}
        assert runs["top"].head == tops
        assert runs["simclr"].input != runs["swav"].input


@pytest.mark.parametrize(("name", "workers"), LONGEST_DURATIONS)
def test_a_job_takes_little_more_than_the_least_possible_time(name, workers):
    packs = list(Plan.of(load(job(name))).packs())
    assert simulate(packs, workers).seconds <= LONGEST_DURATIONS[name, workers] * lower_bound(packs, workers)


def test_every_stitch_trained_as_by_the_authors_is_a_pack_of_its_own():
    packs = [pack for pack in Plan.of(load(job("paper/more-data"))).packs() if isinstance(pack, StitchPack)]
    tasks = [len(pack.tasks) for pack in packs if any(stitch.recipe.protocol == "paper" for stitch in pack.stitches)]
    assert tasks == [1] * (27 * 10)
