"""The JSON Schema of a job file, for editors that complete and check YAML, and the description of a single key.

Pydantic's own schema describes a `Sweep`. A job file allows more: an axis may be a single value, settings of a card are
written next to the declared keys, and a stitcher may be given by its name. `_JobSchema` adds these forms. The schema
does not check that families, cuts and numbers of samples exist; `sweeper plan` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from sweeper.errors import UsageError
from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.cards.card import Option
from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.job import ranges, sweep
from sweeper.spec.job.family import Family, InputSpec
from sweeper.spec.job.section import Section

# Sections of a job by the first part of a key: heading and model, in the order in which docs/job.md explains them.
SECTIONS: Mapping[str, tuple[str, type[Section]]] = {
    "": ("the top level", sweep.Sweep),
    "models": ("models.NAME", Family),
    "models.input": ("models.NAME.input (as a mapping)", InputSpec),
    "stitch": ("stitch[]", sweep.StitchSection),
    "similarity": ("similarity[]", sweep.SimilaritySection),
    "dataset": ("dataset (as a mapping)", sweep.DatasetFolder),
    "engine": ("engine", sweep.Engine),
    "limits": ("limits", sweep.Limits),
}

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def job_schema() -> JsonSchemaValue:
    """Return the schema of a job file as JSON Schema 2020-12."""
    schema = sweep.Sweep.model_json_schema(schema_generator=_JobSchema)
    _drop_lengths(schema)
    definitions = schema["$defs"]
    _add_examples(schema["properties"]["dataset"]["anyOf"], DATASETS)
    _add_examples(definitions["Family"]["properties"]["arch"]["anyOf"], ARCHS)
    definitions["Family"]["properties"] |= _settings(card.options for card in ARCHS.values())
    card_sets = (STITCHERS, MEASURES)
    definitions["OperationSpec"]["properties"] |= _settings(
        card.options for cards in card_sets for card in cards.values()
    )
    _allow_settings_of_users_code(definitions["Family"], "arch")
    _allow_settings_of_users_code(definitions["OperationSpec"], "name")
    definitions["OperationSpec"] = {"anyOf": [{"type": "string"}, definitions["OperationSpec"]]}
    for section, key, cards in (("StitchSection", "stitcher", STITCHERS), ("SimilaritySection", "measure", MEASURES)):
        definitions[section]["properties"][key]["examples"] = list(cards)
    _add_ranges(schema)
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "A Sweeper job"} | {
        key: value for key, value in schema.items() if key != "title"
    }


def _allow_settings_of_users_code(section: JsonSchemaValue, key: str) -> None:
    """Allow keys of any name where a key names a network or stitcher of the user, whose settings only its code knows.

    The form is that of JSON Schema from draft 6 on, because editors don't check later ones.
    """
    del section["additionalProperties"]
    name = {"type": "string", "pattern": ":"}  # FILE.py:CLASS, package.module:callable, timm:NAME
    section["if"] = {
        "properties": {key: {"anyOf": [name, {"type": "array", "contains": name}]}},
        "required": [key],
    }
    section["else"] = {"propertyNames": {"enum": [*section["properties"]]}}


def describe(key: str) -> str:
    """Return the description, type and default of one key of a job, such as `models.samples` or `stitch.protocol`.

    Raises:
        UsageError: The job has no such key; the message names the nearest ones.
    """
    schema = job_schema()
    keys: dict[str, tuple[Any, JsonSchemaValue]] = {}
    for first, (_, section) in SECTIONS.items():
        properties = (schema if section is sweep.Sweep else schema["$defs"][section.__name__])["properties"]
        prefix = f"{first}." if first else ""
        keys |= {
            f"{prefix}{name}": (section.model_fields.get(name), value)
            for name, value in properties.items()
            if name != "options"
        }
    if key not in keys:
        nearest = get_close_matches(key, keys, 3)
        nearest = nearest or [name for name in keys if name.split(".")[-1] == key.split(".")[-1]]
        hint = (
            f"did you mean {' or '.join(nearest)}?"
            if nearest
            else f"the sections are {', '.join(filter(None, SECTIONS))}"
        )
        raise UsageError(f"a job has no key '{key}'; {hint}")
    field, value = keys[key]
    if field is None:  # a setting of an architecture
        default = f"`{value['default']}`" if "default" in value else "(the architecture's)"
    else:
        default = default_in_words(field) or "(none)"
    return f"{key}\n  {value.get('description', '')}\n  type: {type_in_words(value)}\n  default: {default}"


def type_in_words(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in words; of an axis, the type of one of its values."""
    if "anyOf" in schema:
        written = [choice for choice in schema["anyOf"] if choice != _RANGE]
        choices = [choice for choice in written if choice.get("type") not in ("null", "array")]
        arrays = [choice for choice in schema["anyOf"] if choice.get("type") == "array"]
        return " or ".join(dict.fromkeys(map(type_in_words, choices or arrays)))
    if "$ref" in schema:
        return {"OperationSpec": "a name, or a mapping with settings"}.get(schema["$ref"].split("/")[-1], "a mapping")
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
        "array": "list",
        "object": "mapping",
    }
    word = words.get(schema.get("type", ""), "")
    limits = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    bounds = ", ".join(f"{limit} {schema[key]}" for key, limit in limits.items() if key in schema)
    return f"{word}, {bounds}" if bounds else word


def default_in_words(field: Any) -> str:
    """Return the default of a section's field.

    "(needed)" if the field has no default; "" if its default is empty, None or a section.
    """
    if field.is_required():
        return "(needed)"
    value = field.default
    if isinstance(value, BaseModel) or value is None or value == () or value == {}:
        return ""
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    return f"`{value.name}`" if isinstance(value, sweep.OperationSpec) else f"`{str(value).lower()}`"


class _JobSchema(GenerateJsonSchema):
    """Pydantic's schema, extended by the forms that the validators of a job's fields accept in addition to the type."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Return the schema of a field with a validator that runs before pydantic's."""
        inner = super().function_before_schema(schema)
        match getattr(schema["function"]["function"], "__name__", ""):
            case "as_tuple" | "_as_labels":
                return {"anyOf": [inner["items"], inner | {"minItems": 1}]}
            case "_as_sets":
                return {"anyOf": [inner["items"]["items"], inner["items"], inner | {"minItems": 1}]}
            case "_as_groups":
                return {"anyOf": [inner["items"], inner]}
            case "_as_layers" | "_as_top_layers":
                return {"anyOf": [*inner["anyOf"], {"type": "string"}, {"type": "integer"}]}
        return inner


_RANGE: JsonSchemaValue = {"type": "string", "pattern": ranges.PATTERN}


def _add_ranges(node: Any) -> None:
    """Allow a range such as `0..9` wherever an axis takes whole numbers, alone and in a list."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in list(children):
        _add_ranges(child)
    if not isinstance(node, dict):
        return
    choices = node.get("anyOf", [])
    if any(choice.get("type") == "array" for choice in choices) and any(map(_is_whole, choices)):
        choices.append(_RANGE)
    if _is_whole(node.get("items", {})):
        node["items"] = {"anyOf": [node["items"], _RANGE]}


def _is_whole(schema: JsonSchemaValue) -> bool:
    return schema.get("type") == "integer" or any(choice.get("type") == "integer" for choice in schema.get("anyOf", []))


def _drop_lengths(node: Any) -> None:
    """Remove `minLength`, which pydantic writes for the number of values of an axis whose type it doesn't know."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        _drop_lengths(child)
    if isinstance(node, dict) and "anyOf" in node:
        node.pop("minLength", None)


def _add_examples(choices: list[JsonSchemaValue], cards: Mapping[str, object]) -> None:
    """Add the names of cards as examples to each choice that is any text, so that an editor can suggest them."""
    for choice in choices:
        if choice == {"type": "string"}:
            choice["examples"] = list(cards)


def _settings(options: Iterable[Mapping[str, Option]]) -> dict[str, Any]:
    """Return the settings of cards as properties, each an axis.

    A setting of several cards has all their descriptions. If the cards describe it differently, it has no default.
    """
    options_by_name: dict[str, list[Option]] = {}
    for card_options in options:
        for name, option in card_options.items():
            options_by_name.setdefault(name, []).append(option)
    return {
        name: _merge_settings([_setting(option) for option in dict.fromkeys(same_name_options)])
        for name, same_name_options in options_by_name.items()
    }


def _merge_settings(settings: Sequence[JsonSchemaValue]) -> JsonSchemaValue:
    if len(settings) == 1:
        return settings[0]
    any_of = [choice for setting in settings for choice in setting["anyOf"]]
    unique = [choice for i, choice in enumerate(any_of) if choice not in any_of[:i]]
    return {"anyOf": unique, "description": "; or ".join(setting["description"] for setting in settings)}


def _setting(option: Option) -> JsonSchemaValue:
    single: JsonSchemaValue = {"type": _TYPES[option.type]}
    single |= {"minimum": option.least} if option.least is not None else {}
    single |= {"maximum": option.most} if option.most is not None else {}
    single |= {"enum": list(option.choices)} if option.choices else {}
    axis = {"type": "array", "items": single, "minItems": 1}
    schema: JsonSchemaValue = {"anyOf": [single, axis], "description": option.meaning}
    return schema if option.default is None else schema | {"default": option.default}
