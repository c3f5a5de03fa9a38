"""Parsing of a job's text into a tree in which every key and value has its line and column.

The YAML library only composes nodes, and this module builds the tree from them. A text can therefore make only
mappings, lists, texts, numbers, true, false and null, and mistakes such as duplicate keys and tags are reported with
their location. The dialect is the core of YAML 1.2: `1e-3` is a number, `yes` a text. `<<: *alias` merges.

Locations are the marks that ruamel's nodes carry. Its round-trip loader (`lc`) is not used: it has no position for
merged keys, stops at the first duplicate key, and turns `010` and dates into its own types.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from sweeper.errors import JobError, Mistake
from sweeper.spec.job.yaml_problem import yaml_problem

MOST_BYTES = 4_000_000
# Nodes that aliases may repeat: a few lines of nested aliases can stand for billions.
MOST_REPEATED = 10_000

Scalar = None | bool | int | float | str
Keys = tuple[str | int, ...]  # the path to a value: keys of mappings, positions in lists

_CORE = "tag:yaml.org,2002:"
_MERGE = f"{_CORE}merge"


def dotted(keys: Keys) -> str:
    """Return keys as overrides and messages write them: `stitch.0.layers`."""
    return ".".join(map(str, keys))


class Location(NamedTuple):
    """A location in a job file. Line and column count from 1; for an override both are 0, and `file` is its text."""

    file: str
    line: int = 0
    column: int = 0

    def mistake(self, problem: str, key: str = "", correction: str = "", shift: int = 0) -> Mistake:
        """Return a mistake at this location, `shift` characters further on."""
        return Mistake(problem, key, correction, self.file, self.line, self.column + shift if self.line else 0)


@dataclass(slots=True)
class Tree:
    """A value with its location, and the location of its key (`key`)."""

    value: "Scalar | list[Tree] | dict[str, Tree]"
    place: Location
    key: Location | None = None
    quoted: bool = False

    def plain(self) -> Any:
        """Return the value without locations."""
        if isinstance(self.value, dict):
            return {name: child.plain() for name, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def child(self, step: str | int) -> "Tree | None":
        """Return the subtree at a key or position; None if there is none."""
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            return self.value[step]
        return None

    def walk(self, path: Keys) -> "tuple[Tree, Keys]":
        """Return the innermost tree on a path, and the steps that exist in the text.

        Steps that the text doesn't have are skipped, such as the 0 of a scalar in place of a list, or a type's name.
        """
        tree, existing = self, []
        for step in path:
            if child := tree.child(step):
                tree = child
                existing.append(step)
        return tree, tuple(existing)


def _decode(content: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte-order mark, which YAML allows and PowerShell writes."""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig")


def read_text(path: Path) -> str:
    """Return the text of a job file.

    Raises:
        JobError: There is no such file, or it is too large or not a text.
    """
    file = str(path)
    try:
        with path.open("rb") as opened_file:
            content = opened_file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            size = f": {path.stat().st_size} bytes" if path.is_file() else ""
            raise JobError([Mistake(f"the file is too large{size}", correction=_LIMIT, file=file)])
        text = _decode(content)
    except FileNotFoundError:
        job_files = sorted(str(other) for other in path.parent.glob("*.yaml"))
        correction = f"that folder has {', '.join(job_files[:8])}" if job_files else ""
        raise JobError([Mistake("there is no such file", correction=correction, file=file)]) from None
    except IsADirectoryError:
        raise JobError([Mistake("this is a folder, not a job file", file=file)]) from None
    except UnicodeDecodeError as error:
        problem = f"the file is not text in UTF-8 (at byte {error.start + 1})"
        raise JobError([Mistake(problem, correction="save it as UTF-8", file=file)]) from None
    except OSError as error:
        raise JobError([Mistake(f"the file can't be read: {error.strerror}", file=file)]) from None
    return text


_LIMIT = f"a job file may have at most {MOST_BYTES} bytes"


def parse(text: str, file: str) -> tuple[Tree, list[Mistake]]:
    """Return the tree of a job's text, and the mistakes after which it can still be read (duplicate keys, tags).

    Raises:
        JobError: The text isn't YAML, is empty, isn't a mapping or has too many aliases.
    """
    tree, mistakes = _build(text, file)
    if tree.value is None:
        raise JobError([Mistake("the file is empty", correction="a job has at least a name and models", file=file)])
    if not isinstance(tree.value, dict):
        raise JobError(
            [tree.place.mistake("a job file must be a mapping of keys to values", correction="start with 'name: ...'")]
        )
    return tree, mistakes


def parse_value(text: str, file: str) -> Tree:
    """Return the tree of an override's value, whose only location is the override's text (`file`).

    Raises:
        JobError: The value isn't YAML.
    """
    try:
        tree, mistakes = _build(text, file)
    except JobError as error:
        tree, mistakes = Tree(None, Location(file)), error.mistakes
    if mistakes:
        raise JobError([replace(mistake, line=0, column=0) for mistake in mistakes])
    for subtree in _subtrees(tree):
        subtree.place = Location(file)
        subtree.key = subtree.key and Location(file)
    return tree


def _subtrees(tree: Tree) -> Iterator[Tree]:
    """Yield a tree and all trees inside it."""
    yield tree
    children = tree.value.values() if isinstance(tree.value, dict) else tree.value
    for child in children if not isinstance(children, Scalar) else ():
        yield from _subtrees(child)


def _build(text: str, file: str) -> tuple[Tree, list[Mistake]]:
    """Return the tree of a text and its mistakes; a text that isn't YAML raises a JobError."""
    builder = _Builder(file)
    try:
        node = YAML(typ="safe", pure=True).compose(text)
        return (builder.tree(node) if node is not None else Tree(None, Location(file))), builder.mistakes
    except MarkedYAMLError as error:
        problem, correction, line, column = yaml_problem(error)
        mistake = Location(file, line, column).mistake(f"not YAML: {problem}", correction=correction)
        raise JobError([mistake]) from None
    except ReaderError as error:
        line, column = _line_and_column(text, error.position)
        raise JobError(
            [Mistake(f"not YAML: the character {hex(error.character)} is not allowed", "", "", file, line, column)]
        ) from None
    except RecursionError:
        raise JobError([Mistake("mappings or lists are nested too deeply", file=file)]) from None
    except (YAMLError, ValueError) as error:
        raise JobError([Mistake(f"not YAML: {error}", file=file)]) from None


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


@dataclass
class _Builder:
    """A builder of a tree from YAML nodes."""

    file: str
    mistakes: list[Mistake] = field(default_factory=list)
    started: set[int] = field(default_factory=set)  # ids of all nodes so far; an alias repeats such a node
    unfinished: set[int] = field(default_factory=set)  # ids of nodes being built; an alias to one would never end
    repetitions: int = 0

    def tree(self, node: Node, keys: Keys = ()) -> Tree:
        self._check_aliases(node)
        tree = Tree(self._value(node, keys), self._place(node), quoted=getattr(node, "style", "") in ("'", '"'))
        self.unfinished.discard(id(node))
        return tree

    def _value(self, node: Node, keys: Keys) -> "Scalar | list[Tree] | dict[str, Tree]":
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        kind = "map" if isinstance(node, MappingNode) else "seq"
        if node.tag != _CORE + kind:
            self._add_mistake(node, f"tags such as {node.tag} are not allowed", correction="leave the tag out")
        if isinstance(node, MappingNode):
            return self._mapping(node, keys)
        return [self.tree(item, (*keys, i)) for i, item in enumerate(node.value)]

    def _check_aliases(self, node: Node) -> None:
        """Record that a node is being built, and raise a JobError if aliases repeat without end or too often."""
        if id(node) in self.unfinished:
            raise JobError([self._place(node).mistake("an alias can't repeat the value that it is part of")])
        self.repetitions += id(node) in self.started
        if self.repetitions > MOST_REPEATED:
            raise JobError([self._place(node).mistake(f"aliases repeat more than {MOST_REPEATED} values")])
        self.started.add(id(node))
        if not isinstance(node, ScalarNode):
            self.unfinished.add(id(node))

    def _mapping(self, node: MappingNode, keys: Keys) -> dict[str, Tree]:
        children: dict[str, Tree] = {}
        merged: dict[str, Tree] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                merged = self._merged(value) | merged
            elif not isinstance(key, ScalarNode):
                self._add_mistake(key, "a key must be a single text, not a list or a mapping")
            elif key.value in children:
                first = children[key.value].key or children[key.value].place
                self._add_mistake(key, "the key is repeated", dotted((*keys, key.value)), f"first in line {first.line}")
            else:
                children[key.value] = tree = self.tree(value, (*keys, key.value))
                tree.key = self._place(key)
        return merged | children

    def _merged(self, node: Node) -> dict[str, Tree]:
        parts = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[str, Tree] = {}
        for part in parts:
            tree = self.tree(part)
            if isinstance(tree.value, dict):
                merged = tree.value | merged
            else:
                self._add_mistake(part, "only a mapping can be merged with <<")
        return merged

    def _scalar(self, node: ScalarNode) -> Scalar:
        kind = node.tag.removeprefix(_CORE)
        text = node.value.replace("_", "").lower()
        match kind:
            case "null":
                return None
            case "bool":
                return text == "true"
            case "int":
                return self._int(node, text)
            case "float":
                return float(text.replace(".inf", "inf").replace(".nan", "nan"))
            case "str" | "timestamp" | "value":
                return node.value
        self._add_mistake(node, f"tags such as {node.tag} are not allowed", correction="leave the tag out")
        return node.value

    def _int(self, node: ScalarNode, text: str) -> int | str:
        try:
            return int(text) if text.lstrip("+-").isdigit() else int(text, 0)
        except ValueError:  # Python converts at most 4300 digits by default
            self._add_mistake(node, "the number has too many digits")
            return 0

    def _add_mistake(self, node: Node, problem: str, key: str = "", correction: str = "") -> None:
        self.mistakes.append(self._place(node).mistake(problem, key, correction))

    def _place(self, node: Node) -> Location:
        return Location(self.file, node.start_mark.line + 1, node.start_mark.column + 1)
