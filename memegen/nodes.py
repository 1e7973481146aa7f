"""Strict reading of YAML: nodes know their lines, and every error names the line it is on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import yaml

from memegen.errors import UsageError, nearest

_LOADER = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml where there is one: ten times faster


MOST_DEPTH = 32  # lists and mappings inside each other; libyaml's tree overflows the C stack


def compose_yaml(text: str, source: str) -> yaml.Node | None:
    """The root node of YAML text, None where there is nothing. Raises UsageError with the line."""
    try:
        _check_depth(text, source)
        root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise UsageError(f"{source}:{line}: not valid YAML ({error.problem})") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{source}: not valid YAML ({error})") from None
    return root


def _check_depth(text: str, source: str) -> None:
    """Raise UsageError where the text is nested deeper than anything that people write."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise UsageError(f"{source}:{line}: nested deeper than {MOST_DEPTH} levels")


class NodeReader:
    """Takes YAML nodes apart. What is not as it must be raises UsageError with file and line."""

    def __init__(self, source: str) -> None:
        self._source = source

    def fail(self, node: yaml.Node, message: str) -> UsageError:
        """The error to raise about a node."""
        return UsageError(f"{self._source}:{node.start_mark.line + 1}: {message}")

    def mapping(self, node: yaml.Node, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        """The values of a mapping by their keys, of which only `known` ones may be there, once."""
        found: dict[str, yaml.Node] = {}
        for key, value in self.pairs(node):
            name = self.text(key)
            if name not in known:
                raise self.fail(key, f"unknown key '{name}'{nearest(name, known)}")
            if name in found:
                raise self.fail(key, f"'{name}' is given twice")
            found[name] = value
        return found

    def pairs(self, node: yaml.Node) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Keys and values of a mapping, in order."""
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(node, "expected 'key: value' pairs")
        yield from node.value

    def sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The items of a list, at least one; `what` they are, for the message."""
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.fail(node, f"expected a list with at least one {what}")
        return list(node.value)

    def scalar(self, node: yaml.Node) -> object:
        """One value as YAML understands it; text where it is quoted."""
        if not isinstance(node, yaml.ScalarNode):
            raise self.fail(node, "expected one value")
        if node.style:  # quoted
            return node.value
        try:
            return yaml.safe_load(node.value)
        except (yaml.YAMLError, ValueError):
            return node.value

    def text(self, node: yaml.Node) -> str:
        """One value as it is written."""
        if not isinstance(node, yaml.ScalarNode):
            raise self.fail(node, "expected text")
        return str(node.value)

    def number(self, node: yaml.Node, low: float, high: float) -> float:
        """A finite number in a range."""
        value = self.scalar(node)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(node, f"'{value}' is not a number")
        if not math.isfinite(value) or not low <= value <= high:
            raise self.fail(node, f"{value:g} is outside {low:g}..{high:g}")
        return float(value)

    def word(self, node: yaml.Node, choices: tuple[str, ...]) -> str:
        """One of some words."""
        value = self.text(node)
        if value not in choices:
            raise self.fail(
                node, f"'{value}' is none of {', '.join(choices)}{nearest(value, choices)}"
            )
        return value

    def flag(self, node: yaml.Node) -> bool:
        """True or false."""
        value = self.scalar(node)
        if not isinstance(value, bool):
            raise self.fail(node, f"'{value}' is neither true nor false")
        return value
