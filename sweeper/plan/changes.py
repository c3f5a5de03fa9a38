"""The difference between a job and an earlier version of it: which tasks are new, by which setting, and which are gone.

Models are compared one by one. Stitches and measurements are compared as rows of integers, so that a hundred thousand
take half a second: a row is new because of a model, of the operation, or because the pair or its cuts are.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweeper.spec.records.task import Model, Recipe

from .graph import CUT_A, CUT_B, OPERATION, A, B, MeasureSpec, Operation
from .plan import KINDS, Plan

_MOST_LINES = 12
# Fields that are no settings of a job, or follow from others.
_NO_SETTINGS = ("id", "where")
# Fields that differ between the models of one family anyway; a model that differs in them alone was added.
_LAST = ("seed", "shard")
_MOST_COMPARED = 500  # earlier models that a new one is compared with, if no two differ in a single field


class NewTasks(NamedTuple):
    """New tasks of a kind that are missing for the same reason."""

    kind: str
    tasks: int
    reason: str  # such as "models.top.lr 0.05 -> 0.1"
    task: str  # one of them
    nearest: str  # the done task of the earlier job that it differs least from; "" if there is none


class GoneTasks(NamedTuple):
    """Done tasks of a kind that the job no longer names."""

    kind: str
    tasks: int
    task: str  # one of them


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between two versions of a job, in tasks."""

    new: tuple[NewTasks, ...]  # the most first
    gone: tuple[GoneTasks, ...]
    still_missing: int  # tasks that both versions name and that are not done

    def lines(self) -> list[str]:
        """Return the difference as lines of text; none if the job names the same tasks."""
        lines = [f"new: {group.tasks} {group.kind}: {group.reason}" for group in self.new[:_MOST_LINES]]
        if len(self.new) > _MOST_LINES:
            lines.append(f"new: {sum(group.tasks for group in self.new[_MOST_LINES:])} tasks for other reasons")
        lines += [f"no longer named: {group.tasks} done {group.kind}, for example {group.task}" for group in self.gone]
        if self.new and self.still_missing:
            lines.append(f"not new: {self.still_missing} missing tasks that the job named before")
        return lines


def changes(plan: Plan, earlier: Plan) -> Changes:
    """Return how the tasks of a job differ from those of an earlier version of it.

    Args:
        plan: The plan of the job, with what a store has as done.
        earlier: The plan of the earlier version, with the same.
    """
    sides = _Sides(plan, earlier)
    new_models = [
        position
        for position, model in enumerate(plan.models)
        if not plan.model_done[position] and model.id not in sides.earlier_positions
    ]
    is_new_row = ~plan.row_done & ~np.isin(_keys(plan), _keys(earlier))
    missing = sum(count.tasks - count.done for count in plan.counts().values())
    return Changes(
        tuple(sorted([*sides.model_groups(new_models), *sides.row_groups(is_new_row)], key=lambda group: -group.tasks)),
        tuple(_gone(plan, earlier)),
        missing - len(new_models) - int(is_new_row.sum()),
    )


def _keys(plan: Plan) -> NDArray[np.bytes_]:
    """Return the ids of a plan's rows as an array that NumPy can sort."""
    return np.ascontiguousarray(plan.graph.ids).view("S16").ravel()


def _gone(plan: Plan, earlier: Plan) -> Iterator[GoneTasks]:
    """Yield the done tasks of the earlier job that the plan doesn't name, by kind."""
    named = {model.id for model in plan.models}
    models = [
        model.id
        for model, done in zip(earlier.models, earlier.model_done, strict=True)
        if done and model.id not in named
    ]
    is_gone = earlier.row_done & ~np.isin(_keys(earlier), _keys(plan))
    stitches = earlier.is_stitch
    rows = [np.flatnonzero(is_gone & stitches), np.flatnonzero(is_gone & ~stitches)]
    if models:
        yield GoneTasks(KINDS[0], len(models), models[0])
    for kind, numbers in zip(KINDS[1:], rows, strict=True):
        if len(numbers):
            yield GoneTasks(kind, len(numbers), earlier.row_ids(numbers[:1].tolist())[0])


class _Match(NamedTuple):
    """The earlier thing that a thing differs least from, and a text on the difference."""

    position: int  # -1 if there is none
    difference: str  # "" if they are the same


class _Sides:
    """Two plans, and for each model and operation of the first the nearest one of the second."""

    def __init__(self, plan: Plan, earlier: Plan):
        self._plan, self._earlier = plan, earlier
        self.earlier_positions = {model.id: position for position, model in enumerate(earlier.models)}
        self._named = {model.id for model in plan.models}
        self._family = _family_of_positions(plan)
        self._models = list(self._match_models())
        self._operations = [self._match_operation(operation) for operation in plan.graph.operations]

    def model_groups(self, positions: Sequence[int]) -> Iterator[NewTasks]:
        """Yield the new models, grouped by the reason."""
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for position in positions:
            groups[self._models[position].difference].append(position)
        for reason, members in groups.items():
            nearest = self._models[members[0]].position
            is_done = nearest >= 0 and self._earlier.model_done[nearest]
            nearest_id = self._earlier.models[nearest].id if is_done else ""
            yield NewTasks(KINDS[0], len(members), reason, self._plan.models[members[0]].id, nearest_id)

    def row_groups(self, is_new: NDArray[np.bool_]) -> Iterator[NewTasks]:
        """Yield the new stitches and measurements, grouped by the reason."""
        numbers = np.flatnonzero(is_new)
        if not len(numbers):
            return
        rows = self._plan.graph.rows[numbers]
        counterparts = self._counterparts(rows)
        reasons = self._reasons(rows, counterparts)
        kinds = np.where(self._plan.is_stitch[numbers], KINDS[1], KINDS[2])
        for kind in KINDS[1:]:
            for reason, count in Counter(reasons[kinds == kind].tolist()).most_common():
                first = int(np.flatnonzero((kinds == kind) & (reasons == reason))[0])
                nearest = int(counterparts[first])
                is_done = nearest >= 0 and self._earlier.row_done[nearest]
                yield NewTasks(
                    kind,
                    count,
                    reason,
                    self._plan.row_ids([int(numbers[first])])[0],
                    self._earlier.row_ids([nearest])[0] if is_done else "",
                )

    def _counterparts(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the number of the earlier row with the nearest models and operation; -1 where there is none."""
        model = np.array([match.position for match in self._models], np.int64)
        operation = np.array([match.position for match in self._operations], np.int64)
        wanted = np.column_stack(
            [model[rows[:, A]], model[rows[:, B]], rows[:, CUT_A : CUT_B + 1], operation[rows[:, OPERATION]]]
        )
        earlier_rows = self._earlier.graph.rows.astype(np.int64)
        both = np.vstack([earlier_rows, wanted])
        _, group = np.unique(both, axis=0, return_inverse=True)
        number = np.full(group.max() + 1, -1)
        number[group[: len(earlier_rows)]] = np.arange(len(earlier_rows))
        earlier_numbers = number[group[len(earlier_rows) :]]
        return np.where((wanted >= 0).all(1), earlier_numbers, -1)

    def _reasons(self, rows: NDArray[np.int32], counterparts: NDArray[np.int64]) -> NDArray[Any]:
        """Return the reason of each row as text: the differences of its models and of its operation, or its pair."""
        model_texts = [match.difference for match in self._models]
        operation_texts = [match.difference for match in self._operations]
        columns = rows[:, [A, B, OPERATION]].astype(np.int64)
        texts: list[str] = [""] * len(rows)
        keys = np.column_stack([columns, (counterparts >= 0).astype(np.int64)])
        for key, members in _groups(keys):
            a, b, position, has_counterpart = key
            differences = [model_texts[a], model_texts[b], operation_texts[position]]
            text = ", ".join(dict.fromkeys(filter(None, differences)))
            if not text or not has_counterpart:
                pair = f"{self._family[a]} into {self._family[b]}"
                text = text or f"pairs or cuts of {pair} that the job did not have"
            for member in members:
                texts[member] = text
        return np.array(texts, object)

    def _match_models(self) -> Iterator[_Match]:
        """Yield the nearest earlier model of each model: itself, or of its family, first with one other field."""
        earlier_family = _family_of_positions(self._earlier)
        fields = [_model_fields(model) for model in self._earlier.models]
        without_one: dict[tuple[str, str, Any], int] = {}
        by_family: defaultdict[str, list[int]] = defaultdict(list)
        for position, spec in enumerate(fields):
            by_family[earlier_family[position]].append(position)
            for name in spec:
                without_one.setdefault((earlier_family[position], name, _rest(spec, name)), position)
        for position, model in enumerate(self._plan.models):
            same = self.earlier_positions.get(model.id)
            if same is not None:
                yield _Match(same, "")
                continue
            family, spec = self._family[position], _model_fields(model)
            names = sorted(spec, key=lambda name: name in _LAST)
            candidates = [without_one.get((family, name, _rest(spec, name))) for name in names]
            counterpart = next((candidate for candidate in candidates if candidate is not None), None)
            if counterpart is None:
                family_positions = by_family[family][:_MOST_COMPARED]
                counterpart = min(family_positions, key=lambda other: _distance(spec, fields[other]), default=None)
            if counterpart is None:
                yield _Match(-1, f"models.{family} is new")
            else:
                is_kept = self._earlier.models[counterpart].id in self._named
                yield _Match(counterpart, _difference(f"models.{family}", fields[counterpart], spec, is_kept))

    def _match_operation(self, operation: Operation) -> _Match:
        """Return the nearest earlier recipe or measure."""
        operations = self._earlier.graph.operations
        like = [position for position, other in enumerate(operations) if type(other) is type(operation)]
        section = "stitch" if isinstance(operation, Recipe) else "similarity"
        spec = _operation_fields(operation)
        counterpart = min(like, key=lambda other: _distance(spec, _operation_fields(operations[other])), default=None)
        if counterpart is None:
            return _Match(-1, f"{section} is new")
        is_kept = operations[counterpart] in self._plan.graph.operations
        return _Match(counterpart, _difference(section, _operation_fields(operations[counterpart]), spec, is_kept))


def _groups(keys: NDArray[np.int64]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield each distinct row of an array, and the numbers of the rows that are equal to it."""
    distinct, inverse = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(inverse.ravel(), minlength=len(distinct)))
    for key, members in zip(distinct.tolist(), np.split(order, ends[:-1]), strict=True):
        yield key, members.tolist()


def _family_of_positions(plan: Plan) -> list[str]:
    """Return the name of the first family of each model of a plan."""
    names = [""] * len(plan.models)
    for name, positions in plan.families.items():
        for position in positions:
            names[position] = names[position] or name
    return names


def _model_fields(model: Model) -> dict[str, Any]:
    """Return the settings of a model by name; those of its architecture have names of their own."""
    run = model.training
    fields = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
    fields = {name: value for name, value in fields.items() if name not in (*_NO_SETTINGS, "options", "data", "init")}
    inputs = {"data set": run.data.digest, "init_from": run.init.id if run.init else None}
    return fields | dict(run.options) | inputs | {"snapshot": model.step}


def _operation_fields(operation: Operation) -> dict[str, Any]:
    """Return the settings of a recipe or a measure by name."""
    if isinstance(operation, MeasureSpec):
        fields = operation._asdict()
    else:
        fields = {field.name: getattr(operation, field.name) for field in dataclasses.fields(operation)}
    options = fields.pop("options")
    return {name: value for name, value in fields.items() if name not in _NO_SETTINGS} | dict(options)


def _rest(spec: Mapping[str, Any], name: str) -> tuple[tuple[str, Any], ...]:
    """Return all fields but one, in a form that can be a key; a snapshot at the end of a run follows its steps."""
    dropped = {name, "snapshot"} if name == "steps" else {name}
    return tuple(sorted((key, repr(value)) for key, value in spec.items() if key not in dropped))


def _distance(spec: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    """Return the number of fields that differ."""
    return sum(spec.get(name) != other.get(name) for name in {**spec, **other})


def _difference(key: str, before: Mapping[str, Any], after: Mapping[str, Any], is_kept: bool) -> str:
    """Return a text on the fields that differ.

    Args:
        key: The key of the job that the fields belong to.
        before: The fields of the earlier thing.
        after: Those of the new one.
        is_kept: True if the job still names the earlier thing, so that the new values are in addition to the old ones.
    """
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if "steps" in names and "snapshot" in names and after["steps"] == after["snapshot"]:
        names.remove("snapshot")  # the last snapshot is the end of the run
    if is_kept:
        parts = [f"{key}.{name} has {_text(after.get(name))} too" for name in names]
    else:
        parts = [f"{key}.{name} {_text(before.get(name))} -> {_text(after.get(name))}" for name in names]
    return ", ".join(parts)


def _text(value: Any) -> str:
    """Return a value as a job writes it."""
    if isinstance(value, str) and len(value) in (32, 64):
        return value[:8]  # an id or a digest
    return "none" if value is None else str(value)
