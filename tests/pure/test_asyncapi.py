"""schemas/asyncapi.yaml: valid AsyncAPI 3.0, in step with the tables.

asyncapi-3.0.0.json.gz is the schema of the specification from the npm package @asyncapi/specs 6.11.1 (Apache-2.0).
"""

from __future__ import annotations

import copy
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from issuance.city.partners import PARTNER_TOPICS, load_registry
from issuance.docpages.asyncapi import FILE, text
from issuance.wire.topics import SCHEMAS, declared_topics
from issuance.words.lifecycle import MILESTONES, REQUESTS

SCHEMA = Path(__file__).with_name("asyncapi-3.0.0.json.gz")
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
DIRECTION = {"receive": "write", "send": "read"}
"""What the issuance does: what the partner may."""


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    return Draft7Validator(json.loads(gzip.decompress(SCHEMA.read_bytes())))


def operations() -> dict[str, dict[str, Any]]:
    """Operations by their family."""
    return {each["channel"]["$ref"].rpartition("/")[2]: each for each in DOCUMENT["operations"].values()}


def test_it_is_in_step_with_the_tables() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "write it anew: make docs"


def test_it_is_valid(validator: Draft7Validator) -> None:
    assert [f"{list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize("path", [("operations", "receive-production", "action"), ("channels", "mail", "messages")])
def test_the_validator_sees_what_is_wrong(validator: Draft7Validator, path: tuple[str, ...]) -> None:
    broken = copy.deepcopy(DOCUMENT)
    part = broken
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = "neither"
    assert list(validator.iter_errors(broken))


def test_every_reference_leads_somewhere() -> None:
    for reference in re.findall(r"\$ref: '?([^'\n]+)'?\n", FILE.read_text(encoding="utf-8")):
        place, _, inside = reference.partition("#/")
        if place:
            assert (FILE.parent / place).is_file(), reference
            continue
        part: Any = DOCUMENT
        for name in inside.split("/"):
            part = part[name]


def test_each_kind_of_partner_has_exactly_its_topics() -> None:
    shown = {
        (kind, family, DIRECTION[operation["action"]])
        for family, operation in operations().items()
        for kind in operation["x-partners"]
    }
    told = {(kind, entry["family"], entry["may"]) for kind, entries in PARTNER_TOPICS.items() for entry in entries}
    assert shown == told | {(kind, "partner-notices", "read") for kind in PARTNER_TOPICS}


def test_who_may_report_what_is_the_authority_table() -> None:
    shown = {
        (name, kind, relation)
        for operation in operations().values()
        for name, entry in operation.get("x-authority", {}).items()
        for kind, relation in entry["by"].items()
    }
    assert shown == {(m.name, kind, relation) for m in MILESTONES.values() for kind, relation in m.reporters.items()}
    assert set(operations()["partner-notices"]["x-requests"]) == set(REQUESTS)


def test_what_the_topics_are_made_with_is_what_it_says() -> None:
    for topic in declared_topics(load_registry(SCHEMAS.parent / "policies" / "partners.demo.yaml")):
        if topic.schema is None:
            continue
        said = DOCUMENT["channels"][topic.family]["bindings"]["kafka"]
        assert said["partitions"] == topic.partitions
        assert str(said["topicConfiguration"]["retention.ms"]) == topic.config["retention.ms"]
        assert ",".join(said["topicConfiguration"]["cleanup.policy"]) == topic.config["cleanup.policy"]
