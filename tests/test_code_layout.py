"""Tests of the layout of the code: every module has a test file, and no name has two meanings."""

import ast
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE, TESTS = ROOT / "sweeper", ROOT / "tests"

# Modules and folders without a test file of their own: the test file that covers them, and the reason.
COVERED_BY = {
    "__main__.py": ("cli/test_cuts.py", "probing a network runs `python -m sweeper`"),
    "api.py": ("test_python_api.py", "the public names are tested together"),
    "stitchers.py": ("test_python_api.py", "the public names are tested together"),
    "errors.py": ("spec/job/test_load.py", "errors are tested by the messages that users see"),
    "cli/audit.py": ("cli/test_tables.py", "it holds the command `audit`"),
    "cli/cards.py": ("cli/test_cuts.py", "it holds the command `cuts`"),
    "cli/checks/ask_nodes.py": ("engine/test_doctor_on_clusters.py", "it needs a real cluster"),
    "cli/doctor.py": ("cli/test_commands.py", "commands are tested as users call them"),
    "cli/app.py": ("cli/test_commands.py", "commands are tested as users call them"),
    "cli/commands/": ("cli/test_commands.py", "commands are tested as users call them"),
    "cli/main.py": ("cli/test_commands.py", "commands are tested as users call them"),
    "cli/places.py": ("cli/test_status.py", "it finds the job and the store of a command"),
    "cli/query.py": ("cli/test_tables.py", "it holds the commands `tables`, `report` and `explain`"),
    "cli/settle.py": ("cli/test_tables.py", "it holds the command `settle`"),
    "report/charts/chart.py": ("report/charts/test_by_depth.py", "a chart is tested by what it shows"),
    "report/charts/reader.py": ("report/charts/test_by_depth.py", "its texts are tested in the charts that have them"),
    "report/charts/choose.py": ("report/test_page.py", "the page shows the charts of each table"),
    "report/headlines.py": ("report/test_answers.py", "headlines are what answers are about"),
    "cli/rows.py": ("cli/test_sql.py", "it formats the answers of `sql`"),
    "cli/sweep.py": ("cli/test_commands.py", "commands are tested as users call them"),
    "spec/job/checks/engine_findings.py": ("cli/test_translate.py", "the address is refused as a user gives it"),
    "engine/driver.py": ("engine/test_run.py", "a driver is tested by whole runs"),
    "engine/driver_store.py": ("engine/test_outage.py", "it is tested by runs whose store is out of reach"),
    "engine/fits.py": ("engine/test_run.py", "fits need Tune's loop"),
    "engine/planner.py": ("engine/test_run.py", "a run makes new plans of what it lost"),
    "engine/summary.py": ("engine/test_run.py", "the result of a run is tested by whole runs"),
    "engine/cluster.py": ("engine/test_two_nodes.py", "it needs a real cluster"),
    "engine/end_row.py": ("engine/test_guard.py", "the guard writes the row"),
    "engine/guard_process.py": ("engine/test_guard.py", "the process is tested with its handle"),
    "engine/on_head.py": ("remote/test_ray_exec.py", "it runs beside a driver that was started over SSH"),
    "engine/searcher.py": ("engine/test_run.py", "the searcher needs Tune's loop"),
    "report/audit/compare.py": ("report/audit/test_audit.py", "a comparison needs a store and a figure"),
    "report/audit/settings.py": ("report/audit/test_select.py", "settings decide which runs are selected"),
    "spec/cards/archs.py": ("conformance/test_arch_cards.py", "each card is compared with the network it builds"),
    "spec/cards/nets/": ("conformance/test_arch_cards.py", "each card is compared with the network it builds"),
    "spec/cards/tally.py": ("conformance/test_arch_cards.py", "each card is compared with the network it builds"),
    "spec/cards/card.py": ("conformance/test_arch_cards.py", "each card is compared with the network it builds"),
    "spec/cards/options.py": ("conformance/test_arch_cards.py", "each card is compared with the network it builds"),
    "spec/cards/datasets.py": ("conformance/test_data_cards.py", "each card is compared with its data"),
    "spec/cards/measures.py": ("conformance/test_measure_cards.py", "each card is compared with its measure"),
    "spec/cards/measure_costs.py": ("conformance/test_measure_cards.py", "each card is compared with its measure"),
    "spec/cards/stitchers.py": ("conformance/test_stitcher_cards.py", "each card is compared with its stitcher"),
    "spec/cards/protocols.py": ("plan/test_graph.py", "protocols are defaults of recipes"),
    "spec/cards/places.py": ("trials/stitching/test_spatial.py", "places are tested on tensors"),
    "spec/cards/user_networks.py": ("cli/test_user_networks.py", "a user's network is tested from job to result"),
    "spec/job/signatures.py": ("cli/test_user_networks.py", "a user's network is tested from job to result"),
    "spec/cards/user_stitchers.py": ("cli/test_user_stitchers.py", "a user's stitcher is tested from job to result"),
    "spec/job/joins.py": ("cli/test_user_stitchers.py", "a user's stitcher is tested from job to result"),
    "spec/job/checks/": ("spec/job/test_check.py", "the checks are tested by their messages on whole jobs"),
    "spec/job/sweep.py": ("spec/job/test_load.py", "the model of a job is tested by loading jobs"),
    "spec/job/family.py": ("spec/job/test_load.py", "the model of a job is tested by loading jobs"),
    "spec/job/section.py": ("spec/job/test_load.py", "the model of a job is tested by loading jobs"),
    "spec/job/validate.py": ("spec/job/test_load.py", "validation is tested by its messages"),
    "spec/records/rows.py": ("store/parts/test_part.py", "rows are tested by storing and reading them"),
    "spec/records/task.py": ("spec/records/test_ident.py", "tasks are tested by their ids"),
    "spec/user_code/": ("cli/test_trusted_code.py", "trust is tested from the command line"),
    "store/parts/schema.py": ("store/parts/test_part.py", "schemas are tested by writing parts"),
    "store/parts/content_check.py": ("store/parts/test_verify.py", "contents are tested as parts of stores"),
    "store/query/gathered_files.py": ("store/query/test_gather.py", "gathered files are tested as parts are gathered"),
    "store/query/verified_file.py": ("store/query/test_part_files.py", "the file is opened by its file system"),
    "store/query/repeats.py": ("store/query/test_views.py", "tasks with several rows are tested through views"),
    "store/task_ids.py": ("store/test_store.py", "a store's `done` and `failed` return these ids"),
    "store/statistics/contrast.py": (
        "store/statistics/test_trend.py",
        "slopes are tested as trends (and means in test_interval.py)",
    ),
    "store/statistics/pairs.py": ("store/statistics/test_interval.py", "pairs are tested through intervals"),
    "trials/data/digits.py": ("trials/data/test_load.py", "digits are loaded like every data set"),
    "trials/device_check.py": ("trials/test_other_device.py", "it needs a second device"),
    "trials/receipts.py": ("trials/test_perform.py", "receipts are tested as outcomes of packs"),
    "trials/process/builder.py": ("conformance/test_arch_cards.py", "builders are imported for each card"),
    "trials/networks/activation_batches.py": ("trials/test_perform.py", "batches are tested in whole packs"),
    "trials/networks/activations.py": (
        "trials/networks/test_cut.py",
        "activations are compared with halves of networks",
    ),
    "trials/networks/label_codes.py": (
        "trials/stitching/test_stitch_group.py",
        "label codes are one bottom of a stitch",
    ),
    "trials/networks/noise_images.py": (
        "trials/stitching/test_stitch_group.py",
        "images of other images are seen by one bottom of a stitch",
    ),
    "trials/networks/network.py": ("trials/test_perform.py", "networks are loaded by packs"),
    "trials/networks/scoring.py": ("trials/test_perform.py", "scores are tested as outcomes of packs"),
    "trials/networks/archs/": ("trials/networks/test_archs.py", "one suite runs every architecture"),
    "trials/training/weights_check.py": ("spec/job/test_weight_fits.py", "a job's check starts it as a process"),
    "trials/networks/traced/": ("trials/networks/traced/test_traced.py", "one suite traces every network"),
    "trials/similarity/compare.py": ("trials/test_perform.py", "comparisons are tested as outcomes of packs"),
    "trials/similarity/measures/": ("trials/similarity/measures/test_agreement.py", "one suite runs every measure"),
    "trials/stitching/direct_matching.py": ("trials/stitching/test_stitch_group.py", "groups solve closed forms"),
    "trials/stitching/protocol_strict.py": ("trials/stitching/test_stitch_group.py", "strict is the default protocol"),
    "trials/stitching/strict_states.py": (
        "trials/stitching/test_stitch_group.py",
        "states are tested by whole stitches",
    ),
    "trials/stitching/stitched_network.py": ("trials/stitching/test_stitch_group.py", "it is the group's unit"),
    "trials/stitching/stitchers/": ("trials/stitching/stitchers/test_stitchers.py", "one suite runs every stitcher"),
    "trials/networks/network_cards.py": ("trials/networks/traced/test_traced_packs.py", "cards are added when built"),
    "trials/stitching/bottom_feeds.py": ("trials/stitching/test_stitch_group.py", "it is a part of the group"),
    "trials/stitching/closed_forms.py": ("trials/stitching/test_stitch_group.py", "it is a part of the group"),
    "trials/stitching/paper_state.py": ("trials/stitching/test_group_saving.py", "groups are tested with their packs"),
    "trials/stitching/stitch_state.py": ("trials/stitching/test_group_saving.py", "groups are tested with their packs"),
    "trials/stitching/strict_group.py": ("trials/stitching/test_group_saving.py", "groups are tested with their packs"),
    "trials/stitching/protocol.py": ("trials/stitching/test_stitch_group.py", "it declares the protocols' interface"),
    "trials/stitching/top_models.py": ("trials/stitching/test_stitch_group.py", "it is a part of the group"),
    "trials/training/learning_curve.py": ("trials/training/test_train.py", "points are made by training"),
}

# Public names in several modules, with the one meaning that they have in all of them.
SHARED_NAMES = {
    "audit": "the audit of a store, and the command of that name",
    "load": "loading a job: the Python API's function and the one that it calls",
    "main": "the entry point of a command",
    "run": "performing a sweep: the engine's function and the command of that name",
    "tables": "the tables of a store, and the command of that name",
    "train": "training in place: of models, and of stitches by each protocol",
}


def modules() -> list[Path]:
    """Return the modules of the package, relative to it."""
    return [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]


def has_test(module: Path) -> bool:
    """Return True if a module has a test file of its own name in the folder of its name."""
    return (TESTS / module.parent / f"test_{module.name}").is_file()


@pytest.mark.parametrize("module", modules(), ids=str)
def test_every_module_has_a_test_file_or_a_reason(module: Path) -> None:
    listed = [key for key in COVERED_BY if str(module) == key or (key.endswith("/") and str(module).startswith(key))]
    assert has_test(module) or listed, f"no tests/{module.parent}/test_{module.name}, and no reason in COVERED_BY"


@pytest.mark.parametrize("key", COVERED_BY)
def test_every_reason_is_needed_and_names_a_test_file(key: str) -> None:
    test, reason = COVERED_BY[key]
    assert (TESTS / test).is_file()
    assert reason
    covered = [
        module for module in modules() if str(module) == key or (key.endswith("/") and str(module).startswith(key))
    ]
    assert covered, "no such module"
    assert not all(map(has_test, covered)), "every module here has its own test file"


@pytest.mark.parametrize("package", sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()))
def test_no_two_files_of_a_package_share_a_name(package: str) -> None:
    names = Counter(module.name for module in modules() if module.parts[0] == package)
    assert [name for name, times in names.items() if times > 1] == []


def test_no_public_name_is_defined_twice_except_shared_names() -> None:
    modules_by_name = defaultdict(list)
    for module in modules():
        for node in ast.parse((PACKAGE / module).read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                modules_by_name[node.name].append(str(module))
    repeated = {name: places for name, places in modules_by_name.items() if len(places) > 1}
    assert not repeated.keys() - SHARED_NAMES, {name: repeated[name] for name in repeated.keys() - SHARED_NAMES}
    assert not SHARED_NAMES.keys() - repeated, "these names are no longer shared"
