"""Tests that `load` reports every mistake of a job file with its location, and of overrides and spellings."""

import pytest
from support.spec_jobs import JOB

from sweeper.errors import JobError
from sweeper.spec.job import source
from sweeper.spec.job.family import Family
from sweeper.spec.job.load import load, load_with_text
from sweeper.spec.job.resolve import resolve
from sweeper.spec.job.sweep import DatasetFolder, Every, OperationSpec, StitchSection, Sweep


def family(settings: str) -> str:
    """Return the text of a job with one family of ResNet-18s and these settings."""
    return f"name: x\nmodels:\n  m: {{arch: resnet18k, {settings}}}\n"


ONE_MODEL = "\nmodels: {m: {arch: myrtle, steps: 1}}\n"


def pairing(settings: str) -> str:
    """Return the text of a job that stitches two models, with these settings of the stitch."""
    return family("width: 8, steps: 5, seed: [1, 2]") + f"stitch:\n  - {{bottom: m, top: m, {settings}}}\n"


def test_load_returns_a_resolved_job(job):
    sweep = load(job())
    assert sweep.models["weak"].seed == (0, 1, 2)
    assert sweep.models["weak"].options == {"width": (16,)}
    assert sweep.stitch[0].stitcher == (OperationSpec(name="conv1x1"), OperationSpec(name="identity"))
    assert (sweep.data.name, sweep.data.train, sweep.data.holdout) == ("digits", 1347, 147)


def test_the_key_null_is_read_as_text(job):
    """Check the number of permutations of a similarity, whose key is also a YAML value."""
    section = "similarity:\n  - {bottom: m, top: m, layers: [pool], null: [0, 20]}\n"
    assert load(job(family("width: 8, steps: 5") + section)).similarity[0].null == (0, 20)
    with pytest.raises(JobError, match=r"-1 is out of range; it must be at least 0"):
        load(job(family("width: 8, steps: 5") + section.replace("20", "-1")))


def test_a_job_written_in_python_equals_the_same_job_of_a_file(job):
    python_job = Sweep(
        name="x",
        models={"m": Family(arch="resnet18k", width=[4, 8], steps=3, lr=1)},  # type: ignore[call-arg]
        stitch=(StitchSection(bottom="m", top="m", stitcher="identity"),),  # type: ignore[arg-type]
    )
    text = "name: x\nmodels: {m: {arch: resnet18k, width: [4, 8], steps: 3, lr: 1.0}}\n"
    loaded = load(job(text + "stitch: [{bottom: m, top: m, stitcher: identity}]\n"))
    assert loaded == resolve(python_job)


def test_load_with_text_returns_the_text_without_overrides(job):
    path = job()
    sweep, text = load_with_text(path, ["name=other"])
    assert text == path.read_text()
    assert sweep.name == "other"


@pytest.mark.parametrize(
    ("written", "operations"),
    [
        ("conv1x1", (OperationSpec(name="conv1x1"),)),
        ("[conv1x1, identity]", (OperationSpec(name="conv1x1"), OperationSpec(name="identity"))),
        ("{name: conv1x1}", (OperationSpec(name="conv1x1"),)),
        ("[conv1x1, {name: linear}]", (OperationSpec(name="conv1x1"), OperationSpec(name="linear"))),
    ],
)
def test_a_stitcher_is_a_name_or_a_mapping_or_a_list_of_them(job, written, operations):
    assert load(job(pairing(f"stitcher: {written}"))).stitch[0].stitcher == operations


def test_settings_of_a_measure_are_axes(job):
    text = family("width: 8, steps: 5") + (
        "similarity:\n  - {bottom: m, top: m, measure: {name: linear_cka, debiased: [true, false]}}\n"
    )
    assert load(job(text)).similarity[0].measure == (
        OperationSpec(name="linear_cka", options={"debiased": (True, False)}),
    )


@pytest.mark.parametrize(
    ("written", "layers"),
    [("all", "all"), ("pool", ("pool",)), ("[conv1, 3]", ("conv1", 3)), ("{every: 2}", Every(every=2))],
)
def test_layers_are_one_cut_or_several_or_all_or_every_nth(job, written, layers):
    assert load(job(pairing(f"layers: {written}"))).stitch[0].layers == layers


@pytest.mark.parametrize(
    ("written", "groups"),
    [
        ("[samples, seed]", (("samples", "seed"),)),
        ("[[samples, seed]]", (("samples", "seed"),)),
        ("[[samples, seed], [width, lr]]", (("samples", "seed"), ("width", "lr"))),
    ],
)
def test_zip_is_one_group_or_a_list_of_groups(job, written, groups):
    text = family(f"width: [4, 8], lr: [0.1, 0.2], samples: [10, 20], seed: [1, 2], steps: 5, zip: {written}")
    assert load(job(text)).models["m"].zip == groups


def test_a_merged_anchor_gives_a_family_its_settings(job):
    text = (
        "name: x\nmodels:\n  a: &a {arch: resnet18k, width: 8, steps: 5, seed: [1, 2]}\n  b: {<<: *a, seed: 3}\n"
        "  c: {<<: *a}\n"
    )
    models = load(job(text)).models
    assert models["b"].seed == (3,)
    assert models["b"].options == models["a"].options
    assert models["c"] == models["a"]


def test_numbers_may_have_underscores_and_exponents(job):
    settings = load(job(family("width: 8, steps: 1_000, lr: 1e-3, weight_decay: 0, label_noise: 1"))).models["m"]
    assert (settings.lr, settings.weight_decay, settings.label_noise) == ((0.001,), (0.0,), (1.0,))
    assert isinstance(settings.weight_decay[0], float)
    assert settings.steps == (1000,)


MISTAKES = [
    # (the job with § before the mistake, its key, a part of the problem, a part of the correction)
    ("name: x\n§modls: {}\n", "modls", "unknown key", "did you mean 'models'?"),
    ("§name: x\n", "", "'models' is missing", ""),
    ("name: §a b" + ONE_MODEL, "name", "'a b' is not a name", "letters"),
    ("name: x\nmodels: §{}\n", "models", "the value is empty", "at least one"),
    ("name: x\nmodels: §[m]\n", "models", "['m'] is not a mapping", ""),
    (family("steps: 5, §widht: 3"), "models.m.widht", "has no setting 'widht'", "did you mean 'width'?"),
    (family("steps: 5, §sampels: 3"), "models.m.sampels", "has no setting", "did you mean 'samples'?"),
    (family("steps: 5, §options: {width: 3}"), "models.m.options", "unknown key", "next to the other"),
    (pairing("stitcher: [{name: linear, §options: 3}]"), "stitch.0.stitcher.0.options", "unknown key", "next to"),
    (family("steps: 5, width: §0"), "models.m.width", "0 is not allowed", "at least 1"),
    (family("steps: 5, width: [8, §x]"), "models.m.width.1", "'x' is not allowed", "a whole number"),
    (family("steps: 5, width: §8.5"), "models.m.width", "8.5 is not allowed", "a whole number"),
    (family("steps: §five"), "models.m.steps", "'five' is not a whole number", ""),
    (family("steps: §2e2"), "models.m.steps", "200.0 is not a whole number", "write 200"),
    (family("steps: §-5"), "models.m.steps", "-5 is out of range", "at least 0"),
    (family("steps: §true"), "models.m.steps", "true is not a whole number", ""),
    (family('steps: §"5"'), "models.m.steps", "'5' is not a whole number", "leave out the quotes"),
    (
        "name: x\nmodels:\n  m:\n    arch: myrtle\n    steps: 5\n    §seed:\n",
        "models.m.seed",
        "no value; a whole number is needed here",
        "",
    ),
    (family("steps: 5, lr: §.inf"), "models.m.lr", "inf is not a finite number", ""),
    (family("steps: 5, lr: §0"), "models.m.lr", "0 is out of range", "more than 0"),
    (family("steps: 5, momentum: §1"), "models.m.momentum", "1 is out of range", "less than 1"),
    (family("steps: 5, nested: §1"), "models.m.nested", "1 is not true or false", ""),
    (family("steps: 5, nested: §yes"), "models.m.nested", "'yes' is not true or false", ""),
    (family("steps: 5, seed: §[]"), "models.m.seed", "the value is empty", "at least one"),
    (family("steps: 5, seed: §-1"), "models.m.seed", "-1 is out of range", "at least 0"),
    (family("steps: 5, schedule: §cosin"), "models.m.schedule", "'cosin' is not", "did you mean 'cosine'?"),
    (family("steps: 5, samples: §al"), "models.m.samples", "'al' is not a whole number or 'all'", "'all'?"),
    (family("steps: 5, samples: §0"), "models.m.samples", "0 is out of range", "at least 1"),
    (family("steps: 5, samples: [9, §1201]"), "models.m.samples.1", "1347 training images", "at most 1200"),
    ("name: x\nmodels:\n  §m: {arch: resnet18k, width: 4}\n", "models.m", "neither steps nor epochs", "steps: 0"),
    (family("§step: 5"), "models.m.step", "no setting 'step'", "did you mean 'steps'?"),
    (family("§epoch: 5"), "models.m.epoch", "no setting 'epoch'", "did you mean 'epochs'?"),
    (family("steps: 5, epochs: §2"), "models.m.epochs", "both steps and epochs", "one of them"),
    (family("epochs: 2, snapshot: [1, §3]"), "models.m.snapshot.1", "after 3 epochs of a run of 2", "at most 2"),
    (family("steps: [9, 4], snapshot: §5"), "models.m.snapshot", "after 5 steps of a run of 4", "at most 4"),
    (family("steps: 9, snapshot: §2.5"), "models.m.snapshot", "2.5 steps", "whole"),
    (family("steps: 5, zip: §[seed, lrr]"), "models.m.zip", "no axis 'lrr'", "its axes are"),
    (family("steps: 5, seed: [1, 2], lr: [1, 2, 3], zip: §[seed, lr]"), "models.m.zip", "differ in length", ""),
    (family("steps: 5, §steps: 6"), "models.m.steps", "is repeated", "first in line 3"),
    ("name: x\n§name: y" + ONE_MODEL, "name", "is repeated", "first in line 1"),
    ("name: x\nmodels:\n  m: {arch: §resnet18, steps: 1}\n", "models.m.arch", "no architecture", "'resnet18k'?"),
    ("name: x\nmodels:\n  §m: {arhc: myrtle, steps: 1}\n", "models.m", "'arch' is missing", "'arhc' meant"),
    (family("steps: 5, width: 8, augment: §!x none"), "", "tags such as !x", "leave the tag out"),
    ("name: x\ndataset: §digit" + ONE_MODEL, "dataset", "no data set", "'digits'?"),
    ("name: x\ndataset: {§parqet: x}" + ONE_MODEL, "dataset.parqet", "unknown key", "'parquet'?"),
    ("name: x\ndataset: {parquet: §nowhere}" + ONE_MODEL, "dataset.parquet", "there is no folder", ""),
    ("name: x\n§data: {}" + ONE_MODEL, "data", "unknown key", "'dataset'?"),
    ("name: x\nengine: {§workrs: 2}" + ONE_MODEL, "engine.workrs", "unknown key", "'workers'?"),
    ("name: x\nengine: {workers: §0}" + ONE_MODEL, "engine.workers", "out of range", "at least 1"),
    (
        "name: x\nmodels: {m: {arch: myrtle, steps: 1}}\nstitch: §{bottom: m, top: m}\n",
        "stitch",
        "a list of mappings",
        "'- '",
    ),
    ("name: x\nmodels: {m: {arch: myrtle, steps: 1}}\nstitch: [§{bottom: m}]\n", "stitch.0", "'top' is missing", ""),
    (pairing("layers: [conv1, §blok2]"), "stitch.0.layers.1", "resnet18k has no cut 'blok2'", "block2 (3)"),
    (pairing("layers: §[10]"), "stitch.0.layers", "no cut 10", "pool (11)"),
    (pairing("layers: §[]"), "stitch.0.layers", "the list is empty", ""),
    (pairing("layers: {§evry: 2}"), "stitch.0.layers.evry", "unknown key", "did you mean 'every'?"),
    (pairing("layers: {every: §0}"), "stitch.0.layers.every", "0 is out of range", "at least 1"),
    (pairing("stitcher: §conv1x"), "stitch.0.stitcher", "no stitcher 'conv1x'", "did you mean 'conv1x1'?"),
    (pairing("stitcher: {name: linear, §bias: true}"), "stitch.0.stitcher.bias", "linear has no setting", ""),
    (pairing("protocol: §paper_"), "stitch.0.protocol", "'paper_' is not", "did you mean 'paper'?"),
    (pairing("where: a.seed != §b.sed"), "stitch.0.where", "no attribute 'b.sed'", "did you mean 'b.seed'?"),
    (pairing('where: "a.seed != §b.sed"'), "stitch.0.where", "no attribute 'b.sed'", ""),
    (pairing("where: a.seed §= 1"), "stitch.0.where", "not a condition", "compare with =="),
    (pairing("zip: §[bottom, seed]"), "stitch.0.zip", "can't be zipped", "only with each other"),
    (pairing("seed: [1, 2], lr: [0.1, 0.2, 0.3], zip: §[seed, lr]"), "stitch.0.zip", "differ in length", ""),
    (pairing("zip: §[seed, steps]"), "stitch.0.zip", "no axis 'steps'", "its axes are"),
    (JOB.replace("strong], top", "§strog], top"), "stitch.0.bottom.1", "no family 'strog'", "'strong'?"),
    (JOB.replace("[linear_cka]", "§linear_ccka"), "similarity.0.measure", "no measure", "'linear_cka'?"),
    (
        JOB.replace("[linear_cka]", "{name: linear_cka, debiased: §2}"),
        "similarity.0.measure.debiased",
        "2 is not",
        "true or false",
    ),
    ("name: [x\n§", "", "not YAML", ""),
    ("name: x\nmodels: {m: §*nobody}\n", "", "undefined alias", ""),
    ("§- 1\n", "", "a job file must be a mapping", "name"),
    (
        "name: x\nmodels:\n  m:\n    arch: vit\n    steps: 5\n    patch: [2, §3]\n",
        "models.m.patch.1",
        "vit: patch 3 does not divide images of 8x8",
        "must divide the images' sides",
    ),
    ("name: x\n§---\nname: y\n", "", "single document", ""),
    ("name: §&a [*a]\n", "", "an alias can't repeat the value that it is part of", ""),
]


@pytest.mark.parametrize(("marked", "key", "problem", "correction"), MISTAKES)
def test_a_mistake_has_its_location_problem_and_correction(mistakes, marked, key, problem, correction):
    text_before = marked[: marked.index("§")]
    (mistake,) = mistakes(marked.replace("§", ""))
    assert (mistake.line, mistake.column, mistake.key) == (
        text_before.count("\n") + 1,
        len(text_before) - text_before.rfind("\n"),
        key,
    )
    assert mistake.file.endswith("job.yaml")
    assert problem in mistake.problem
    assert correction in mistake.correction


def test_all_mistakes_are_reported_at_once_in_order_of_location(mistakes):
    head = family("steps: 5, ").removesuffix("}\n")
    texts = [text.replace("§", "") for text, key, *_ in MISTAKES if text.startswith(head) and key]
    lines = [text.splitlines()[2].replace("  m:", f"  m{i}:") for i, text in enumerate(texts)]
    job = "\n".join(["name: x", "models:", *lines, ""])
    job += "stitch:\n  - {bottom: m0, top: m1, where: a.x == 1}\n  - {bottom: m99, top: [m2], layers: 3.5}\n  - 7\n"
    job_mistakes = mistakes(job, "name=a b", "store=5")
    keys = {mistake.key for mistake in job_mistakes}
    assert {"stitch.0.where", "stitch.1.bottom", "stitch.1.layers", "stitch.2", "name", "store"} <= keys
    assert len(texts) > 15
    for i, text in enumerate(texts):
        assert any(mistake.key.startswith(f"models.m{i}") and mistake.line == i + 3 for mistake in job_mistakes), text
    locations = [(mistake.line, mistake.column) for mistake in job_mistakes if mistake.line]
    assert locations == sorted(locations)


def test_the_text_of_an_error_has_one_line_per_mistake(job):
    path = job(family("steps: -1, widht: 3"))
    with pytest.raises(JobError) as error:
        load(path)
    assert str(error.value).splitlines() == [
        f"{path}:3:31 models.m.steps: -1 is out of range; it must be at least 0",
        f"{path}:3:35 models.m.widht: resnet18k has no setting 'widht'; did you mean 'width'?",
    ]
    assert error.value.exit_code == 2


def test_consequences_of_a_mistake_are_not_reported(mistakes):
    assert [mistake.key for mistake in mistakes(family("steps: -1, snapshot: 5"))] == ["models.m.steps"]
    text = "name: x\nmodels: {m: 3}\nstitch: [{bottom: m, top: m, layers: q}]\n"
    assert [mistake.key for mistake in mistakes(text)] == ["models.m"]


@pytest.mark.parametrize("content", ["", "# nothing\n", "\n\n", "---\n"])
def test_an_empty_file_is_a_mistake(mistakes, content):
    (mistake,) = mistakes(content)
    assert "the file is empty" in mistake.problem


def test_a_missing_file_is_refused_with_the_jobs_of_its_folder(tmp_path, job):
    job()
    with pytest.raises(JobError, match=r"no such file; that folder has .*job\.yaml"):
        load(tmp_path / "jop.yaml")
    with pytest.raises(JobError, match="a folder, not a job file"):
        load(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"name: \xe9\n", b"\x00"])
def test_a_file_that_is_not_utf8_text_or_yaml_is_refused(tmp_path, content):
    path = tmp_path / "job.yaml"
    path.write_bytes(content)
    with pytest.raises(JobError):
        load(path)


def test_a_file_over_the_limit_is_not_read(job):
    path = job(JOB + "#" * source.MOST_BYTES)
    with pytest.raises(JobError, match=r"too large: 4\d+ bytes; a job file may have at most 4000000 bytes"):
        load(path)


def test_nested_aliases_that_expand_to_billions_of_values_are_refused(mistakes):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (mistake,) = mistakes("\n".join(lines) + "\n")
    assert "aliases repeat" in mistake.problem


def test_deeply_nested_lists_are_refused(mistakes):
    (mistake,) = mistakes("name: " + "[" * 700)
    assert "nested too deeply" in mistake.problem


def test_yaml_tags_create_no_python_objects(mistakes):
    job_mistakes = mistakes("name: x\nmodels: !!python/object/apply:os.system ['exit 3']\n")
    assert any("tags such as" in mistake.problem for mistake in job_mistakes)


# Overrides


def test_overrides_replace_settings_of_the_file(job):
    sweep = load(
        job(),
        [
            "models.weak.width=4,8",
            "models.strong.lr=1e-3",
            "stitch.0.layers=conv1,pool",
            "stitch.0.where=a.seed in (1, 2)",
            "engine.workers=3",
            "limits.tasks=1_000_000",
            "similarity.0.measure={name: linear_cka, debiased: true}",
            "name=other",
        ],
    )
    assert sweep.models["weak"].options == {"width": (4, 8)}
    assert sweep.models["strong"].lr == (0.001,)
    assert sweep.stitch[0].layers == ("conv1", "pool")
    assert sweep.stitch[0].where == "a.seed in (1, 2)"
    assert (sweep.engine.workers, sweep.limits.tasks, sweep.name) == (3, 1_000_000, "other")
    assert sweep.similarity[0].measure[0].options == {"debiased": (True,)}


@pytest.mark.parametrize(
    ("text", "key", "problem", "correction"),
    [
        ("models.weka.width=4", "models.weka", "no such key", "did you mean 'weak'?"),
        ("models.weak.widht=4", "models.weak.widht", "has no setting", "did you mean 'width'?"),
        ("models.weak.width=x", "models.weak.width", "'x' is not allowed", "a whole number"),
        ("models.weak.seed=0,-1", "models.weak.seed.1", "-1 is out of range", "at least 0"),
        ("stitch.7.layers=all", "stitch.7", "no such key", "from 0 to 0"),
        ("stitch.layers=all", "stitch.layers", "no such key", "from 0 to 0"),
        ("name.x=1", "name", "no keys inside it", ""),
        ("models.weak.width", "", "no value is given", "KEY=VALUE"),
        ("=4", "", "no key is given", "KEY=VALUE"),
        ("models..width=4", "", "a key is empty", "KEY=VALUE"),
        ("models.weak.width=[4", "", "not YAML", ""),
        ("modls=4", "modls", "unknown key", "did you mean 'models'?"),
        ("limits.tasks=many", "limits.tasks", "'many' is not a whole number", ""),
    ],
)
def test_a_mistake_in_an_override_quotes_the_override(mistakes, text, key, problem, correction):
    (mistake,) = mistakes(JOB, text)
    assert mistake.file == f"override '{text}'"
    assert (mistake.line, mistake.column, mistake.key) == (0, 0, key)
    assert problem in mistake.problem
    assert correction in mistake.correction


# Data sets


def test_a_path_of_a_data_set_is_relative_to_the_job_file(job, parquet_folder, monkeypatch):
    monkeypatch.chdir("/")
    text = family("width: 4, steps: 5, samples: 24") + "dataset: {parquet: hub}\n"
    sweep = load(job(text))
    assert isinstance(sweep.dataset, DatasetFolder)
    assert sweep.dataset.parquet == str(parquet_folder)
    assert (sweep.data.train, sweep.data.where) == (24, str(parquet_folder))


def test_a_path_that_exists_in_the_current_folder_alone_gets_a_suggestion(job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets").mkdir()
    (tmp_path / "jobs").mkdir()
    (tmp_path / "net.pt").touch()
    path = tmp_path / "jobs" / "job.yaml"
    path.write_text("name: x\nmodels:\n  m: {arch: mlp, steps: 1}\nstitch: [{bottom: m, top: m}]\n")
    for override, suggestion in (("dataset.imagefolder=pets", "../pets"), ("models.m.weights=net.pt", "../net.pt")):
        with pytest.raises(JobError, match=rf"relative to the job's file: did you mean {suggestion}\?"):
            load(path, [override])


def test_variables_and_home_in_a_path_are_replaced(job, image_folder, tmp_path, monkeypatch):
    text = family("width: 4, steps: 5") + "dataset:\n  imagefolder: ${PETS_ROOT}/pets\n"
    monkeypatch.setenv("PETS_ROOT", str(tmp_path))
    assert load(job(text)).data.where == str(image_folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(job(text), ["dataset.imagefolder=~/pets"]).data.where == str(image_folder)


def test_an_unset_variable_in_a_path_is_a_mistake(mistakes, monkeypatch):
    monkeypatch.delenv("PETS_ROOT", raising=False)
    (mistake,) = mistakes(family("steps: 5, samples: 5000") + "dataset:\n  parquet: ${PETS_ROOT}/pets\n")
    assert (mistake.line, mistake.column, mistake.key) == (5, 12, "dataset.parquet")
    assert "PETS_ROOT is not set" in mistake.problem


def test_more_samples_than_the_folder_has_are_a_mistake(mistakes, parquet_folder):
    (mistake,) = mistakes(family("steps: 5, samples: 25") + f"dataset: {{parquet: {parquet_folder}}}\n")
    assert "25 samples; the data set has 24 training images" in mistake.problem


def test_mistakes_are_reported_before_a_folder_is_hashed(mistakes, parquet_folder, monkeypatch):
    """Hashing a large folder and decoding its images for the first time takes minutes."""
    monkeypatch.setattr("sweeper.spec.content.folders.fingerprint", lambda *_: pytest.fail("a file was hashed"))
    assert mistakes(family("steps: 5, sampels: 24") + f"dataset: {{parquet: {parquet_folder}}}\n")


# Limits


def test_a_grid_over_the_limit_is_counted_in_full(mistakes):
    seeds = ", ".join(map(str, range(2_000)))
    text = family(f"width: 8, steps: 5, seed: [{seeds}]") + "stitch:\n  - {bottom: m, top: m, seed: [0, 1, 2]}\n"
    (mistake,) = mistakes(text)
    assert (mistake.line, mistake.key) == (5, "stitch.0")
    assert "120002000 tasks" in mistake.problem  # 2000 models, 2000 * 2000 pairs at 10 cuts with 3 seeds
    assert "120000000 of them from this section" in mistake.problem
    assert "at most 5000000" in mistake.correction


def test_the_limit_on_tasks_can_be_changed_by_an_override(mistakes, job):
    assert load(job(), ["limits.tasks=1000"])
    (mistake,) = mistakes(JOB, "limits.tasks=100")
    assert "the job has" in mistake.problem


class TestOverridesOfTheDataSet:
    @pytest.mark.parametrize("given", ["", "dataset: cifar10\n", "dataset: {parquet: /nowhere}\n"])
    def test_an_override_names_a_folder_in_place_of_any_other_data_set(self, tmp_path, given):
        path = tmp_path / "job.yaml"
        path.write_text(f"name: x\n{given}models:\n  m: {{arch: mlp, steps: 1}}\n")
        with pytest.raises(JobError) as caught:
            load(path, ["dataset.imagefolder=pictures"])
        assert "dataset.imagefolder: " in str(caught.value)
        assert f"{tmp_path}/pictures" in str(caught.value)
        assert "no such key" not in str(caught.value)

    def test_a_misspelt_section_gets_a_suggestion(self, tmp_path):
        path = tmp_path / "job.yaml"
        path.write_text("name: x\nmodels:\n  m: {arch: mlp, steps: 1}\n")
        with pytest.raises(JobError, match="did you mean 'dataset'"):
            load(path, ["datset.imagefolder=pictures"])
