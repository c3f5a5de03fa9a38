"""Validation of a job's tree as a `Sweep`: all mistakes of shape, type and range are reported at once.

Pydantic finds the mistakes; this module words them and adds their location. A wrong value is removed, or replaced by a
stand-in if it is required, and the other values are validated again, so that `check.py` can compare them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from sweeper.errors import Mistake, did_you_mean
from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.job import ranges
from sweeper.spec.job.family import Family, InputSpec
from sweeper.spec.job.source import Keys, Scalar, Tree, dotted
from sweeper.spec.job.sweep import (
    RESOLVED_KEYS,
    DatasetFolder,
    Engine,
    Every,
    Limits,
    OperationSpec,
    SimilaritySection,
    StitchSection,
    Sweep,
)

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "dataset": DatasetFolder,
    "stitch": StitchSection,
    "similarity": SimilaritySection,
    "engine": Engine,
    "limits": Limits,
}


class Validated(NamedTuple):
    """A validated job, with its mistakes."""

    sweep: Sweep  # wrong values are replaced by stand-ins
    mistakes: list[Mistake]
    wrong: frozenset[Keys]  # keys of the wrong or missing values


def validate(tree: Tree) -> Validated:
    """Validate a job's tree, with stand-ins for the wrong values, and list the mistakes."""
    _expand_ranges(tree)
    mistakes = list(_remove_reserved_keys(tree))
    job = tree.plain()
    wrong: set[Keys] = set()
    while True:
        try:
            return Validated(Sweep.model_validate(job), mistakes, frozenset(wrong))
        except ValidationError as error:
            before = repr(job)
            for problem in _problems(tree, error):
                if problem.mistake and not any(problem.keys[: len(keys)] == keys for keys in wrong):
                    mistakes.append(problem.mistake)
                wrong.add(problem.keys)
                _replace_wrong_value(job, problem.keys)
            if repr(job) == before:  # otherwise this loop would never end
                raise RuntimeError(f"no wrong value could be removed for {error}") from error


def _expand_ranges(tree: Tree) -> None:
    """Replace the ranges in lists by their numbers, so that positions in a list are those of its validated values."""
    if isinstance(tree.value, list):
        tree.value = [
            tree_of_number
            for item in tree.value
            for tree_of_number in ([replace(item, value=number) for number in ranges.expand_range(item.value)])
        ]
    children = tree.value.values() if isinstance(tree.value, dict) else tree.value
    for child in children if not isinstance(children, Scalar) else ():
        _expand_ranges(child)


# For each key that only a resolved job has, the setting that a user may have meant by it.
_MEANT_BY_RESOLVED_KEY = {
    "data": "did you mean 'dataset'?",
    "networks": "did you mean 'models'?",
    "user_networks": "networks of your own are named by the arch of a family",
    "stitchers": "stitchers of your own are named in stitch",
    "weights": "a family's weights are named in it",
    "code": "code of your own is named as an architecture or a stitcher",
}


def _remove_reserved_keys(tree: Tree) -> Iterator[Mistake]:
    """Remove the keys that a job file must not have, and yield a mistake for each.

    These are the keys that only a resolved job has, and `options`: in a job file, options are written next to the
    other settings.
    """
    for name in RESOLVED_KEYS:
        yield from _remove_key(tree, (name,), _MEANT_BY_RESOLVED_KEY[name])
    advice = "write the settings of an architecture, stitcher or measure next to the other settings"
    for keys in _mapping_keys(tree):
        if (keys[0] == "models" and len(keys) == 2) or keys[2:3] in (("stitcher",), ("measure",)):
            yield from _remove_key(tree, (*keys, "options"), advice)


def _mapping_keys(tree: Tree, keys: Keys = ()) -> Iterator[Keys]:
    """Yield the keys that lead to each mapping in a job, except the job itself."""
    if keys and isinstance(tree.value, dict):
        yield keys
    children = tree.value if isinstance(tree.value, dict | list) else ()
    for key, child in list(children.items() if isinstance(children, dict) else enumerate(children)):
        yield from _mapping_keys(child, (*keys, key))


def _remove_key(tree: Tree, keys: Keys, correction: str) -> Iterator[Mistake]:
    holder, existing = tree.walk(keys[:-1])
    if existing == keys[:-1] and isinstance(holder.value, dict) and (removed := holder.value.pop(str(keys[-1]), None)):
        yield (removed.key or removed.place).mistake("unknown key", dotted(keys), correction)


class _Problem(NamedTuple):
    keys: Keys  # keys of the wrong value
    mistake: Mistake | None  # None if another mistake already reports it


def _problems(tree: Tree, error: ValidationError) -> Iterator[_Problem]:
    """Yield one problem for each location, because all branches of a union fail together."""
    wrong: dict[Keys, list[Any]] = {}
    for detail in error.errors(include_url=False):
        missing = detail["type"] == "missing"
        existing = tree.walk(detail["loc"][:-1] if missing else detail["loc"])[1]
        wrong.setdefault((*existing, detail["loc"][-1]) if missing else existing, []).append(detail)
    for keys, errors in wrong.items():
        deeper = any(other[: len(keys)] == keys and other != keys for other in wrong)
        if deeper and all(_expected(detail) for detail in errors):
            continue  # the mistake is further inside, in the branch of the union that the user meant
        unknown_keys = [other for other, (detail, *_) in wrong.items() if detail["type"] == "extra_forbidden"]
        is_misspelt = errors[0]["type"] == "missing" and any(
            other[:-1] == keys[:-1] and get_close_matches(str(other[-1]), _allowed_keys(keys), 1) == [keys[-1]]
            for other in unknown_keys
        )
        mistake = None if is_misspelt else _mistake(tree, keys, errors)
        # A mistake in a part of a data set makes the whole data set unusable.
        yield _Problem(keys[:1] if keys[0] == "dataset" else keys, mistake)


def _mistake(tree: Tree, keys: Keys, errors: list[Any]) -> Mistake:
    kinds = {detail["type"]: detail for detail in errors}
    if "missing" in kinds:
        return _missing(tree, keys)
    node, _ = tree.walk(keys)
    if "extra_forbidden" in kinds:
        allowed_keys = _allowed_keys(keys)
        correction = did_you_mean(str(keys[-1]), allowed_keys) or f"available: {', '.join(allowed_keys)}"
        return (node.key or node.place).mistake("unknown key", dotted(keys), correction)
    if "string_pattern_mismatch" in kinds:
        correction = "letters, digits, '_', '.' and '-', at most 64, the first a letter or a digit"
        place = node.key if "[key]" in errors[0]["loc"] else node.place
        return (place or node.place).mistake(f"'{errors[0]['input']}' is not a name", dotted(keys), correction)
    if "too_short" in kinds:
        return node.place.mistake("the value is empty", dotted(keys), "give at least one")
    if "too_long" in kinds:
        most = kinds["too_long"]["ctx"]["max_length"]
        return node.place.mistake(f"the list has more than {most} values", dotted(keys), f"give at most {most}")
    for kind, (words, limit) in _LIMITS.items():
        if kind in kinds:
            correction = f"it must be {words} {plain_number(kinds[kind]['ctx'][limit])}"
            return node.place.mistake(f"{quote_value(node.plain())} is out of range", dotted(keys), correction)
    place = node.key if node.value is None and node.key else node.place
    return place.mistake(*_wrong_type(node, errors, dotted(keys)))


def _wrong_type(node: Tree, errors: list[Any], key: str) -> tuple[str, str, str]:
    expected = list(dict.fromkeys(_expected(detail) or detail["msg"] for detail in errors))
    problem = f"{quote_value(node.plain())} is not {' or '.join(expected)}"
    if node.value is None:
        return f"no value; {' or '.join(expected) if len(expected) < 3 else 'one'} is needed here", key, ""
    if node.quoted and expected[0].endswith("number") and _is_number(str(node.value)):
        return problem, key, "leave out the quotes"
    if isinstance(node.value, str) and "a whole number" in expected and (correction := ranges.correction(node.value)):
        return problem, key, correction
    if isinstance(node.value, float) and node.value.is_integer():
        return problem, key, f"write {int(node.value)}"
    if expected == ["a list"] and isinstance(node.value, dict):
        return f"{key} is a list of mappings", key, "begin each with '- '"
    choices = [choice for detail in errors for choice in _choices(detail)]
    return problem, key, did_you_mean(str(node.value), choices) if isinstance(node.value, str) else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _expected(error: Any) -> str:
    """Return the expected type or choices; "" for errors that are not about type or choice."""
    if error["type"] == "literal_error":
        return error["ctx"]["expected"]
    return _EXPECTED.get(error["type"], "")


def _choices(error: Any) -> list[str]:
    return error["ctx"]["expected"].split("'")[1::2] if error["type"] == "literal_error" else []


def _missing(tree: Tree, keys: Keys) -> Mistake:
    node, _ = tree.walk(keys[:-1])
    name = str(keys[-1])
    unknown_keys = [key for key in node.value if key not in _allowed_keys(keys)] if isinstance(node.value, dict) else []
    matches = get_close_matches(name, unknown_keys, 1)
    correction = f"is '{matches[0]}' meant to be '{name}'?" if matches else ""
    place = node.key or node.place if keys[:-1] else node.place
    return place.mistake(f"'{name}' is missing", dotted(keys[:-1]), correction)


def _allowed_keys(keys: Keys) -> list[str]:
    """Return the keys that are allowed beside the last of `keys`, in its section."""
    section = _section(keys[:-1])
    return [name for name in section.model_fields if name != "options"]


def _section(keys: Keys) -> type[BaseModel]:
    """Return the model class of the section that `keys` lead to."""
    if not keys:
        return Sweep
    if keys[-1] in ("layers", "top_layers"):
        return Every
    if "stitcher" in keys or "measure" in keys:
        return OperationSpec
    if keys[0] == "models" and keys[2:3] == ("input",):
        return InputSpec
    return Family if keys[0] == "models" else _SECTIONS.get(str(keys[0]), Sweep)


def _replace_wrong_value(job: dict[str, Any], keys: Keys) -> None:
    """Remove a wrong value from a job; a required value is replaced by a stand-in."""
    # Of an axis (the last key is a position), the whole axis is removed; of a list of sections, only the wrong one.
    while isinstance(keys[-1], int) and len(keys) != 2:
        keys = keys[:-1]
    holder: Any = job
    for key in keys[:-1]:
        if key not in (holder if isinstance(holder, dict) else range(len(holder))):
            return  # already removed together with its holder
        holder = holder[key]
    stand_in = _stand_in(job, keys)
    if stand_in is not None:
        holder[keys[-1]] = stand_in
    elif isinstance(holder, dict):
        holder.pop(keys[-1], None)
    if job.get("models") == {}:
        job["models"] = _UNNAMED


_UNNAMED = {"unnamed": {"arch": next(iter(ARCHS)), "steps": 1}}


def _stand_in(job: dict[str, Any], keys: Keys) -> Any:
    """Return a stand-in with which the other values can be validated; None if none is needed."""
    models = job.get("models")
    family_names = list(models) if isinstance(models, dict) and models else list(_UNNAMED)
    match keys:
        case ("name",) | (_, _, "stitcher" | "measure", *_, "name"):
            return "unnamed"
        case ("models",):
            return _UNNAMED
        case ("models", _, "arch"):
            return next(iter(ARCHS))
        case ("stitch" | "similarity", int()):
            return {"bottom": family_names, "top": family_names}
        case ("stitch" | "similarity", _, "bottom" | "top"):
            return family_names
        case (*_, "layers" | "top_layers", "every"):
            return 1
        case (*_, int()):
            raise ValueError(f"there is no stand-in for {dotted(keys)}")
    return None


def plain_number(value: float) -> str:
    """Return a number as text, whole numbers without a fraction."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def quote_value(value: object) -> str:
    """Return a value as a message quotes it: in YAML spelling, at most 60 characters."""
    words = {True: "true", False: "false", None: "nothing"}
    if value is None or isinstance(value, bool):
        return words[value]
    text = f"'{value}'" if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
