"""The card of a data set of Hugging Face: what its files hold, and how the numbers in them were made.

The card begins with a header in YAML, from which the package `datasets` and the site learn the files and the types of
their columns (https://huggingface.co/docs/hub/datasets-cards).
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa
from ruamel.yaml import YAML

from .exported_views import ExportedColumn, Origin

SPLIT = "train"  # the name that Hugging Face gives the rows of a data set that is not divided
_MAIN_VIEW = "stitches"  # the configuration that is loaded where none is named
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")

_CITATION = """@inproceedings{bansal2021revisiting,
  title = {Revisiting Model Stitching to Compare Neural Representations},
  author = {Bansal, Yamini and Nakkiran, Preetum and Barak, Boaz},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2021}
}"""


class CardSubject(NamedTuple):
    """What a card says of the data set as a whole.

    Args:
        name: The name of the data set.
        license: An identifier of Hugging Face, such as "cc-by-4.0", or "unknown".
        methods: The paragraph on methods (`sweeper.report.methods`).
    """

    name: str
    license: str
    methods: str


@dataclass(frozen=True, slots=True)
class WrittenView:
    """A view that was written to the file NAME.parquet, with the number of its rows."""

    name: str
    columns: Sequence[ExportedColumn]
    schema: pa.Schema
    count: int


def card_text(subject: CardSubject, origin: Origin, views: Sequence[WrittenView]) -> str:
    """Return the text of README.md."""
    paragraphs = [
        f"---\n{_as_yaml(_header(subject, views))}---",
        f"# {subject.name}",
        "Results of model stitching (Bansal, Nakkiran and Barak, 2021): trained networks, the stitched networks that "
        "join the bottom layers of one to the top layers of another, and similarities of their representations.",
        *_files(views),
        "## How the numbers were made",
        subject.methods,
        f"Exported with Sweeper {origin.code} from the version `{origin.version}` of the store. `sweeper ... --as-of "
        f"{origin.version}` reads the same rows from the store again.",
        "## Columns",
        "Errors, penalties and gains are in percentage points. Times are UTC.",
        *(paragraph for view in views for paragraph in (f"### {view.name}", _column_table(view.columns))),
        "## Citation",
        f"The method:\n\n```bibtex\n{_CITATION}\n```",
    ]
    return "\n\n".join(paragraphs) + "\n"


def _header(subject: CardSubject, views: Sequence[WrittenView]) -> Mapping[str, Any]:
    names = [view.name for view in views]
    main_view = _MAIN_VIEW if _MAIN_VIEW in names else next(iter(names), None)
    return {
        "pretty_name": subject.name,
        "license": subject.license,
        "tags": ["model-stitching", "representation-similarity"],
        "size_categories": [size_category(max((view.count for view in views), default=0))],
        "configs": [
            {
                "config_name": name,
                **({"default": True} if name == main_view else {}),
                "data_files": [{"split": SPLIT, "path": f"{name}.parquet"}],
            }
            for name in names
        ],
        "dataset_info": [
            {
                "config_name": view.name,
                "features": [{"name": field.name, "dtype": feature_type(field.type)} for field in view.schema],
                "splits": [{"name": SPLIT, "num_examples": view.count}],
            }
            for view in views
        ],
    }


def _as_yaml(values: Mapping[str, Any]) -> str:
    yaml, out = YAML(), io.StringIO()
    yaml.width = 1000  # a value stays on its line
    yaml.dump(values, out)
    return out.getvalue()


def size_category(count: int) -> str:
    """Return the name that Hugging Face gives to data sets with such a number of rows.

    >>> size_category(999), size_category(1000), size_category(10**12)
    ('n<1K', '1K<n<10K', 'n>1T')
    """
    for i, name in enumerate(_SIZES):
        if count < 1000 * 10**i:
            return f"{_SIZES[i - 1]}<n<{name}" if i else f"n<{name}"
    return f"n>{_SIZES[-1]}"


def feature_type(type: pa.DataType) -> str:
    """Return the name that `datasets` has for a type of Arrow."""
    return "float64" if pa.types.is_float64(type) else str(type)


def _files(views: Sequence[WrittenView]) -> Iterator[str]:
    """Yield the paragraphs on the files and how they are loaded."""
    rows = "\n".join(f"| `{view.name}` | `{view.name}.parquet` | {view.count:,} |" for view in views)
    yield f"| configuration | file | rows |\n| --- | --- | --- |\n{rows}"
    name = _MAIN_VIEW if any(view.name == _MAIN_VIEW for view in views) else views[0].name
    code = f'from datasets import load_dataset\n\n{name} = load_dataset("PATH", "{name}", split="{SPLIT}")'
    yield f"PATH is that of this folder, or USER/NAME where it was uploaded:\n\n```python\n{code}\n```"


def _column_table(columns: Sequence[ExportedColumn]) -> str:
    rows = (
        f"| `{name}` | {type} | {unit} | {' '.join(meaning.replace('|', chr(92) + '|').split())} |"
        for name, type, unit, meaning in columns
    )
    return "\n".join(["| column | type | unit | meaning |", "| --- | --- | --- | --- |", *rows])
