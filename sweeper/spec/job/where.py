"""The language of `where`, the condition on pairs of models. `a` is the bottom model, `b` the top model.

    a.seed != b.seed and a.samples > b.samples
    a.family == "weak" and b.width in [8, 16]
    1 < a.samples / b.samples <= 4

The language has comparisons (also chains), `and`, `or`, `not`, `in` and `not in` a list, `+ - * /` on numbers,
constants, and the attributes below. The text is parsed by Python's parser, checked against that list and compiled to
functions, so that it can't run any other code. A setting that a model's architecture doesn't have, and a division by
0, are undefined: a comparison with an undefined value is false.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping

from sweeper.errors import did_you_mean
from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.cards.labels import format_labels
from sweeper.spec.cards.user_networks import NONE
from sweeper.spec.job.sweep import PartlyResolvedSweep
from sweeper.spec.records.task import Model

Value = bool | int | float | str | None
Values = Mapping[str, Value]  # the attributes of one model
Compiled = Callable[[Values, Values], object]

_ATTRIBUTES: Mapping[str, Callable[[Model], Value]] = {
    "id": lambda model: model.id,
    "training": lambda model: model.training.id,
    "arch": lambda model: model.training.arch,
    "samples": lambda model: model.training.samples,
    "nested": lambda model: model.training.nested,
    "shards": lambda model: model.training.shards,
    "shard": lambda model: model.training.shard,
    "subset_seed": lambda model: model.training.subset_seed,
    "labels": lambda model: format_labels(model.training.labels, model.training.data),
    "label_noise": lambda model: model.training.label_noise,
    "label_noise_kind": lambda model: model.training.label_noise_kind,
    "label_smoothing": lambda model: model.training.label_smoothing,
    "steps": lambda model: model.step,
    "epochs": lambda model: model.epochs,
    "schedule_steps": lambda model: model.training.steps,
    "seed": lambda model: model.training.seed,
    "batch": lambda model: model.training.batch,
    "lr": lambda model: model.training.lr,
    "momentum": lambda model: model.training.momentum,
    "weight_decay": lambda model: model.training.weight_decay,
    "schedule": lambda model: model.training.schedule,
    "objective": lambda model: model.training.objective,
    "temperature": lambda model: model.training.temperature,
    "probe_steps": lambda model: model.training.probe_steps,
    "init": lambda model: model.training.init.id if model.training.init else "",
    "reset": lambda model: model.training.reset,
    "frozen": lambda model: ",".join(model.training.freeze),
    "head": lambda model: model.training.head,
    "warmup": lambda model: model.training.warmup,
    "augment": lambda model: model.training.augment,
}
_TEXTS = dict.fromkeys(
    (
        *("id", "training", "arch", "schedule", "augment", "labels", "label_noise_kind"),
        *("objective", "init", "reset", "frozen", "head", "family"),
    ),
    str,
)
_OPTIONS = {name: option.type for card in ARCHS.values() for name, option in card.options.items()}
_TYPES: Mapping[str, type] = {**_OPTIONS, **_TEXTS, "nested": bool}  # all others are numbers
ATTRIBUTES = (*_ATTRIBUTES, "family", *_OPTIONS)

_COMPARE: Mapping[type[ast.cmpop], Callable[[object, object], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,  # type: ignore[operator]
    ast.NotIn: lambda item, items: item not in items,  # type: ignore[operator]
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_MOST_CHARACTERS = 2_000  # Python's parser recurses: a long enough text would exhaust its stack


class WhereError(ValueError):
    """A mistake in a `where` condition; `position` is the number of characters before it."""

    def __init__(self, problem: str, position: int = 0, correction: str = ""):
        self.problem, self.position, self.correction = problem, position, correction
        super().__init__(f"{problem}, at character {position + 1}" + (f"; {correction}" if correction else ""))


class Where:
    """A condition on two models.

    Args:
        text: The condition.
        settings: The types of settings that only networks in users' files have (`own_settings`).
        archs: The names in rows of networks in users' files, by their names in the job, which a condition may use.

    Raises:
        WhereError: The text is not in the language: unknown attributes, texts compared with numbers, calls.
    """

    def __init__(self, text: str, settings: Mapping[str, type] | None = None, archs: Mapping[str, str] | None = None):
        self.text = text
        self._holds, kind = _Compiler(text, settings or {}, archs or {}).compile()
        if kind != "truth":
            raise WhereError("a condition must compare something", correction="for example a.seed != b.seed")

    def __call__(self, a: Model, b: Model, a_family: str, b_family: str) -> bool:
        """Return True if the pair of A and B, each of a family of the job, fulfils the condition."""
        return self.holds(self.values(a, a_family), self.values(b, b_family))

    def holds(self, a: Values, b: Values) -> bool:
        """Return True if two models fulfil the condition.

        Args:
            a: The attributes of the bottom model, from `values`; many pairs can share them.
            b: The attributes of the top model.
        """
        return bool(self._holds(a, b))

    @classmethod
    def of(cls, text: str, sweep: PartlyResolvedSweep) -> "Where":
        """Return a condition of a job, which may name the job's networks in users' files and their arguments."""
        return cls(text, own_settings(sweep), {network.name: network.card for network in sweep.user_networks})

    @staticmethod
    def values(model: Model, family: str) -> Values:
        """Return the attributes of a model by name."""
        attributes = {name: read(model) for name, read in _ATTRIBUTES.items()}
        return dict.fromkeys(_OPTIONS) | attributes | dict(model.training.options) | {"family": family}


class _Compiler:
    """A compiler of a condition; its methods return a function and its kind: "number", "text" or "truth"."""

    def __init__(self, text: str, settings: Mapping[str, type], archs: Mapping[str, str]):
        self.text = text
        self._settings, self._archs = settings, archs

    def compile(self) -> tuple[Compiled, str]:
        if len(self.text) > _MOST_CHARACTERS:
            raise WhereError(f"longer than {_MOST_CHARACTERS} characters")
        if "\n" in self.text.strip():
            raise WhereError("a condition is one line")
        try:
            tree = ast.parse(self.text.strip(), mode="eval")
        except SyntaxError as error:
            correction = "compare with ==" if re.search(r"(?<![=!<>])=(?!=)", self.text) else ""
            position = self._position(max((error.offset or 1) - 1, 0))
            raise WhereError(f"not a condition: {error.msg}", position, correction) from None
        except (ValueError, RecursionError, MemoryError):
            raise WhereError("not a condition") from None
        return self._node(tree.body)

    def _node(self, node: ast.expr) -> tuple[Compiled, str]:
        match node:
            case ast.BoolOp():
                return self._bool_op(node)
            case ast.UnaryOp(op=ast.Not()):
                inner = self._of_kind(node.operand, "truth")
                return lambda a, b: not inner(a, b), "truth"
            case ast.UnaryOp(op=ast.USub()):
                number = self._of_kind(node.operand, "number")
                return _undefined_unless_numbers(lambda x, _: -x, number, number), "number"
            case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
                left, right = self._of_kind(node.left, "number"), self._of_kind(node.right, "number")
                return _undefined_unless_numbers(_ARITHMETIC[type(op)], left, right), "number"
            case ast.Compare():
                return self._compare(node)
            case ast.Constant(value=bool() | int() | float() | str() as value):
                constant = self._archs.get(value, value) if isinstance(value, str) else value
                return lambda a, b: constant, _kind(type(constant))
            case ast.Attribute(value=ast.Name(id="a" | "b" as side), attr=name):
                return self._attribute(node, side, name)
        raise self._error(node, f"'{ast.get_source_segment(self.text.strip(), node)}' is not part of the language")

    def _bool_op(self, node: ast.BoolOp) -> tuple[Compiled, str]:
        parts = [self._of_kind(value, "truth") for value in node.values]
        if isinstance(node.op, ast.And):
            return lambda a, b: all(part(a, b) for part in parts), "truth"
        return lambda a, b: any(part(a, b) for part in parts), "truth"

    def _compare(self, node: ast.Compare) -> tuple[Compiled, str]:
        sides = [node.left, *node.comparators]
        links = [self._link(left, op, right) for left, op, right in zip(sides, node.ops, sides[1:], strict=False)]
        return lambda a, b: all(link(a, b) for link in links), "truth"

    def _link(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Compiled:
        """Compile one comparison of a chain."""
        if type(op) not in _COMPARE:
            raise self._error(right, "compare with == != < <= > >= in")
        read_left, kind = self._node(left)
        if isinstance(op, ast.In | ast.NotIn):
            read_right = self._list(right, kind)
        else:
            read_right, right_kind = self._node(right)
            if "text" in (kind, right_kind) and kind != right_kind:
                raise self._error(right, f"a {_KIND_NAMES[kind]} is compared with a {_KIND_NAMES[right_kind]}")
        compare = _COMPARE[type(op)]

        def holds(a: Values, b: Values) -> bool:
            left_value, right_value = read_left(a, b), read_right(a, b)
            return left_value is not None and right_value is not None and compare(left_value, right_value)

        return holds

    def _list(self, node: ast.expr, kind: str) -> Compiled:
        if not isinstance(node, ast.List | ast.Tuple | ast.Set):
            raise self._error(node, "'in' takes a list", "for example a.seed in [1, 2]")
        items = [self._of_kind(item, kind) for item in node.elts]
        return lambda a, b: [item(a, b) for item in items]

    def _attribute(self, node: ast.Attribute, side: str, name: str) -> tuple[Compiled, str]:
        available = dict.fromkeys((*ATTRIBUTES, *self._settings))
        if name not in available:
            correction = did_you_mean(name, available, prefix=f"{side}.") or f"available: {', '.join(available)}"
            raise self._error(node, f"no attribute '{side}.{name}'", correction)
        if name in self._settings and name not in _ATTRIBUTES:
            read, kind = _reader_of_setting(name, self._settings[name]), _kind(self._settings[name])
            return (lambda a, b: read(a)) if side == "a" else (lambda a, b: read(b)), kind
        kind = _kind(_TYPES.get(name, float))
        return (lambda a, b: a[name]) if side == "a" else (lambda a, b: b[name]), kind

    def _of_kind(self, node: ast.expr, kind: str) -> Compiled:
        compiled, actual_kind = self._node(node)
        if actual_kind != kind:
            raise self._error(node, f"a {_KIND_NAMES[kind]} is needed here, not a {_KIND_NAMES[actual_kind]}")
        return compiled

    def _error(self, node: ast.expr, problem: str, correction: str = "") -> WhereError:
        # `col_offset` counts bytes of UTF-8, and a WhereError counts characters.
        text_before = self.text.strip().encode()[: node.col_offset].decode(errors="replace")
        return WhereError(problem, self._position(len(text_before)), correction)

    def _position(self, stripped_position: int) -> int:
        """Return a position in the whole text from one in the text without leading spaces."""
        return stripped_position + len(self.text) - len(self.text.lstrip())


def own_settings(sweep: PartlyResolvedSweep) -> Mapping[str, type]:
    """Return the types of the settings of a job's networks in users' files, as conditions compare them.

    A setting whose signature allows several types has the type of its values in the job.
    """
    given = {name: values for family in sweep.models.values() for name, values in family.options.items()}
    settings: dict[str, type] = {}
    for network in sweep.user_networks:
        arguments = {argument.name: argument.types for argument in network.arguments if argument.types}
        for name in {**arguments, **(given if network.takes_any else {})}:
            kinds = set(arguments.get(name, ()))
            if len(kinds) != 1:
                kinds = {type(value).__name__ for value in given.get(name, ()) if value != NONE} or {"float"}
            settings[name] = str if "str" in kinds else bool if kinds == {"bool"} else float
    return settings


def _reader_of_setting(name: str, type_: type) -> Callable[[Values], Value]:
    """Return a function that reads a setting; a value of another type, such as `none` for a number, is undefined."""
    types = {str: (str,), bool: (bool,)}.get(type_, (bool, int, float))

    def read(values: Values) -> Value:
        value = values.get(name)
        return value if isinstance(value, types) else None

    return read


_KIND_NAMES = {"number": "number", "text": "text", "truth": "condition"}


def _kind(type_: type) -> str:
    return {str: "text", bool: "truth"}.get(type_, "number")


def _undefined_unless_numbers(
    compute: Callable[[float, float], float], read_left: Compiled, read_right: Compiled
) -> Compiled:
    """Compile arithmetic on two numbers; the result is None if one is None, or after a division by 0 or an overflow."""

    def result(a: Values, b: Values) -> float | None:
        left, right = read_left(a, b), read_right(a, b)
        if left is None or right is None:
            return None
        try:
            return compute(left, right)  # type: ignore[arg-type]
        except (ZeroDivisionError, OverflowError):
            return None

    return result
