"""YAML that remembers its lines, so that an error in a policy or registry file is reported with its line.

Dates stay text here: PyYAML turns `2026-12-31` into a date and fails on `2026-13-01` without saying where; the
validator parses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str, ...]
"""The way to a value: keys and list positions, as text."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Marked:
    """A document: its data, the line of every value (from 1), and the keys that occur twice in one mapping."""

    data: Any
    lines: dict[Path, int]
    repeated: dict[Path, int]
    """The line of the second one."""

    def line_of(self, path: Path) -> int:
        """The line of a value, or of its parent where it is missing; 1 for the whole document."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_marked(text: str) -> Marked:
    """A YAML document with its lines.

    Raises:
        yaml.YAMLError: it is not YAML; the error carries its line.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        marks = list(_marks(node, ())) if node else []
        data = loader.construct_document(node) if node else None
    finally:
        loader.dispose()
    lines: dict[Path, int] = {}
    repeated: dict[Path, int] = {}
    for path, line in marks:
        if path in lines and path[:-1] not in repeated:
            repeated[path] = line
        lines.setdefault(path, line)
    return Marked(data, lines, repeated)


def _marks(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    """(path, line) of every value below a node; a repeated key is listed twice."""
    if isinstance(node, yaml.MappingNode):
        children = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(position), value, value) for position, value in enumerate(node.value)]
    else:
        return
    for name, marked, value in children:
        yield (*path, name), marked.start_mark.line + 1
        yield from _marks(value, (*path, name))
