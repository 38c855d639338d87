"""The registry file, changed in place: comments and order are kept, and nothing invalid is written."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from issuance.city.partners import SECTIONS, Registry, load_registry
from issuance.errors import Refused
from issuance.settings import ROOT
from issuance.stack.place import write_private

SHIPPED = ROOT / "policies" / "partners.demo.yaml"
LISTS = ("hrss", "carriers", "platforms", "notifiers")
"""Sections that only name their partners."""
Document = Any
"""A registry document as ruamel reads it: mappings and lists that remember their comments."""


def change_registry(path: Path, change: Callable[[Document], None]) -> tuple[Registry, Registry]:
    """Apply a change to the file; returns the registry before and after.

    Raises:
        Refused: it is the file that comes with the product: copy it and name the copy in ISSUANCE_PARTNERS.
        Misconfigured: the result would have errors; nothing is written.
    """
    if path.resolve() == SHIPPED:
        raise Refused(
            "REGISTRY_SHIPPED",
            f"{path.name} 随产品提供，不可改：请复制一份，用 ISSUANCE_PARTNERS 指定后重启本地环境。"
            f" / {path.name} comes with the product: copy it, name the copy in ISSUANCE_PARTNERS, restart the stack.",
        )
    before = load_registry(path)
    text = _changed(path, change)
    with TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        draft.write_text(text, encoding="utf-8")
        load_registry(draft)
    write_private(path, text, mode=path.stat().st_mode & 0o777)
    return before, load_registry(path)


def _changed(path: Path, change: Callable[[Document], None]) -> str:
    yaml = YAML()
    yaml.width = 200
    document = yaml.load(path.read_text(encoding="utf-8"))
    change(document)
    buffer = io.StringIO()
    yaml.dump(document, buffer)
    return buffer.getvalue()


def read_entries(text: str) -> dict[str, Any]:
    """Entries to add, in the sections of a registry file: `factories`, `banks`, `hrss`, `carriers` …

    Raises:
        Refused: the text is not valid.
    """
    try:
        found = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise Refused("ENTRIES_UNREADABLE", f"不是可用的 YAML。 / this is not valid YAML: {error}") from error
    if not isinstance(found, dict) or not found or set(found) - set(SECTIONS.values()):
        raise Refused(
            "ENTRIES_UNREADABLE",
            f"只能有 {'、'.join(SECTIONS.values())}。 / it may only contain {', '.join(SECTIONS.values())}.",
        )
    return dict(found)


def entries_of(kind: str, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of one partner, as `read_entries` gives it."""
    section = SECTIONS[kind]
    given = {key: value for key, value in values.items() if value is not None}
    return {section: [name] if section in LISTS else {name: given}}


def add_entries(entries: Mapping[str, Any]) -> Callable[[Document], None]:
    """A change that adds entries; an identical one is left alone, a name taken by a different one is refused."""

    def change(document: Document) -> None:
        taken = {name for section in SECTIONS.values() for name in document[section]}
        for section, added in entries.items():
            for name in added:
                if name in document[section] and (section in LISTS or document[section][name] == added[name]):
                    continue
                if name in taken:
                    raise Refused("PARTNER_STANDS", f"{name} 已登记。 / {name} has another entry already.")
                if section in LISTS:
                    document[section].append(name)
                else:
                    document[section][name] = added[name]

    return change


def remove_entry(name: str) -> Callable[[Document], None]:
    """A change that removes a partner."""

    def change(document: Document) -> None:
        for section in SECTIONS.values():
            if section in LISTS and name in document[section]:
                document[section].remove(name)
            elif name in document[section]:
                del document[section][name]
        document.get("suspended", {}).pop(name, None)

    return change


def suspend_entry(name: str, note: str) -> Callable[[Document], None]:
    """A change that suspends a partner, with the reason."""

    def change(document: Document) -> None:
        document.setdefault("suspended", {})[name] = note

    return change


def resume_entry(name: str) -> Callable[[Document], None]:
    """A change that ends a suspension."""

    def change(document: Document) -> None:
        document.get("suspended", {}).pop(name, None)
        if not document.get("suspended"):
            document.pop("suspended", None)

    return change
