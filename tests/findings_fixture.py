"""What tests of findings share: one row through normalising and rules, files of rows, partners' messages to a stage."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
from confluent_kafka import Producer
from intake_fixture import person
from ledger_fixture import (
    OPENS,
    POLICY,
    REGISTRY,
    decide_all,
    fresh_database,
    item,
    make_cohort,
    merge,
    new_ledger,
    report,
)
from wire_fixture import Wire

from issuance.clock import end_of, instant_on
from issuance.errors import Refused
from issuance.intake.columns import NAMES
from issuance.intake.normalise import normalise
from issuance.intake.photos import FINDING
from issuance.intake.predicates import RuleContext
from issuance.intake.read import read_rows
from issuance.intake.rules import ROW_RULES
from issuance.ledger.connection import Connection, connect, set_business_day
from issuance.reconcile.statements import apply_statements
from issuance.settings import Settings, load_settings
from issuance.tracking.holder_events import apply_holder_events
from issuance.tracking.merge import Merged, SoundReport
from issuance.tracking.stages import apply_reports
from issuance.wire.avro import encode_body, read_inbound
from issuance.wire.codec import FRAME
from issuance.wire.consumer import Context
from issuance.wire.kafka import Credentials, librdkafka_options
from issuance.wire.outbox import Outgoing
from issuance.wire.refusals import Message, Outcome
from issuance.words.references import hash_total

RULES_OF_BEIJING = RuleContext(POLICY, frozenset({"ICBC", "BOB"}), OPENS)
HOLDER = [{"role": "HOLDER", "reference": "seen"}]
WITNESSES = [{"role": "WITNESS", "reference": "w1"}, {"role": "WITNESS", "reference": "w2"}]


def frame_of_rows(*rows: dict[str, str]) -> pd.DataFrame:
    """Rows as reading gives them."""
    columns = {name: [row.get(name, "") for row in rows] for name in NAMES}
    return pd.DataFrame(columns, dtype="str").assign(line=range(2, len(rows) + 2))


def reasons_of(*rows: dict[str, str]) -> dict[int, list[str]]:
    """Why rows are quarantined, by position, after normalising."""
    return judged(frame_of_rows(*rows))


def judged(frame: pd.DataFrame) -> dict[int, list[str]]:
    """Why rows of a frame as reading gives it are quarantined, by position, after normalising."""
    normal, _ = normalise(frame)
    normal = normal.assign(**{FINDING: ""})
    found: dict[int, list[str]] = {}
    for rule in ROW_RULES:
        if rule.severity == "error" and rule.passes is not None:
            passed = rule.passes(normal, RULES_OF_BEIJING).tolist()
            for position in (n for n, passes in enumerate(passed) if not passes):
                found.setdefault(position, []).append(rule.id)
    return found


def normal_form(column: str, value: str) -> tuple[str, dict[str, int]]:
    """A value after normalising, and the notes about it."""
    frame, notes = normalise(frame_of_rows({column: value}))
    return str(frame[column].iat[0]), notes


def csv_text(rows: Sequence[dict[str, str]], columns: Sequence[str] | None = None) -> str:
    """Rows as the text of a CSV file; by default with the columns of `person`."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(columns or person(0)), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read_all(path: Path) -> pd.DataFrame:
    """Every row of a file."""
    return pd.concat(read_rows(path, 1000), ignore_index=True)


def refusal_of_file(path: Path) -> Refused | None:
    """What a file is refused with, None if it is read."""
    try:
        read_all(path)
    except Refused as error:
        return error
    return None


def on(day: int) -> date:
    """A day counted from the opening day."""
    return OPENS + timedelta(days=day)


def context_on(day: int) -> Context:
    """What a stage knows at the end of a day counted from the opening day; stages of reports need no settings."""
    return Context(None, REGISTRY, end_of(on(day)), on(day))  # type: ignore[arg-type]


def message_of(record: str, topic: str, partner: str, value: dict[str, Any], offset: int = 0) -> Message:
    """A record as a partner wrote it and the consumer decoded it."""
    body = encode_body(record, value)
    return Message(topic, 0, offset, partner, b"key", bytes(FRAME.size) + body, (), read_inbound(record, body))


def wire_value(partner: str, report_id: str, items: list[dict[str, Any]], **head: Any) -> dict[str, Any]:
    """A CardReport as a partner writes it."""
    return report(partner, report_id, items, **{"reported_at": instant_on(OPENS, 9), **head}).value


def apply(connection: Connection, *values: dict[str, Any], day: int = 60) -> list[Outcome]:
    """Card reports through their stage, one poll."""
    messages = [
        message_of("card_report", f"issuance.production.{value['partner']}.v1", value["partner"], value, offset)
        for offset, value in enumerate(values)
    ]
    return apply_reports(connection, messages, context_on(day))[0]


def settings_of(url: str) -> Settings:
    """Settings for what needs the ledger alone; nothing else answers."""
    nobody = "http://127.0.0.1:9"
    given = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "KAFKA_USER": "x", "KAFKA_PASSWORD": "x", "DATABASE_URL": url}
    given |= {"S3_ENDPOINT_URL": nobody, "S3_ACCESS_KEY": "x", "S3_SECRET_KEY": "x"}
    return load_settings(given | {"SCHEMA_REGISTRY_URL": nobody, "AIRFLOW_API_URL": nobody})


def statement_value(refs: Sequence[UUID], day: int = 8, **values: Any) -> dict[str, Any]:
    """A statement of HRSS-BJ of one chunk for a day counted from the opening day."""
    whole = {
        "statement_id": f"S{day}", "partner": "HRSS-BJ", "function": "ss", "business_day": on(day),
        "as_of": instant_on(on(day), 20), "revision": 1, "chunk": 1, "chunks": 1, "total": len(refs),
        "hash_total": hash_total(list(refs)), "items": [{"card_ref": str(ref), "attempt": 1} for ref in refs],
    }  # fmt: skip
    return whole | values


def state_list(connection: Connection, *values: dict[str, Any], day: int = 8) -> list[str | None]:
    """What each chunk of a statement is refused with, None where it is not, at the end of a day."""
    messages = [
        message_of("statement", f"issuance.statements.{v['partner']}.v1", v["partner"], v, n)
        for n, v in enumerate(values)
    ]
    return [outcome.refusal for outcome in apply_statements(connection, messages, context_on(day))[0]]


def event_value(source: str, event_id: str, event: str, ref: UUID | None, **values: Any) -> dict[str, Any]:
    """A holder event of the first day."""
    base = {
        "event_id": event_id, "source": source, "event": event, "cohort_id": None,
        "card_ref": str(ref) if ref else None, "application_id": "A0", "occurred_at": instant_on(on(1), 10),
        "sealed": None,
    }  # fmt: skip
    return base | values


def tell(connection: Connection, value: dict[str, Any], day: int = 60) -> tuple[str | None, list[Outgoing]]:
    """What a holder event is refused with, and the answers; events without values need no settings."""
    message = message_of("holder_event", f"issuance.holder-events.{value['source']}.v1", value["source"], value)
    (outcome,), answers = apply_holder_events(connection, [message], context_on(day))
    return outcome.refusal, answers


def decide_on(connection: Connection, day: int) -> None:
    """Decide about every card as of a day counted from the opening day."""
    set_business_day(connection, on(day))
    connection.execute("INSERT INTO changed_card SELECT card_ref FROM card")
    decide_all(connection)


def decided(connection: Connection, kind: str, attempt: int = 1) -> list[tuple[str, str]]:
    """Occasion and reason of the decisions of a kind about a plastic; a re-make's ground, a request's kind."""
    queries = {
        "REMAKE": "SELECT ground, reason FROM remake WHERE %s <> '' AND attempt = %s ORDER BY 1, 2",
        "REQUEST": "SELECT kind, reason FROM request WHERE %s <> '' AND attempt = %s ORDER BY 1, 2",
    }
    query = queries.get(kind, "SELECT occasion, reason FROM decision WHERE kind = %s AND attempt = %s ORDER BY 1, 2")
    return connection.execute(query, (kind, attempt)).fetchall()


def open_kinds(connection: Connection) -> list[str]:
    """The kinds of the open breaks."""
    rows = connection.execute("SELECT DISTINCT kind FROM break WHERE closed_on IS NULL ORDER BY 1").fetchall()
    return [kind for (kind,) in rows]


def codes_of(merged: Merged) -> list[str]:
    """The codes of the refused items."""
    return [refusal.code for refusals in merged.refused.values() for refusal in refusals]


def to_outlet(refs: Sequence[UUID], day: int = 2) -> list[SoundReport]:
    """What lies before a hand-over, a hand-over to an outlet, and its receipt, on five days from `day` on."""
    place = {"handover_id": f"H{day}", "handover_count": len(refs), "to_place": "ICBC-001"}
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("F-ICBC", "ITEM_ACCEPTED", {}), ("F-ICBC", "MADE", {}), ("F-ICBC", "BANK_KEYED", {}),
        ("HRSS-BJ", "SS_KEYED", {}), ("F-ICBC", "HANDED_OVER", place), ("ICBC", "RECEIVED_AT_PLACE", place),
    ]  # fmt: skip
    return [
        report(who, f"{what} {day}", [item(what, ref, day + n // 2) for ref in refs], **head)
        for n, (who, what, head) in enumerate(steps)
    ]


def finish(connection: Connection, cards: int = 2) -> list[UUID]:
    """A dispatched cohort whose cards are all active on the seventh day; no statement has come."""
    refs = make_cohort(connection, cards)
    connection.execute(
        "INSERT INTO part (cohort_no, submission, part, object, file, lines, rows)"
        " VALUES (1, 0, 1, 'o', 'f.csv', %s::int4multirange, %s)",
        (f"{{[2,{cards + 2})}}", cards),
    )
    connection.execute("INSERT INTO tally SELECT cohort_no, state, count(*) FROM card GROUP BY 1, 2")
    merge(connection, report("F-ICBC", "job", [item("JOB_ACCEPTED", None, 1)], kind="JOB", job_id="J1"))
    merge(connection, *to_outlet(refs))
    merge(connection, report("ICBC", "c", [item("COLLECTED", ref, 6, place="ICBC-001", actors=HOLDER) for ref in refs]))
    merge(connection, report("HRSS-BJ", "a", [item("SS_ACTIVATED", ref, 7) for ref in refs]))
    merge(connection, report("ICBC", "f", [item("FINANCE_ACTIVATED", ref, 7) for ref in refs]))
    decide_on(connection, 8)
    connection.execute("UPDATE cohort SET state = 'DISPATCHED'")
    return refs


def posted(connection: Connection, refs: Sequence[UUID], day: int = 5) -> None:
    """Letters T0, T1 … of EMS, made and given on the day before and posted on a day."""
    head = {"to_place": "EMS", "handover_count": 1}
    merge(
        connection,
        report("F-ICBC", "m", [item(what, r, 2) for r in refs for what in ("ITEM_ACCEPTED", "MADE", "BANK_KEYED")]),
        report("HRSS-BJ", "k", [item("SS_KEYED", ref, 3) for ref in refs]),
        *(
            report("F-ICBC", f"h{n}", [item("HANDED_OVER", ref, day - 1, tracking_no=f"T{n}")], **head)
            for n, ref in enumerate(refs)
        ),
        report("EMS", "p", [item("POSTED", None, day, tracking_no=f"T{n}") for n in range(len(refs))]),
    )


@contextmanager
def two_factories(stack: Settings, name: str) -> Iterator[tuple[Wire, str, list[UUID]]]:
    """A ledger of its own with four plastics of F-ICBC and then four of F-ABC, and the wire to it."""
    url = fresh_database(stack.database_url, f"ledger_{name}")
    new_ledger(url)
    with connect(url) as connection:
        refs = make_cohort(connection, 8)
        for table in ("card", "plastic"):
            query = f"UPDATE {table} SET bank = 'ABC', factory = 'F-ABC' WHERE card_ref = ANY (%s)"
            connection.execute(query, (refs[4:],))
        set_business_day(connection, on(60))
    line = Wire(stack, url)
    try:
        yield line, url, refs
    finally:
        line.close()


def count_facts(url: str, *refs: UUID) -> int:
    """How many facts the ledger holds of these cards, by default of all."""
    with connect(url) as connection:
        query = "SELECT count(*) FROM fact WHERE card_ref = ANY (%s) OR %s"
        row = connection.execute(query, (list(refs), not refs)).fetchone()
    return int(row[0]) if row else 0


def made(factory: str, ref: UUID, again: int = 0) -> dict[str, Any]:
    """A factory's report of one plastic."""
    return wire_value(factory, f"made {ref} {again}", [item("MADE", ref, 2)])


def another_client(credentials: Credentials, **options: Any) -> Producer:
    """A producer of another library, as partners have."""
    return Producer(librdkafka_options(credentials) | {"message.timeout.ms": 8000, "log_level": 0} | options)
