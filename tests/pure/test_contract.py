"""The contract's one vocabulary: Avro schemas, topics, ledger tables and rules against the tables of lifecycle.py."""

from __future__ import annotations

import ast
import copy
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest

from issuance.breaks.kinds import BREAK_KINDS
from issuance.city.partners import GRANTABLE, PARTNER_TOPICS, load_registry
from issuance.city.policy import BrakeRatios, GraceDays, load_policy
from issuance.reconcile.equations import EQUATIONS, ORDER_BUCKETS
from issuance.settings import ROOT
from issuance.tracking import holder_events
from issuance.tracking.brakes import LOOKS
from issuance.tracking.cancellations import CANCEL_PLASTIC
from issuance.tracking.card_breaks import BREAK_RULES, PATIENT
from issuance.tracking.decisions import RECORDED_RULES, RULES
from issuance.tracking.fold import FOLDS
from issuance.tracking.marks import CONTENT_FIELDS
from issuance.tracking.notice_rules import NOTICE
from issuance.tracking.remakes import REMAKE
from issuance.tracking.requests import REQUEST
from issuance.wire.avro import SCHEMAS, decode_body, encode_body, schema_of
from issuance.wire.topics import declared_families
from issuance.words import lifecycle
from issuance.words.codes import HOLDER_EVENTS, REFUSAL_CODES, TEMPLATES
from issuance.words.lifecycle import (
    BRAKES,
    BY_HAND,
    CANCEL_REASONS,
    CARD_STATES,
    DECISIONS,
    ENDED_STATES,
    GROUNDS,
    MILESTONES,
    PLASTIC_STATES,
    REASONS,
    REQUESTS,
)

MIGRATIONS = ROOT / "issuance" / "ledger" / "migrations"
RECORDS = sorted(path.stem for path in SCHEMAS.glob("*.avsc"))
Schema = Any


def raw(record: str) -> Schema:
    """A schema as it stands in its file."""
    return json.loads((SCHEMAS / f"{record}.avsc").read_text(encoding="utf-8"))


def types_in(schema: Schema) -> Iterator[dict[str, Any]]:
    """Every named or compound type of a schema."""
    if isinstance(schema, list):
        for branch in schema:
            yield from types_in(branch)
    elif isinstance(schema, dict):
        yield schema
        for field in schema.get("fields", []):
            yield from types_in(field["type"])
        yield from types_in(schema.get("items"))


ENUMS: dict[str, dict[str, Any]] = {
    found["name"]: found for record in RECORDS for found in types_in(raw(record)) if found.get("type") == "enum"
}


# Enums

TABLES: dict[str, set[str]] = {
    # enum: the codes it must hold beside UNKNOWN
    "Milestone": set(MILESTONES),
    "HolderEventCode": set(HOLDER_EVENTS),
    "RequestKind": set(REQUESTS),
    "StatementFunction": {"ss", "finance"},
    # Those below have no table in lifecycle.py: the words of the contract.
    "ReportKind": {"JOB", "ITEMS"},
    "JobAction": {"ORDER", "CANCEL"},
    "BreakAction": {"OPENED", "CLOSED"},
    "NoticeKind": {
        "APPLIED", "ITEM_REFUSED", "REPORT_REFUSED", "MISSING", "PAUSED", "KEY_ROTATION", "REQUESTED",
        "WITHDRAWN_REQUEST",
    },
    "CohortEventKind": {
        "REGISTERED", "VALIDATED", "REFUSED", "ACCEPTED", "PLANNED", "RELEASED", "DISPATCHED", "CLOSED", "REOPENED",
        "AUDIT_HEAD", "POSTPONED", "WITHDRAWN", "DAILY_REPORT",
    },
}  # fmt: skip


def test_every_enum_is_a_table_of_ours() -> None:
    assert set(ENUMS) == set(TABLES)


@pytest.mark.parametrize("name", sorted(ENUMS))
def test_an_enum_holds_its_codes_and_ends_with_unknown_as_default(name: str) -> None:
    symbols = ENUMS[name]["symbols"]
    assert set(symbols[:-1]) == TABLES[name]
    assert symbols[-1] == ENUMS[name]["default"] == "UNKNOWN"


def test_milestones_stand_in_the_order_of_the_table() -> None:
    assert ENUMS["Milestone"]["symbols"] == [*MILESTONES, "UNKNOWN"]


def test_statement_functions_are_those_of_the_registry_and_the_equations() -> None:
    registry = load_registry(ROOT / "policies" / "partners.demo.yaml")
    assert set(registry.statements) == TABLES["StatementFunction"]
    assert {e.name for e in EQUATIONS if e.name.startswith("activation")} == {
        f"activation ({function})" for function in registry.statements
    }


# Records


def filled(schema: Schema, names: dict[str, Schema]) -> Any:
    """A value that fills every field of a schema, optional ones too."""
    if isinstance(schema, list):
        return filled(next(branch for branch in schema if branch != "null"), names)
    if isinstance(schema, str):
        plain = {"string": "字", "int": 7, "long": 2**40, "boolean": True, "bytes": b"\x00"}
        return plain[schema] if schema in plain else filled(names[schema], names)
    if logical := schema.get("logicalType"):
        return {"date": date(2025, 10, 9), "timestamp-millis": datetime(2025, 10, 9, 8, 0, 0, 1000, UTC)}[logical]
    if "name" in schema:
        names[schema["name"]] = schema
    match schema["type"]:
        case "record":
            return {field["name"]: filled(field["type"], names) for field in schema["fields"]}
        case "array":
            return [filled(schema["items"], names)]
        case "enum":
            return schema["symbols"][0]
    raise AssertionError(schema)


def records_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every record inside a value."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from records_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from records_in(inner)


@pytest.mark.parametrize("record", RECORDS)
def test_a_full_value_comes_back_as_it_went(record: str) -> None:
    value = filled(raw(record), {})
    assert decode_body(record, encode_body(record, value)) == value


@pytest.mark.parametrize("record", RECORDS)
def test_an_unknown_field_is_refused_wherever_it_stands(record: str) -> None:
    value = filled(raw(record), {})
    for number in range(len(list(records_in(value)))):
        spoiled = copy.deepcopy(value)
        list(records_in(spoiled))[number]["colour"] = "red"
        with pytest.raises(ValueError, match="colour"):
            encode_body(record, spoiled)


@pytest.mark.parametrize("record", [name for name in RECORDS if "fields" in raw(name)])
def test_a_missing_field_without_default_is_refused_and_bytes_too_many_too(record: str) -> None:
    value = filled(raw(record), {})
    body = encode_body(record, value)
    with pytest.raises(ValueError, match="left over"):
        decode_body(record, body + b"\0")
    value.pop(next(iter(value)))
    with pytest.raises(ValueError, match="missing from the record"):
        encode_body(record, value)


def test_fields_left_out_have_their_defaults() -> None:
    item = {"milestone": "MADE", "occurred_at": datetime(2025, 10, 9, tzinfo=UTC)}
    report = {
        "report_id": "r", "partner": "p", "sequence": 1, "reported_at": datetime(2025, 10, 9, tzinfo=UTC),
        "kind": "ITEMS", "declared_count": 1, "items": [item],
    }  # fmt: skip
    read = decode_body("card_report", encode_body("card_report", report))
    assert (read["stream"], read["job_id"], read["handover_count"]) == ("main", None, None)
    assert (read["items"][0]["actors"], read["items"][0]["corrects"], read["items"][0]["reason"]) == ([], False, None)


def grown(record: str, *, milestone: str | None = None) -> Schema:
    """A later version of a schema: an optional field in it and in its items, and perhaps a milestone more."""
    schema = raw(record)
    more = {"name": "later", "type": ["null", "string"], "default": None}
    for found in [found for found in types_in(schema) if found.get("type") == "record"]:
        found["fields"].append(dict(more))
    if milestone:
        symbols = next(found for found in types_in(schema) if found.get("name") == "Milestone")["symbols"]
        symbols.insert(-1, milestone)
    return fastavro.parse_schema(schema)


def read_with(reader: Schema, writer: Schema, body: bytes) -> Any:
    return fastavro.schemaless_reader(io.BytesIO(body), writer, reader)


def test_a_report_with_an_added_optional_field_is_readable_both_ways() -> None:
    old, new = schema_of("card_report"), grown("card_report")
    value = filled(raw("card_report"), {})
    by_old = encode_body("card_report", value)
    assert read_with(new, old, by_old)["items"][0]["later"] is None
    buffer = io.BytesIO()
    later = copy.deepcopy(value)
    for record in records_in(later):
        record["later"] = "x"
    fastavro.schemaless_writer(buffer, new, later, strict=True)
    assert decode_body("card_report", buffer.getvalue(), new) == value
    assert read_with(new, new, buffer.getvalue()) == later


def test_a_milestone_of_a_later_version_reads_as_unknown() -> None:
    new = grown("card_report", milestone="BLESSED")
    value = filled(raw("card_report"), {})
    for record in records_in(value):
        record["later"] = None
    value["items"][0]["milestone"] = "BLESSED"
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, new, value, strict=True)
    assert decode_body("card_report", buffer.getvalue(), new)["items"][0]["milestone"] == "UNKNOWN"


def test_what_a_milestone_needs_are_fields_of_a_report_or_its_items() -> None:
    report = schema_of("card_report")
    of_report = {field["name"] for field in report["fields"]}  # type: ignore[index,call-overload]
    of_item = {field["name"] for found in types_in(raw("card_report")) if found.get("name") == "ReportItem"
               for field in found["fields"]}  # fmt: skip
    needs = {need for milestone in MILESTONES.values() for need in milestone.needs}
    assert needs <= of_report | of_item | {"consignment"}
    assert set(CONTENT_FIELDS) <= of_item


def test_a_statement_and_a_request_name_plastics_the_same_way() -> None:
    found = [found for record in ("statement", "partner_notice") for found in types_in(raw(record))]
    shapes = [[(f["name"], f["type"]) for f in one["fields"]] for one in found if one.get("name") == "PlasticRef"]
    assert shapes == [[("card_ref", "string"), ("attempt", "int")]] * 2


# Topics

CONTRACT_TOPICS = {
    # family: (direction, kinds of partner with a topic each, key, record)
    "cohort-submissions": ("in", None, "cohort_id", "cohort_submission"),
    "cohort-events": ("out", None, "cohort_id", "cohort_event"),
    "card-jobs": ("out", {"factory"}, "job_id", "card_job"),
    "production": ("in", {"factory"}, "report_id", "card_report"),
    "mail": ("in", {"carrier"}, "report_id", "card_report"),
    "collection": ("in", {"bank", "hrss"}, "report_id", "card_report"),
    "activation": ("in", {"bank", "hrss"}, "report_id", "card_report"),
    "statements": ("in", {"bank", "hrss"}, "statement_id", "statement"),
    "holder-events": ("in", {"hrss", "platform"}, "application_id", "holder_event"),
    "partner-notices": ("out", set(PARTNER_TOPICS), "report_id", "partner_notice"),
    "card-status": ("out", None, "cohort_id", "card_status"),
    "notices": ("out", {"notifier"}, "cohort_id", "notice"),
    "breaks": ("out", None, "cohort_id", "break"),
}


def test_topics_are_those_of_the_contract() -> None:
    declared = {
        family: (
            entry["direction"],
            set(entry["per"]) if entry["per"] else None,
            entry["key"],
            Path(entry["schema"]).stem,
        )
        for family, entry in declared_families().items()
    }
    assert declared == CONTRACT_TOPICS


def test_every_inbound_family_has_dead_letters_and_every_one_stays_compatible() -> None:
    for entry in declared_families().values():
        assert entry["dlq"] == (entry["direction"] == "in")
        assert entry["compatibility"] == "FULL_TRANSITIVE"


@pytest.mark.parametrize("family", sorted(name for name, entry in CONTRACT_TOPICS.items() if entry[0] == "in"))
def test_a_key_is_a_field_of_its_record(family: str) -> None:
    _, _, key, record = CONTRACT_TOPICS[family]
    assert key in {field["name"] for field in raw(record)["fields"]}


# Ledger


def ledger_tables() -> dict[str, dict[str, str]]:
    """Table: column: type, by the text of the migrations."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(MIGRATIONS.glob("*.sql")))
    tables: dict[str, dict[str, str]] = {}
    for name, body in re.findall(r"^CREATE TABLE (\w+) \(\n(.*?)^\)", text, re.MULTILINE | re.DOTALL):
        columns = re.findall(r"^    (\"?[a-z_]\w*\"?) ([^\n]*?),?$", body, re.MULTILINE)
        tables[name] = {column.strip('"'): kind for column, kind in columns}
    for name, body in re.findall(r"^ALTER TABLE (\w+)\s([^;]*);", text, re.MULTILINE):
        if found := re.match(r"\s*RENAME TO (\w+)", body):
            tables[found[1]] = tables.pop(name)
        for column, kind in re.findall(r"ADD COLUMN (\w+) ([^,\n]*)", body):
            tables[name][column] = kind
    return {name: columns for name, columns in tables.items() if f"DROP TABLE {name};" not in text}


@pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.table)
def test_a_table_has_a_column_for_each_milestone_of_its_subject_and_no_other(fold: Any) -> None:
    columns = ledger_tables()[fold.table]
    marks = {column for column, kind in columns.items() if kind == 'text COLLATE "C"'} - set(fold.keys)
    assert marks == {milestone.column for milestone in fold.milestones}
    assert {"corrected", "conflict", *fold.keys} <= set(columns)


def test_every_milestone_has_its_table() -> None:
    assert {milestone.name for fold in FOLDS for milestone in fold.milestones} == set(MILESTONES)


def test_the_tables_of_the_ledger_have_no_column_for_personal_data() -> None:
    personal = {"name", "id_number", "phone", "address", "postcode", "birth_date", "social_security_number"}
    found = {f"{table}.{column}" for table, columns in ledger_tables().items() for column in set(columns) & personal}
    assert found == {"desk.address", "desk_user.name"}  # of the desk itself, and of who works there


# Authority and words


@pytest.mark.parametrize("milestone", MILESTONES.values(), ids=lambda milestone: milestone.name)
def test_reporters_are_kinds_of_partner_that_write_reports(milestone: lifecycle.Milestone) -> None:
    for kind in milestone.reporters:
        families = {entry["family"] for entry in PARTNER_TOPICS[kind] if entry["may"] == "write"}
        assert families & {"production", "mail", "collection", "activation"}
    assert milestone.reporters
    assert milestone.zh
    assert milestone.en


def test_a_request_is_answered_with_a_milestone_of_a_plastic() -> None:
    answers = {answer for milestones, _, _ in REQUESTS.values() for answer in milestones}
    assert {MILESTONES[answer].subject for answer in answers - {"JOB_REFUSED"}} <= {"plastic", "plastic_in_consignment"}


def test_states_have_buckets_of_the_equations() -> None:
    making = next(equation for equation in EQUATIONS if equation.name == "making")
    assert {state.order for state in CARD_STATES.values()} == set(ORDER_BUCKETS)
    assert {state.making for state in PLASTIC_STATES if state.making} <= set(making.buckets)
    assert set(CARD_STATES) >= ENDED_STATES
    assert PLASTIC_STATES[-1].when == "TRUE"


RULES_TEXT = "\n".join([*(rule.who for rule in RULES), *(rule.when for rule in BREAK_RULES)])


def words_after(pattern: str, text: str = RULES_TEXT) -> set[str]:
    """The quoted words that stand after a pattern: one, or a list in brackets."""
    found = re.findall(pattern + r"\s*(?:=|<>|IN|NOT IN|THEN)\s*(\([^)]*\)|'\w+')", text)
    return {word for entry in found for word in re.findall(r"'(\w+)'", entry)}


def test_reasons_that_decisions_ask_for_exist() -> None:
    used = words_after(r"mark_reason\([\w.]+\)")
    assert used
    assert used <= set(REASONS)


def test_reasons_for_which_plastics_are_cancelled_exist() -> None:
    case = CANCEL_PLASTIC.who.split("CROSS JOIN LATERAL", 1)[1]
    at_once = {ground.name for ground in GROUNDS.values() if ground.at_once}
    given = set(re.findall(r"(?:THEN|ELSE) '(\w+)'", case)) | set(holder_events.WITHDRAWING) | at_once
    assert given == set(CANCEL_REASONS)
    assert words_after(r"\bcancel_reason") <= set(CANCEL_REASONS)
    assert set(holder_events.WITHDRAWING) <= set(HOLDER_EVENTS)


def test_states_kinds_and_templates_in_the_rules_exist() -> None:
    assert words_after(r"\b[sk]\.state") <= set(CARD_STATES)
    assert words_after(r"d\.kind") <= set(DECISIONS)
    assert {rule.kind for rule in (*RECORDED_RULES, NOTICE)} == set(DECISIONS)
    assert {rule.kind for rule in BREAK_RULES} <= set(BREAK_KINDS)
    templates = set(re.findall(r"(?:UNION ALL )?SELECT '([A-Z_]+)'", NOTICE.who.split("LATERAL")[1]))
    assert templates <= set(TEMPLATES)
    assert set(re.findall(r"'([A-Z_]+)'", REQUEST.who)) & set(REQUESTS) == set(REQUESTS)


def test_every_ground_of_a_remake_has_a_way_in_and_every_brake_stops_something() -> None:
    by_rule = set(re.findall(r"THEN '([A-Z_]+)'", REMAKE.who.split("LATERAL")[2]))
    by_hand = {ground for ground, _, _ in BY_HAND.values()} | {"REASSIGNED"}
    assert by_rule | by_hand == set(GROUNDS)
    assert {ground.name for ground in GROUNDS.values() if ground.loss} == {"LOST", "PRESUMED_LOST", "MISSING"}
    assert set(BRAKES) == {*LOOKS, "REMAKE"} == set(BrakeRatios.model_fields)
    assert set(PATIENT) | {"OUT_OF_ORDER"} == set(GraceDays.model_fields)


def test_no_text_to_a_holder_has_a_link() -> None:
    for texts in TEMPLATES.values():
        assert not any(re.search(r"https?:|www\.|[a-z]\.[a-z]{2}", text) for text in texts)


REFUSING = (
    "intake/register.py", "reconcile/statements.py", "tracking/event_values.py", "tracking/holder_events.py",
    "tracking/merge.py", "tracking/reports.py", "tracking/stages.py", "wire/consumer.py", "wire/bounds.py",
    "wire/isolation.py", "city/city.py",
)  # fmt: skip
"""Modules that say why a message or an item is refused."""


def codes_given(source: str) -> set[str]:
    """The codes that functions return, name as `refusal` or call `code`, raise, and of the set-based check."""
    nodes = list(ast.walk(ast.parse(source)))
    parts = [node.value for node in nodes if isinstance(node, ast.Return | ast.keyword) and node.value]
    parts += [node.value for node in nodes if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "code"]
    constants = [node.value for part in parts for node in ast.walk(part) if isinstance(node, ast.Constant)]
    words = {word for word in constants if isinstance(word, str) and re.fullmatch(r"[A-Z_]{5,}", word)}
    words |= set(re.findall(r'Refused\(\s*"([A-Z_]+)"', source))
    words |= set(re.findall(r'Outcome\([^)]*"([A-Z_]{5,})"', source))
    return words | set(re.findall(r"THEN '([A-Z_]+)'", source))


def test_messages_and_items_are_refused_with_codes_of_the_table_and_with_all_of_them() -> None:
    sources = [(ROOT / "issuance" / name).read_text(encoding="utf-8") for name in REFUSING]
    answers = {"APPLIED", "ITEM_REFUSED", "MISSING"}
    unread = {"BATCH_TOO_LARGE"}  # what stands for a batch that was not read (wire.unpacking)
    assert set().union(*map(codes_given, sources), unread) - answers - set(MILESTONES) == set(REFUSAL_CODES)


# Policies and registry


def test_every_policy_and_registry_file_loads() -> None:
    cities = sorted(path.stem for path in (ROOT / "policies").glob("[0-9]*.yaml"))
    registries = [load_registry(path) for path in sorted((ROOT / "policies").glob("partners.*.yaml"))]
    assert cities
    assert registries
    assert {load_policy(ROOT / "policies", city).city for city in cities} >= {registry.city for registry in registries}


@pytest.mark.parametrize("path", sorted((ROOT / "policies").glob("partners.*.yaml")), ids=lambda path: path.name)
def test_a_registry_has_every_kind_of_partner(path: Path) -> None:
    registry = load_registry(path)
    assert {partner.kind for partner in registry.partners.values()} == set(PARTNER_TOPICS)
    assert registry.backup_factory in {factory.id for factory in registry.of_kind("factory")}
    assert {rule["partner_kind"] for rule in registry.statements.values()} <= set(PARTNER_TOPICS)
    of_record = {field["name"] for field in raw("personalization_record")["fields"]}
    assert set(GRANTABLE) <= of_record
