"""What stands for a figure of the paper: `analysis/paper/figures/*.yaml`, a file a figure and quantity.

The expressions are SQL (DuckDB's). Which pairs stand for what is asked of their settings alone (`where`, `level`,
`by`, `needs`):

    bottom, top    A's and B's settings: `top.samples`, `bottom.width`, ...
    differ         names of the settings in which A and B differ, seeds apart: `differ = ['samples']`
    comparing      settings of the stitch (`comparing.stitcher`, ...) or of the similarity (`comparing.measure`)
    self, same_run A is B; A and B are snapshots of one run

and what is compared, and where it stands (`value`, `x`), of each stitch or similarity of theirs as well:

    curve                         that it stands for
    cut, position, depth          of the cut, in B
    penalty, gain, test_error, a_error, b_error    of a stitch; of a similarity its `value`

A figure `of: models` is about errors of whole networks: A is any network, B one with frozen layers of another, and
there are `a_error` and `b_error` without a cut.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML

from sweeper.errors import UsageError
from sweeper.resources import paper_dir

Setting = bool | int | float | str | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Role(_Part):
    """What stands for one curve. Of the pairs of a figure for which `where` holds, each goes to the curve whose `level`
    is the nearest on a logarithmic scale, and of the levels of a curve that store holds the nearest stands for it."""

    where: str = "true"
    prefer: str = "true"  # the pairs that stand for it before others of its level: the authors' own kind
    level: float | None = Field(None, gt=0)  # in the paper; None: there is but one
    by: str = ""  # what the level is of a pair, where that isn't the figure's, ...
    means: str = ""  # ... and in words
    lacks: str = ""  # what would be needed for anything to stand for it


class Figure(_Part):
    """A figure of the paper, or one quantity of it."""

    name: str  # of the file
    figure: str
    question: str
    quantity: Literal["penalty", "test_error", "cka", "one_minus_cka"]
    axis: Literal["depth", "kernel", "layer", "steps"]
    of: Literal["stitches", "similarities", "models"] = "stitches"
    x: str = ""  # a stitch's place on the paper's axis
    value: str = ""  # what is compared
    whole: bool = False  # the paper's curves end at x = 1 with A alone: A's error minus B's (not asked of twins)
    where: str = "true"  # the pairs that the figure is about
    needs: str = "true"  # a setting counts only where this holds of some pair: no control alone
    level: str = ""
    level_means: str = ""
    curves: Mapping[str, Role] = {}
    varies: tuple[str, ...] = ()  # settings of B and of the stitch in which the curves differ, or that are its axis
    margin: float = Field(1.0, ge=0)  # in the unit of the value
    protocol: Mapping[str, Setting] = {}  # where the authors' settings aren't those of protocol.yaml; null: they vary
    fills: tuple[str, ...] = ()  # jobs that come with Sweeper and fill the figure
    lacks: str = ""  # what would be needed where no job does
    notes: tuple[str, ...] = ()

    @property
    def signed(self) -> bool:
        """Whether the sign of a value says something."""
        return self.quantity == "penalty"

    @model_validator(mode="after")
    def _can_be_filled_or_says_why_not(self) -> Self:
        if self.curves and not (self.x and self.value):
            raise ValueError("curves need an x and a value")
        if not self.fills and not self.lacks:
            raise ValueError("either jobs fill it, or something lacks")
        return self


def figures() -> dict[str, Figure]:
    """The definitions by name, in the order of the paper."""
    common = _read(paper_dir() / "protocol.yaml")
    found = {}
    for path in sorted((paper_dir() / "figures").glob("*.yaml"), key=lambda path: path.stem):
        raw = _read(path)
        protocol = common | raw.pop("protocol", {})
        try:
            found[path.stem] = Figure(name=path.stem, protocol=protocol, **raw)
        except ValidationError as error:
            raise UsageError(f"{path}: {error}") from None
    return found


def chosen(names: Sequence[str]) -> list[Figure]:
    """The figures of these names (`2C`, `5-cka`) or numbers (`5` is all of figure 5); all where none is named.

    Raises UsageError for one that the paper doesn't have.
    """
    known = figures()
    for name in names:
        if not any(_called(figure, name) for figure in known.values()):
            raise UsageError(f"no figure {name!r}; there are: {', '.join(known)}")
    return [figure for figure in known.values() if not names or any(_called(figure, name) for name in names)]


def _called(figure: Figure, name: str) -> bool:
    return name.lower() in (figure.name.lower(), figure.figure.lower())


def _read(path: Path) -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load(path)
