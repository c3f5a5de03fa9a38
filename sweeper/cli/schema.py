"""The JSON Schema of a job file, for editors that complete and check YAML as one types.

Pydantic's own describes a `Sweep`; a job is written more freely: every axis may be a scalar, settings of a card
stand beside the others, a stitcher may be its name alone. The generator below says so.
`sweeper plan` says more than a schema can: whether families, cuts and samples exist.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from sweeper.spec.cards.archs import ARCHS
from sweeper.spec.cards.card import Option
from sweeper.spec.cards.datasets import DATASETS
from sweeper.spec.cards.measures import MEASURES
from sweeper.spec.cards.stitchers import STITCHERS
from sweeper.spec.job import sweep

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def job_schema() -> JsonSchemaValue:
    """The schema of a job file, JSON Schema 2020-12."""
    schema = sweep.Sweep.model_json_schema(schema_generator=_JobSchema)
    for resolved in ("data", "networks", "stitchers", "weights", "code"):  # not for a job file
        del schema["properties"][resolved]
    _drop_lengths(schema)
    definitions = schema["$defs"]
    resolved_types = "Data Probed Network Cut Weights Code UserStitcher Setting Join Part View"
    for resolved in resolved_types.split():
        definitions.pop(resolved, None)
    _offer(schema["properties"]["dataset"]["anyOf"], DATASETS)
    _offer(definitions["Family"]["properties"]["arch"]["anyOf"], ARCHS)
    definitions["Family"]["properties"] |= _settings(card.options for card in ARCHS.values())
    used = (STITCHERS, MEASURES)
    definitions["Use"]["properties"] |= _settings(card.options for cards in used for card in cards.values())
    definitions["Use"] = {"anyOf": [{"type": "string"}, definitions["Use"]]}
    for section, key, cards in (("StitchSection", "stitcher", STITCHERS), ("SimilaritySection", "measure", MEASURES)):
        definitions[section]["properties"][key]["examples"] = list(cards)
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "A Sweeper job"} | {
        key: value for key, value in schema.items() if key != "title"
    }


class _JobSchema(GenerateJsonSchema):
    """Pydantic's schema, widened where a validator of `sweep.py` takes more than the type says."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        inner = super().function_before_schema(schema)
        match getattr(schema["function"]["function"], "__name__", ""):
            case "_as_tuple" | "_as_labels":
                return {"anyOf": [inner["items"], inner | {"minItems": 1}]}
            case "_as_sets":
                return {"anyOf": [inner["items"]["items"], inner["items"], inner | {"minItems": 1}]}
            case "_as_groups":
                return {"anyOf": [inner["items"], inner]}
            case "_as_layers" | "_as_top_layers":
                return {"anyOf": [*inner["anyOf"], {"type": "string"}, {"type": "integer"}]}
        return inner


def _drop_lengths(node: Any) -> None:
    """An axis has at least one value, which pydantic, for want of a type, calls the length of a text."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        _drop_lengths(child)
    if isinstance(node, dict) and "anyOf" in node:
        node.pop("minLength", None)


def _offer(choices: list[JsonSchemaValue], cards: Mapping[str, object]) -> None:
    """Names the cards beside a choice that is any text, so that an editor can offer them."""
    for choice in choices:
        if choice == {"type": "string"}:
            choice["examples"] = list(cards)


def _settings(options: Iterable[Mapping[str, Option]]) -> dict[str, Any]:
    """Settings of cards as properties: each an axis. One that several cards have is described as they all do; where
    they differ in it, none of their defaults is its own."""
    of: dict[str, list[Option]] = {}
    for found in options:
        for name, option in found.items():
            of.setdefault(name, []).append(option)
    return {name: _united([_setting(option) for option in dict.fromkeys(found)]) for name, found in of.items()}


def _united(settings: Sequence[JsonSchemaValue]) -> JsonSchemaValue:
    if len(settings) == 1:
        return settings[0]
    any_of = [choice for setting in settings for choice in setting["anyOf"]]
    unique = [choice for i, choice in enumerate(any_of) if choice not in any_of[:i]]
    return {"anyOf": unique, "description": "; or ".join(setting["description"] for setting in settings)}


def _setting(option: Option) -> JsonSchemaValue:
    one: JsonSchemaValue = {"type": _TYPES[option.type]}
    one |= {"minimum": option.least} if option.least is not None else {}
    one |= {"maximum": option.most} if option.most is not None else {}
    one |= {"enum": list(option.choices)} if option.choices else {}
    many = {"type": "array", "items": one, "minItems": 1}
    described: JsonSchemaValue = {"anyOf": [one, many], "description": option.meaning}
    return described if option.default is None else described | {"default": option.default}
