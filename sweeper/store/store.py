"""A store: the results of sweeps, in a folder or a bucket.

A published file is never changed. A task is done once its row is published, and its row is published last. Readers use
only verified parts.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from typing import Any, Self, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from sweeper.errors import (
    PartChangedError,
    PartsMissingError,
    QueryFailedError,
    StoreError,
    UnreadableFileError,
    UsageError,
    WeightsError,
)
from sweeper.spec.records import ident
from sweeper.spec.records.rows import RECEIPTS, ROWS, Row, RunRow
from sweeper.spec.records.task import TaskTime
from sweeper.store import task_ids
from sweeper.store.compaction.compactor import Compactor
from sweeper.store.driver_watch import DriverWatch
from sweeper.store.holder import Holder, read_holder
from sweeper.store.lease import Lease
from sweeper.store.mark import check_mark, create_mark
from sweeper.store.parts import part, store_paths
from sweeper.store.parts.objects import Folder, Objects, open_objects, put_whole
from sweeper.store.parts.schema import to_rows
from sweeper.store.parts.sound_weights import SoundWeights
from sweeper.store.parts.verify import CheckedParts, Damage, VerifiedPart, Verifier
from sweeper.store.progress import Progress, ProgressLog, read_progress
from sweeper.store.query import query
from sweeper.store.query.gather import Gatherer
from sweeper.store.query.readable import unreadable_parts
from sweeper.store.query.repeats import Repeats
from sweeper.store.scratch import Scratch
from sweeper.store.versions.moment import original_parts_by, parse_moment
from sweeper.store.versions.records import VersionRecords
from sweeper.store.versions.version import StoreVersion, original_parts, parts_of_version

# The kinds of rows in the order of publication. A receipt marks its task as done, so curves and failures are published
# before receipts: a reader who finds the receipt of a model also finds its curve.
PUBLICATION_ORDER = ("curves", "failures", *RECEIPTS, "runs")

R = TypeVar("R")

_LONGEST_COMMIT = 86400.0  # seconds; an older file in `tmp/` was left by a process that was killed


class Store:
    """The results of sweeps in a folder or a bucket; `Store.open` makes one.

    Many processes may use a store at once, and many threads one `Store` object.
    """

    def __init__(self, objects: Objects):
        self.objects = objects
        self.scratch = Scratch(objects)
        self._verifier = Verifier(objects)
        self._sound_weights = SoundWeights(objects, self._verifier.folder)
        self._gatherer = Gatherer(self._verifier.folder / "gathered")
        self._repeats = Repeats(self._verifier.folder / "repeated.json")
        self._records = VersionRecords(objects)
        self._version: StoreVersion | None = None
        self._parts_of_version: CheckedParts | None = None
        self._damage: list[Damage] = []
        self._damaged_weights: list[Damage] = []

    @classmethod
    def open(cls, url: str, create: bool = False) -> Self:
        """Open the store at a folder's path or a URL (file://, s3://, gs://, az://; credentials from the environment).

        Args:
            url: The path or URL.
            create: True makes a new store if there is nothing at `url`.

        Raises:
            StoreError: If there is no store or something else at `url`, or if the store has a later format.
        """
        objects = open_objects(str(url))
        if create:
            create_mark(objects)
        check_mark(objects)
        return cls(objects)

    @property
    def url(self) -> str:
        """The absolute path of the folder, or the URL of the bucket."""
        return self.objects.url

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self).open, (self.url,)) if self._version is None else (_at_version, (self.url, self._version))

    def __repr__(self) -> str:
        return f"Store({self.url!r})" if self._version is None else f"Store({self.url!r}).as_of({self.version!r})"

    @property
    def version(self) -> str:
        """The digest of the version that this object shows; "" if it shows what the store has at each look."""
        return "" if self._version is None else self._version.digest

    def pinned(self) -> Self:
        """Return this store as it is now: an object that shows the same rows at every look, and can't be changed.

        Raises:
            StoreError: The store can't be reached.
        """
        if self._version is not None:
            return self
        checked_parts = self._check_parts()
        valid = checked_parts.valid
        return self._at(StoreVersion(original_parts(valid), self._lost_weights(valid)), checked_parts)

    def as_of(self, moment: str) -> Self:
        """Return this store as it was: an object that shows the rows of a version, and can't be changed.

        Args:
            moment: The digest of a version that the store has kept (`keep_version`), or its first digits; or a time
                in ISO 8601 (UTC if it names no zone): the version has the parts whose latest row was made by then.

        Raises:
            UsageError: It is neither.
            StoreError: The store has no such version, or lacks parts of it.
        """
        digits_or_time = parse_moment(moment)
        if isinstance(digits_or_time, str):
            store = self._at(self._records.find(digits_or_time))
        else:
            store = self.retried(lambda: self._at_time(digits_or_time))
        store._check_parts()
        return store

    def keep_version(self) -> str:
        """Write the list of the parts that this object shows into the store, for `as_of`, and return its digest.

        Raises:
            StoreError: The store can't be written.
        """
        store = self.pinned()
        assert store._version is not None, "a pinned store has a version"
        self._records.keep(store._version)
        return store.version

    def _at(self, version: StoreVersion, checked_parts: CheckedParts | None = None) -> Self:
        """Return an object that shows a version, and knows of each part what this one knows.

        Args:
            version: The version.
            checked_parts: Its parts, if this object has just checked them; what it left out, the version lacks, too.
        """
        store = type(self)(self.objects)
        store._verifier, store._sound_weights = self._verifier, self._sound_weights
        store._version, store._parts_of_version = version, checked_parts
        if checked_parts is not None:
            store._damage, store._damaged_weights = self._damage, self._damaged_weights
        return store

    def _at_time(self, time: datetime) -> Self:
        checked_parts = self._check_parts()
        version = StoreVersion(original_parts_by(time, checked_parts.valid))
        lost_weights = self._lost_weights(parts_of_version(checked_parts.valid, version))
        return self._at(StoreVersion(version.parts, lost_weights))

    def _lost_weights(self, parts: Sequence[VerifiedPart]) -> frozenset[str]:
        """Return the weights that the store lacks, of models that have rows with several weights."""
        weights = query.contested_weights(parts)
        return weights - self._present_weights() if weights else weights

    def commit(self, rows: Iterable[Row], *, run: str, worker: str) -> list[str]:
        """Publish rows in one part for each kind and return the parts' paths in the order of publication.

        Receipts come after curves and failures. Each part appears whole or not at all, and is durable when this
        returns. Committing the same rows again, after an error or in a second process, changes nothing.

        Args:
            rows: Rows of any kinds.
            run: The id of the run; part of the parts' names.
            worker: The name of the worker; part of the parts' names.

        Raises:
            StoreError: If the store can't be written.
            ValueError: If `run` or `worker` contains a character that isn't allowed in a name.
        """
        self._check_changeable()
        rows_by_kind: dict[str, list[Row]] = {}
        for row in rows:
            rows_by_kind.setdefault(row.kind, []).append(row)
        return [
            part.publish(self.objects, rows_by_kind[kind], run, worker)
            for kind in PUBLICATION_ORDER
            if kind in rows_by_kind
        ]

    def retried(self, read: Callable[[], R]) -> R:
        """Return the result of a function that reads the store, called again without the parts that are to blame.

        They were moved away by another process, were damaged after they were checked, or can't be read.

        Raises:
            StoreError: The store can't be read.
            QueryError: The function's query is wrong.
        """
        changed_paths: set[str] = set()
        missing_parts: set[str] = set()
        is_searched = False
        while True:
            try:
                return read()
            except PartChangedError as error:
                if error.path in changed_paths:
                    raise
                changed_paths.add(error.path)
                self._verifier.forget(error.path)
            except PartsMissingError as error:  # of a pinned store that `read` makes, now of the parts that are there
                if self._version is not None or error.names <= missing_parts:
                    raise
                missing_parts |= error.names
            except (QueryFailedError, duckdb.Error) as error:
                if is_searched or not self._find_unreadable():
                    raise query.explained_error(error) if isinstance(error, duckdb.Error) else error from None
                is_searched = True
            self._parts_of_version = None

    def _find_unreadable(self) -> bool:
        """Search for parts that can't be read, which later looks leave out; return True if there are new ones."""
        unreadable = list(unreadable_parts(self._verifier.check().valid))
        for part_, reason in unreadable:
            self.leave_out(part_, reason)
        return bool(unreadable)

    def done(self) -> set[str]:
        """Return the ids of the tasks that are done: their rows are readable and, for a model, its weights sound."""
        return self.retried(self._done)

    def _done(self) -> set[str]:
        checked_parts = self._check_parts()
        done = set(self.weights(checked_parts))
        for batch in task_ids.with_result(checked_parts.valid, [kind for kind in RECEIPTS if kind != "models"]):
            done.update(batch)
        return done

    def failed(self) -> set[str]:
        """Return the ids of the tasks that have failed for good: they have no result, and their last failure is final.

        A model whose weights are lost has a result, so it is missing and not failed.
        """
        return self.retried(lambda: task_ids.failed_for_good(self._check_parts().valid))

    def times(self, tasks: Collection[str]) -> dict[str, TaskTime]:
        """Return the device and the seconds of those of the tasks that are done, by id."""
        return self.retried(lambda: self._times(tasks))

    def _times(self, tasks: Collection[str]) -> dict[str, TaskTime]:
        is_wanted = pc.field("task").isin(pa.array(list(tasks), pa.string()))
        times: dict[str, TaskTime] = {}
        valid_parts = self._check_parts().valid
        for kind in RECEIPTS:
            rows = query.read_rows(ROWS[kind], valid_parts, ["task", "device", "seconds"])
            rows = rows.filter(is_wanted)
            for task, device, seconds in zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True):
                times[task] = TaskTime(device, seconds)
        return times

    def put_weights(self, content: bytes) -> str:
        """Store weights under their digest and return the digest.

        If the store already holds them, nothing is written; a damaged copy is moved to `damaged/` and replaced.
        """
        self._check_changeable()
        digest = ident.digest(content)
        put_whole(self.objects, store_paths.weights(digest), content)
        return digest

    def get_weights(self, digest: str) -> bytes:
        """Return the content of a weights file.

        Args:
            digest: Its SHA-256, as hexadecimal digits.

        Raises:
            WeightsError: If the weights are missing or damaged.
            StoreError: If the store can't be reached.
        """
        path = store_paths.weights(digest)
        try:
            content = self.objects.read(path)
        except FileNotFoundError:
            raise WeightsError(f"{self.url} has no {path}; a run of its job trains the model again") from None
        except UnreadableFileError as error:
            raise WeightsError(f"{error}; a run of its job trains the model again") from None
        if ident.digest(content) != digest:
            raise WeightsError(f"{self.url}/{path} is damaged; a run of its job trains the model again")
        return content

    def set_aside_weights(self, digest: str) -> bool:
        """Move weights to `damaged/`, unless they are sound or gone; return True if they were moved.

        Their model is then missing for every process.
        """
        self._check_changeable()
        if not self._is_sound(digest):
            with suppress(FileNotFoundError):  # they are not there, or another process moved them
                self.objects.move(store_paths.weights(digest), store_paths.DAMAGED + store_paths.weights(digest))
                return True
        return False

    def weights(self, checked_parts: CheckedParts | None = None) -> dict[str, str]:
        """Return the digests of the weights that the store holds, by model id.

        The digests are those of the rows that the view `models` shows. A model whose weights are missing, or known to
        be damaged, is left out.

        Args:
            checked_parts: The result of a check that was just made; None makes one.
        """
        present_digests = self._present_weights()
        columns = ["task", "weights", "attempt", "part"]
        rows = query.read_rows(ROWS["models"], (checked_parts or self._check_parts()).valid, columns)
        rows = rows.sort_by([("task", "ascending"), ("attempt", "ascending"), ("part", "ascending")])
        digest_by_model: dict[str, str] = {}
        for task, digest in zip(rows["task"].to_pylist(), rows["weights"].to_pylist(), strict=True):
            if digest in present_digests:
                digest_by_model.setdefault(task, digest)
        return digest_by_model

    def driver(self) -> Holder | None:
        """Return the process that drives this store; None if there is none, or if it has ended on this machine."""
        return read_holder(self.objects)

    def watch_driver(self) -> DriverWatch:
        """Return an object that looks at the driver of this store, and says how long ago its last heartbeat was."""
        return DriverWatch(self.objects)

    def lease(self, *, wait: bool = False, take_over: bool = False, silence: float = 120.0) -> Lease:
        """Return a context manager that makes this process the only driver of the store.

        Args:
            wait: True waits if another process drives the store; False raises StoreBusy.
            take_over: True replaces a driver on another machine, which is known to be dead, at once.
            silence: Seconds without a heartbeat after which another process may take over.
        """
        self._check_changeable()
        return Lease(self.objects, wait=wait, take_over=take_over, silence=silence)

    def progress(self, run: str) -> Progress | None:
        """Return what the driver of a run last published about it; None if there is nothing."""
        return read_progress(self.objects, run)

    def progress_log(self, run: str) -> ProgressLog:
        """Return the object by which the driver of a run publishes its progress."""
        self._check_changeable()
        return ProgressLog(self.objects, run)

    def connect(self, only: Iterable[str] | None = None, joins_as_written: bool = False) -> duckdb.DuckDBPyConnection:
        """Return a locked, read-only DuckDB connection with the views of the rows that are published now.

        Close it, or use it in a `with` block.

        Args:
            only: Ids of tasks, such as those of a job, to which the views are restricted.
            joins_as_written: True holds the right side of each join in memory, as written in the query, instead of the
                side that DuckDB expects to be smaller.
        """
        return query.connect_views(
            self._check_parts().valid, self._repeats, self._present_weights, only, joins_as_written
        )

    def sql(self, text: str, only: Iterable[str] | None = None) -> pa.Table:
        """Run an SQL query over the views, which `only` restricts as in `connect`, and return its result.

        Columns whose names repeat are renamed (`a`, `a_1`), with a warning. Of several statements, separated by
        semicolons, the last result is returned.

        Raises:
            QueryError: If the query is wrong; the message names the mistake and the closest existing name.
            StoreError: If a part was damaged after it was verified.
        """
        return self._run(query.run_query, text, only)

    def sql_statements(self, text: str, use: Callable[[pa.RecordBatchReader, int, int], None]) -> None:
        """Run several SQL statements as in `sql` and call a function for each that has a result.

        Args:
            text: The statements.
            use: Takes a reader of the rows of a result, which holds few of them at a time, its number from 0 on, and
                the number of all results. If a part changes while rows are read, all statements run again.
        """
        self._run(lambda con, text: query.run_statements(con, text, use), text, None)

    def _run(self, function: Callable[[duckdb.DuckDBPyConnection, str], R], text: str, only: Iterable[str] | None) -> R:
        ids = None if only is None else list(only)

        def run() -> R:
            with self.connect(ids) as con:
                return function(con, text)

        return self.retried(run)

    def sql_to_pandas(self, text: str, only: Iterable[str] | None = None) -> Any:
        """Run an SQL query as in `sql` and return its result as a pandas data frame.

        Raises:
            UsageError: If pandas is not installed.
        """
        _import_optional("pandas")
        return self.sql(text, only).to_pandas()

    def sql_to_polars(self, text: str, only: Iterable[str] | None = None) -> Any:
        """Run an SQL query as in `sql` and return its result as a polars data frame.

        Raises:
            UsageError: If polars is not installed.
        """
        return _import_optional("polars").from_arrow(self.sql(text, only))

    def tables(self, *names: str, only: Iterable[str] | None = None, **parameters: Any) -> list[Any]:
        """Return tables of `analysis/` as data (`sweeper.report.tables.Table`): the named ones, or all of them.

        Args:
            names: Names of tables, such as "more_data".
            only: Ids of the tasks that count. Default: all tasks of the store.
            parameters: Values of parameters of the tables, in place of their defaults.

        Raises:
            UsageError: If there is no such table or parameter.
        """
        # Imported by name, because the import rules let `report` import `store` but not the other way round.
        table_module = import_module("sweeper.report.tables")
        return table_module.tables(self, names, only=only, parameters=parameters)

    def runs(self) -> list[RunRow]:
        """Return the start and end rows of all runs, each once, sorted by time."""
        rows = to_rows(RunRow, self.retried(lambda: query.read_rows(RunRow, self._check_parts().valid)))
        return sorted({(row.task, row.event): row for row in rows}.values(), key=lambda row: row.at)

    def last_job(self, name: str | None = None) -> RunRow | None:
        """Return the start row of the latest run (with `name`: of the job of that name); None if there is none."""
        starts = [row for row in self.runs() if row.event == "start" and name in (None, row.job)]
        return starts[-1] if starts else None

    @property
    def damage(self) -> list[Damage]:
        """The parts and weights that the last access to the store left out, each with the reason.

        A version leaves out what was left out when it was made by `pinned`; one of `as_of` has all of its parts.
        """
        return [*self._damage, *self._damaged_weights]

    def set_aside(self, *, weights: bool = False) -> list[Damage]:
        """Move damaged parts and weights to `damaged/` and return them.

        Their tasks are then missing for every process, and the next run performs them again. Reading a store never
        moves anything.

        Args:
            weights: True also reads the weights that are believed to be sound (see `sound_weights`).
        """
        self._check_changeable()
        self._check_parts()
        present_digests = self._present_weights()
        damages = self.damage
        if weights:
            reason = "its content has another digest than its name"
            unsound = sorted(digest for digest in present_digests if not self._is_sound(digest))
            damages += [Damage(store_paths.weights(digest), reason) for digest in unsound]
        for damage in damages:
            with suppress(FileNotFoundError):  # another process moved it
                self.objects.move(damage.path, store_paths.DAMAGED + damage.path)
        if isinstance(self.objects, Folder):
            self.objects.clean(_LONGEST_COMMIT)
        return damages

    def compactor(self, **settings: Any) -> Compactor:
        """Return the object that compacts this store; its settings are those of the class."""
        self._check_changeable()
        return Compactor(self.objects, self._verifier, **settings)

    def check_anew(self, progress: Callable[[int, int], None] = lambda done, total: None) -> CheckedParts:
        """Read every part whole again, whatever is known of it, and return the valid and the damaged ones.

        Args:
            progress: Is told the number of parts that were read so far, and of all parts.
        """
        check_mark(self.objects)
        checked_parts = self._verifier.check(anew=True, progress=progress)
        self._damage = checked_parts.damaged
        return checked_parts

    def leave_out(self, part: VerifiedPart, reason: str) -> None:
        """Count a part as damaged from now on, although it has its digest."""
        self._verifier.add_unreadable(part, reason)

    def _check_parts(self) -> CheckedParts:
        """Check the mark and all parts of the store, remember the damaged parts, and gather small ones.

        An object that shows a version keeps its parts until a read fails.

        Raises:
            PartsMissingError: Parts of the version are damaged or gone.
            StoreError: The store can't be reached, or is one of a later version of Sweeper.
        """
        if self._parts_of_version is not None:
            return self._parts_of_version
        check_mark(self.objects)
        fresh_rows = self._gatherer.fresh_rows()
        checked_parts = self._verifier.check(use=fresh_rows.add)
        gathered_parts = checked_parts._replace(valid=self._gatherer.gather(checked_parts.valid, fresh_rows))
        if self._version is None:
            self._damage = checked_parts.damaged
            return gathered_parts
        self._parts_of_version = gathered_parts._replace(valid=parts_of_version(gathered_parts.valid, self._version))
        return self._parts_of_version

    def _present_weights(self) -> set[str]:
        """Return the digests of the weights that the store holds, without the damaged ones, which are remembered.

        An object that shows a version says so of all weights that its rows name, but for those that it lists as lost.
        """
        if self._version is not None:
            rows = query.read_rows(ROWS["models"], self._check_parts().valid, ["weights"])
            return set(rows["weights"].to_pylist()) - self._version.lost_weights
        checked_weights = self._sound_weights.check()
        self._damaged_weights = checked_weights.damaged
        return checked_weights.digests

    def _check_changeable(self) -> None:
        """Raise StoreError if this object shows a version."""
        if self._version is not None:
            raise StoreError(f"{self!r} is a version of a store, which can't be changed")

    def _is_sound(self, digest: str) -> bool:
        """Return True if the weights with this digest are present and their content has it."""
        try:
            self.get_weights(digest)
        except WeightsError:
            return False
        return True


def _at_version(url: str, version: StoreVersion) -> Store:
    """Open a store and return the object that shows a version."""
    return Store.open(url)._at(version)


def _import_optional(library: str) -> Any:
    """Import a library of data frames.

    Raises:
        UsageError: If it is not installed.
    """
    try:
        return import_module(library)
    except ImportError:
        raise UsageError(
            f"{library} is not installed: run `pip install {library}`, or use `Store.sql`, which gives an Arrow table"
        ) from None
