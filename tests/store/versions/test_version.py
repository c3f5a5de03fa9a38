"""A version gives the rows of then, whatever came or was compacted since, in a folder and in a bucket."""

import pickle
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.compaction import all_views, compact, fill_store, part_paths
from support.damage import flipped
from support.store_rows import curve, failure, model, stitch, weights_of

from sweeper.errors import PartsMissingError, StoreError
from sweeper.spec.records import ident
from sweeper.store.parts import store_paths
from sweeper.store.parts.objects import Folder, open_objects
from sweeper.store.query import gather
from sweeper.store.store import Store
from sweeper.store.versions.version import StoreVersion, digest_of, read_version

MODELS = [f"m{i}" for i in range(3)]


@pytest.fixture(params=["folder", "bucket"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return a store of several parts of each kind, in a folder and in a bucket in turn."""
    url = request.getfixturevalue("bucket").url if request.param == "bucket" else str(tmp_path / "store")
    store = Store.open(url, create=True)
    fill_store(store)
    return store


def commit(store: Store, number: int, tasks: list[int], attempt: int) -> None:
    """Commit a model with one of two weights, stitches, a curve and a failure, all told apart by a number."""
    run = f"r{number}"
    name = MODELS[number % len(MODELS)]
    weights = ident.digest(f"{name} {number % 2}".encode())
    rows = [model(name, run=run, attempt=attempt, weights=weights, test_error=float(number)), curve(name, number)]
    rows += [stitch(MODELS[i], name, run=run, attempt=attempt, gain=float(number)) for i in tasks]
    store.commit([*rows, failure(f"lost {number}", run=run)], run=run, worker="w")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.lists(st.integers(0, 2), min_size=1, unique=True), st.integers(0, 2)),
        st.tuples(st.sampled_from(["compact", "cite", "put weights", "delete weights", "reopen"])),
    ),
    min_size=4,
    max_size=14,
)


def check_steps(store: Store, steps: list[tuple]) -> None:
    """Do steps to a store, and after each compare the rows of every version that was kept before with those of then."""
    expected: dict[str, dict] = {}
    commit(store, 0, [0], 0)
    for number, (step, *arguments) in enumerate([*steps, ("cite",)], 1):
        if step == "commit":
            commit(store, number, *arguments)
        elif step == "compact":
            compact(store)
        elif step == "put weights":
            store.put_weights(f"{MODELS[0]} {number % 2}".encode())
        elif step == "delete weights":
            for info in store.objects.list(store_paths.WEIGHTS)[:1]:
                store.objects.delete(info.path)
        elif step == "reopen":
            store = Store.open(store.url)
        else:
            shown = all_views(store)
            assert expected.setdefault(store.keep_version(), shown) == shown, "equal digests have equal rows"
        for digest, rows in expected.items():
            assert all_views(store.as_of(digest)) == rows
    for digest, rows in expected.items():
        version = store.as_of(digest)
        assert all_views(version) == rows
        assert version.keep_version() == version.version == digest


@given(steps=STEPS)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_version_in_a_folder_has_the_rows_of_then(steps: list[tuple], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gather, "MOST_SINGLE_PARTS", 2)  # so that few parts are already gathered
    with tempfile.TemporaryDirectory() as folder:
        check_steps(Store.open(f"{folder}/store", create=True), steps)


@given(steps=STEPS, name=st.uuids())
@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_version_in_a_bucket_has_the_rows_of_then(steps: list[tuple], name: object, s3: int):
    check_steps(Store.open(f"s3://sweeps/{name}", create=True), steps)


@pytest.mark.slow
@given(steps=STEPS, name=st.uuids(), in_bucket=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_version_has_the_rows_of_then_in_more_cases(
    steps: list[tuple], name: object, in_bucket: bool, s3: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gather, "MOST_SINGLE_PARTS", 2)
    with tempfile.TemporaryDirectory() as folder:
        check_steps(Store.open(f"s3://sweeps/{name}" if in_bucket else f"{folder}/store", create=True), steps)


def test_compaction_changes_no_digest_and_more_results_do(filled: Store):
    before = filled.keep_version()
    compact(filled)
    assert filled.pinned().version == Store.open(filled.url).pinned().version == before
    filled.commit([stitch("m1", "m2")], run="later", worker="w")
    assert filled.pinned().version != before


def test_a_version_lacks_what_came_later_in_every_method(filled: Store):
    digest, done, rows, times = filled.keep_version(), filled.done(), all_views(filled), filled.times(["m0>m0@block1"])
    later = [
        model("m9"),
        stitch("m9", "m0"),
        stitch("m0", "m0", attempt=0, run="a", gain=99.0),
        failure("m9>m1@block1"),
    ]
    filled.put_weights(weights_of("m9"))
    filled.commit(later, run="later", worker="w")
    compact(filled)
    then = filled.as_of(digest)
    assert all_views(then) == rows != all_views(filled)
    assert filled.done() - done == {"m9", "m9>m0@block1"}
    assert then.done() == done | set(then.weights())
    assert then.times(["m0>m0@block1"]) == times
    assert "m9>m1@block1" not in then.failed()
    assert [row.task for row in then.runs()] == ["r0"]
    assert all_views(pickle.loads(pickle.dumps(then))) == rows


def test_a_pinned_store_is_not_changed_by_other_processes(filled: Store):
    pinned, rows = filled.pinned(), all_views(filled)
    filled.commit([model("m9"), stitch("m9", "m0")], run="later", worker="w")
    compact(filled)
    assert all_views(pinned) == rows
    assert repr(pinned) == f"Store({filled.url!r}).as_of({pinned.version!r})"
    assert (filled.version, pinned.pinned()) == ("", pinned)


def test_the_weights_that_a_model_showed_then_are_shown_later(filled: Store):
    first, second = ident.digest(b"first"), ident.digest(b"second")
    rows = [model("m9", weights=first, test_error=1.0), model("m9", attempt=1, weights=second, test_error=2.0)]
    filled.commit(rows, run="w", worker="w")
    filled.put_weights(b"second")
    query = "SELECT test_error FROM models WHERE task = 'm9'"
    without_first = filled.keep_version()
    assert filled.sql(query).to_pylist() == [{"test_error": 2.0}]
    filled.put_weights(b"first")
    with_first = filled.keep_version()
    assert filled.sql(query).to_pylist() == [{"test_error": 1.0}]
    filled.objects.delete(store_paths.weights(first))
    assert filled.as_of(without_first).sql(query).to_pylist() == [{"test_error": 2.0}]
    assert filled.as_of(with_first).sql(query).to_pylist() == [{"test_error": 1.0}]
    assert filled.keep_version() == without_first != with_first


def test_a_version_whose_part_is_damaged_or_gone_is_refused(tmp_path: Path):
    store = Store.open(str(tmp_path / "store"), create=True)
    fill_store(store, parts=3)
    digest, path = store.keep_version(), part_paths(store, "stitches")[1]
    content = (tmp_path / "store" / path).read_bytes()
    for damaged in (content[:-1], None):
        file = tmp_path / "store" / path
        file.unlink() if damaged is None else file.write_bytes(damaged)
        part = store_paths.parse_part(path)
        with pytest.raises(PartsMissingError, match=f"lacks 1 of the parts .*stitches {part.digest}.*can't be given"):
            store.as_of(digest)
    file.write_bytes(content)
    assert len(store.as_of(digest).sql("FROM stitches")) == 3


@pytest.mark.parametrize("is_damaged", [False, True])
def test_parts_that_are_lost_after_a_store_was_pinned_are_left_out_as_before(tmp_path: Path, is_damaged: bool):
    store = Store.open(str(tmp_path / "store"), create=True)
    fill_store(store, parts=3)
    files = [tmp_path / "store" / path for path in part_paths(store, "stitches")[1:]]
    pins: list[str] = []

    def read() -> int:
        pinned = store.pinned()
        pins.append(pinned.version)
        if files:
            file = files.pop()
            file.write_bytes(flipped(file.read_bytes(), 900)) if is_damaged else file.unlink()
        return len(pinned.sql("FROM parts_stitches"))

    assert store.retried(read) == 2
    assert len(set(pins)) == 3


def test_a_version_is_never_written_to(filled: Store):
    pinned = filled.pinned()
    for change in (
        lambda: pinned.commit([model("m9")], run="r", worker="w"),
        lambda: pinned.put_weights(b"x"),
        lambda: pinned.set_aside(),
        lambda: pinned.lease(),
    ):
        with pytest.raises(StoreError, match="is a version of a store, which can't be changed"):
            change()


def test_the_digest_covers_parts_kinds_and_lost_weights():
    a, b = "0" * 16, "1" * 16
    versions = [
        StoreVersion({"models": frozenset([a])}),
        StoreVersion({"models": frozenset([b])}),
        StoreVersion({"stitches": frozenset([a])}),
        StoreVersion({"models": frozenset([a, b])}),
        StoreVersion({"models": frozenset([a])}, frozenset(["f" * 64])),
    ]
    assert len({version.digest for version in versions}) == len(versions)
    for version in versions:
        assert read_version(version.to_bytes()) == version
        assert digest_of(version.to_bytes()) == version.digest
    assert StoreVersion({"models": frozenset([b, a])}).digest == versions[3].digest


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 1}', b'{"format": 2, "parts": {}, "lost_weights": []}'])
def test_what_is_no_list_of_parts_is_refused(content: bytes):
    with pytest.raises(ValueError):
        read_version(content)


def test_a_store_of_the_first_version_has_versions(tmp_path: Path):
    fixture = Path(__file__).parents[2] / "fixtures" / "store-v1"
    objects = open_objects(str(tmp_path / "copy"))
    assert isinstance(objects, Folder)
    for file in fixture.rglob("*"):
        if file.is_file():
            objects.root.mkdir(exist_ok=True)
            objects.create(str(file.relative_to(fixture)), file.read_bytes())
    store = Store.open(objects.url)
    rows, digest = all_views(store), store.keep_version()
    compact(store)
    assert all_views(Store.open(objects.url).as_of(digest[:8])) == rows
