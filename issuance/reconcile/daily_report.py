"""The daily report: made once for each whole day, as CSV and Parquet on S3, and announced on cohort-events.

The Parquet file is stored first and the CSV is written from it, so a report interrupted between the two is completed
with the same figures. Stored files are never overwritten.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg.types.json import Jsonb

from issuance.breaks.kinds import BREAK_KINDS
from issuance.city.city import Cities, load_cities
from issuance.city.partners import topic_of
from issuance.clock import instant_on
from issuance.errors import Refused
from issuance.ledger.audit import audit
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.queries import one, rows_of
from issuance.reconcile.daily_measures import Measure, measure_day
from issuance.reconcile.equation_words import BUCKET_WORDS
from issuance.settings import Settings
from issuance.vault.objects import ObjectStore
from issuance.wire.outbox import Outgoing, write_outbox
from issuance.words.lifecycle import CARD_STATES, MILESTONES

SCHEMA = pa.schema(
    [
        ("business_day", pa.date32()),
        ("as_of", pa.date32()),
        ("cohort_id", pa.string()),
        ("partner", pa.string()),
        ("measure", pa.string()),
        ("name", pa.string()),
        ("part", pa.string()),
        ("amount", pa.int64()),
        ("holds", pa.bool_()),
    ]
)
HEAD = ("业务日", "截至", "批次", "合作方", "类别", "项目", "项目说明", "分项", "分项说明", "数量", "成立")
MEASURE_WORDS = {
    "state": "状态",
    "milestone": "当日环节",
    "correction": "当日更正",
    "break": "差异",
    "equation": "结清等式",
}
TURN_WORDS = {"opened": "新增", "reopened": "重新打开", "closed": "自动关闭", "resolved": "人工关闭", "open": "未决"}
NAME_WORDS = {
    **{name: state.zh for name, state in CARD_STATES.items()},
    **{name: milestone.zh for name, milestone in MILESTONES.items()},
    **{name: kind.zh for name, kind in BREAK_KINDS.items()},
}
EQUATION_NAMES = {
    "intake": "受理",
    "order": "订单",
    "job": "任务",
    "making": "制作",
    "hand-over": "交接",
    "collection": "领取",
    "activation (ss)": "启用（社保）",
    "activation (finance)": "启用（金融）",
}


def make_daily_report(settings: Settings, day: date | None = None, user: str | None = None) -> dict[str, Any]:
    """The report of a day, made unless it exists; by default of the last whole day, and before it those of whole days
    that were missed since the newest report.

    `user` is who ran the command; reports made by Airflow have no user. The report of an earlier day covers what
    arrived and breaks that opened and closed; the states of cards and equations on that day are no longer known.

    Raises:
        Refused: the day is not over.
    """
    cities = load_cities(settings)
    store = ObjectStore.of(settings)
    with transaction(settings.database_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.daily_report'))")
        whole = last_whole_day(connection)
        if day and day > whole:
            raise Refused("DAY_NOT_OVER", f"{day} 尚未结束。 / {day} is not over.")
        for one_day in [] if day else _missed(connection, whole):
            _make(connection, store, cities, one_day, whole, user)
        return _make(connection, store, cities, day or whole, whole, user)


def _missed(connection: Connection, whole: date) -> list[date]:
    """The days between the newest report and the last whole day."""
    (newest,) = one(connection, "SELECT max(business_day) FROM daily_report")
    return [newest + timedelta(days=n) for n in range(1, (whole - newest).days)] if newest else []


def _make(
    connection: Connection, store: ObjectStore, cities: Cities, day: date, whole: date, user: str | None
) -> dict[str, Any]:
    if made := read_daily_report(connection, day):
        return made
    measures = list(measure_day(connection, cities, day, now_too=day == whole))
    made = _store(connection, store, day, measures)
    write_outbox(connection, _messages(made), business_day(connection))
    if user:
        audit(connection, user, "daily report", day.isoformat(), business_day(connection))
    return made


def last_whole_day(connection: Connection) -> date:
    """The last day that is over: yesterday; in stepped time, which is always at a day's end, that day."""
    stepped = connection.execute("SELECT day FROM business_clock").fetchone()
    day: date = stepped[0] if stepped else business_day(connection) - timedelta(days=1)
    return day


def read_daily_report(connection: Connection, day: date) -> dict[str, Any] | None:
    """The stored report of a day."""
    rows = rows_of(connection, "SELECT * FROM daily_report WHERE business_day = %s", (day,))
    return rows[0] if rows else None


def _store(connection: Connection, store: ObjectStore, day: date, measures: Sequence[Measure]) -> dict[str, Any]:
    """Store both files unless they exist, and the report's row."""
    key = f"reports/daily/{day}"
    parquet = store.put_if_absent(f"{key}.parquet", write_parquet(measures))
    stored = read_parquet(parquet)
    text = store.put_if_absent(f"{key}.csv", write_csv(stored))
    report_no, event_no = one(
        connection,
        "SELECT coalesce((SELECT max(report_no) FROM report), 0), coalesce((SELECT max(event_no) FROM break_event), 0)",
    )
    row = {
        "business_day": day,
        "made_on": business_day(connection),
        "csv_object": f"{key}.csv",
        "csv_sha256": hashlib.sha256(text).hexdigest(),
        "parquet_object": f"{key}.parquet",
        "parquet_sha256": hashlib.sha256(parquet).hexdigest(),
        "figures": figures_of(stored) | {"through_report": report_no, "through_event": event_no},
    }
    connection.execute(
        f"INSERT INTO daily_report ({', '.join(row)}) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (*list(row.values())[:-1], Jsonb(row["figures"])),
    )
    return row


def figures_of(measures: Iterable[Measure]) -> dict[str, int]:
    """The sums that can be counted again: milestones, corrections and breaks that turned on the day."""
    sums = dict.fromkeys(("rows", "milestone", "correction", "opened", "reopened", "closed", "resolved"), 0)
    for measure in measures:
        sums["rows"] += 1
        if (name := measure.part if measure.measure == "break" else measure.measure) in sums:
            sums[name] += measure.amount
    return sums


def write_parquet(measures: Sequence[Measure]) -> bytes:
    """The measures as a Parquet file."""
    columns = list(zip(*measures, strict=True)) or [()] * len(SCHEMA)
    table = pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def read_parquet(content: bytes) -> list[Measure]:
    """The measures of a Parquet file."""
    return [Measure(**row) for row in pq.read_table(io.BytesIO(content)).to_pylist()]


def write_csv(measures: Iterable[Measure]) -> bytes:
    """The measures as people open them: UTF-8 with BOM, Chinese headers and words beside the codes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEAD)
    writer.writerows(_csv_row(measure) for measure in measures)
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8")


def _csv_row(m: Measure) -> tuple[Any, ...]:
    equation = m.measure == "equation"
    name = EQUATION_NAMES[m.name] if equation else NAME_WORDS[m.name]
    part = BUCKET_WORDS[m.part] if equation else TURN_WORDS.get(m.part, "")
    holds = {True: "是", False: "否", None: ""}[m.holds]
    measure = MEASURE_WORDS[m.measure]
    return m.business_day, m.as_of, m.cohort_id, m.partner, measure, m.name, name, m.part, part, m.amount, holds


def _messages(made: dict[str, Any]) -> list[Outgoing]:
    """One message a file."""
    day: date = made["business_day"]
    return [
        Outgoing(
            f"daily-report/{day}/{kind}",
            topic_of("cohort-events"),
            "daily-report",
            "cohort_event",
            {
                "cohort_id": "",
                "event": "DAILY_REPORT",
                "submission": None,
                "wave": None,
                "occurred_at": instant_on(day, 0),
                "details": json.dumps({"format": kind, "figures": made["figures"]}),
                "object": made[f"{kind}_object"],
                "sha256": made[f"{kind}_sha256"],
                "business_day": day,
            },
        )
        for kind in ("csv", "parquet")
    ]
