"""Tests of the card of a data set of Hugging Face."""

import pyarrow as pa
import pytest
from ruamel.yaml import YAML

from sweeper.report.export.dataset_card import CardSubject, WrittenView, card_text, feature_type, size_category
from sweeper.report.export.exported_views import Origin, columns_of
from sweeper.store.query.views import VIEWS

ORIGIN = Origin("0123456789abcdef", "0.1.0")
SUBJECT = CardSubject("Model stitching: a: b # 'c' 学习", "cc-by-4.0", "We compared 4 networks.")


def written(name: str, count: int) -> WrittenView:
    columns = columns_of(name, True)
    schema = pa.schema([(column.name, TYPES[column.type]) for column in columns])
    return WrittenView(name, columns, schema, count)


TYPES = {
    "VARCHAR": pa.string(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BOOLEAN": pa.bool_(), "BLOB": pa.binary(),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
}  # fmt: skip


def header_of(text: str) -> dict:
    """Return the YAML at the beginning of a card."""
    before, header, _ = text.split("---\n", 2)
    assert before == ""
    return YAML(typ="safe").load(header)


def test_the_header_names_files_columns_and_licence() -> None:
    header = header_of(card_text(SUBJECT, ORIGIN, [written("models", 4), written("stitches", 16_000)]))
    assert header["pretty_name"] == SUBJECT.name
    assert header["license"] == "cc-by-4.0"
    assert header["size_categories"] == ["10K<n<100K"]
    assert header["configs"] == [
        {"config_name": "models", "data_files": [{"split": "train", "path": "models.parquet"}]},
        {
            "config_name": "stitches",
            "default": True,
            "data_files": [{"split": "train", "path": "stitches.parquet"}],
        },
    ]
    models, stitches = header["dataset_info"]
    assert stitches["splits"] == [{"name": "train", "num_examples": 16_000}]
    features = {feature["name"]: feature["dtype"] for feature in models["features"]}
    assert list(features) == [column.name for column in columns_of("models", True)]
    assert {features[name] for name in ("task", "seed", "test_error", "nested", "correct", "at")} == {
        "string", "int64", "float64", "bool", "binary", "timestamp[us, tz=UTC]"
    }  # fmt: skip


def test_without_stitches_the_first_view_is_the_default() -> None:
    (config,) = header_of(card_text(SUBJECT, ORIGIN, [written("failures", 1)]))["configs"]
    assert config["default"] is True


@pytest.mark.parametrize("view", [view.name for view in VIEWS])
def test_the_text_says_how_numbers_were_made_and_what_each_column_is(view: str) -> None:
    text = card_text(SUBJECT, ORIGIN, [written(view, 1)])
    assert SUBJECT.methods in text
    assert f"`{ORIGIN.version}`" in text
    for column in columns_of(view, True):
        assert f"\n| `{column.name}` | {column.type} | {column.unit} | " in text


def test_sizes_and_types_have_the_names_of_hugging_face() -> None:
    names = [size_category(count) for count in (0, 999, 1000, 10**6 - 1, 10**6, 10**12)]
    assert names == ["n<1K", "n<1K", "1K<n<10K", "100K<n<1M", "1M<n<10M", "n>1T"]
    assert [feature_type(type) for type in (pa.float64(), pa.bool_())] == ["float64", "bool"]
