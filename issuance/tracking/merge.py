"""Merging reports: one transaction takes a poll of reports into the ledger (principle 6).

Inbox, staging by binary COPY, relation checks, journal, fold, changed cards, answers. Nothing is decided here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from issuance.city.partners import Registry
from issuance.clock import instant_of
from issuance.ledger.connection import Connection
from issuance.tracking.feeds import note_feeds
from issuance.tracking.fold import fold_staged
from issuance.tracking.reports import ItemRefusal, Kind, Reporter, StagedFact, check_items
from issuance.tracking.staging import stage
from issuance.wire.bounds import mail_days
from issuance.wire.outbox import Outgoing
from issuance.wire.partner_notices import partner_notice
from issuance.words.lifecycle import Subject
from issuance.words.references import is_mail_item


@dataclass(frozen=True)
class SoundReport:
    """A report whose structure holds, with where it came from and the hash of its body."""

    value: dict[str, Any]
    reporter: Reporter
    sha256: bytes
    topic: str
    partition: int
    offset: int


@dataclass
class Merged:
    """What a merge did: item refusals by report, and the answers to send."""

    refused: dict[int, list[ItemRefusal]] = field(default_factory=lambda: defaultdict(list))
    answers: list[Outgoing] = field(default_factory=list)


def merge_reports(
    connection: Connection, reports: Sequence[SoundReport], registry: Registry, now: int, day: date
) -> Merged:
    """Merge reports that are new to the inbox; the caller has refused repeats and commits. `now` is business time in
    UTC milliseconds.

    Every report is answered with APPLIED, and ITEM_REFUSED where items were refused.
    """
    merged = Merged()
    facts: list[StagedFact] = []
    for position, report in enumerate(reports):
        found, refused = check_items(report.value, position, report.reporter, now)
        facts.extend(found)
        _note_refused(merged, refused)
    kinds = stage(connection, facts)
    _note_refused(merged, refuse_unrelated(connection, registry, day, kinds))
    numbers = insert_reports(connection, reports, merged)
    if any(kind.attempt == 0 for kind in kinds):
        set_aside(connection, numbers, day)
    take_staged(connection, numbers, kinds, day)
    insert_refused_items(connection, reports, merged, day)
    merged.answers.extend(_answers(reports, merged))
    return merged


def take_staged(connection: Connection, numbers: Sequence[int], kinds: Sequence[Kind], day: date) -> None:
    """Take the facts of the table `staged`, of these kinds and of the reports of these numbers, into the ledger."""
    journal_staged(connection, numbers, day)
    fold_staged(connection, {kind.milestone for kind in kinds})
    if any(kind.subject == "mail" for kind in kinds):
        note_feeds(connection)
    note_used_again(connection, kinds)
    mark_changed(connection, {kind.subject for kind in kinds})


ANY_TIME = ["OLD_CARD_LAPSED", "OLD_CARD_USED", "ECARD_SIGNED"]
"""Milestones that may lie before the order: those of the old card, and of a card that has no plastic."""


def _refuse(about: str, source: str, cases: str, opens: str) -> str:
    """Remove the facts `about` some subjects that one of the `cases` refuses, or that lie before their window."""
    return f"""
        DELETE FROM staged USING (
            SELECT s.ctid AS row, CASE {cases}
                WHEN NOT s.milestone = ANY (%(any_time)s)
                    AND mark_ms(s.mark) < begin_ms(coalesce({opens} - 1, %(eldest)s)) THEN 'BEFORE_ORDER'
                END AS code
            FROM staged s {source} WHERE s.subject {about}
        ) checked WHERE staged.ctid = checked.row AND checked.code IS NOT NULL
        RETURNING staged.report, staged.item, checked.code
        """


REFUSE_PLASTICS = _refuse(
    "IN ('plastic', 'plastic_in_consignment')",
    "LEFT JOIN plastic p ON p.card_ref = s.card_ref AND p.attempt = s.attempt"
    " LEFT JOIN sealed_job f ON f.job_id = p.job_id",
    """
    WHEN p.card_ref IS NULL AND s.attempt > 0 THEN 'PLASTIC_UNKNOWN'
    WHEN CASE s.relation
        WHEN 'factory_of_job' THEN p.factory IS DISTINCT FROM s.partner
        WHEN 'bank_of_plastic' THEN p.bank <> s.partner
        WHEN 'hrss_of_city' THEN s.partner <> %(hrss)s
        ELSE false END THEN 'NO_RELATION'
    """,
    "CASE WHEN s.attempt = 0 THEN (SELECT c.applied_on FROM card c WHERE c.card_ref = s.card_ref) ELSE f.sealed_on END",
)
REFUSE_JOBS = _refuse(
    "= 'job'",
    "LEFT JOIN (job j JOIN sealed_job f USING (job_id)) ON j.job_id = s.job_id",
    """
    WHEN f.job_id IS NULL THEN 'JOB_UNKNOWN'
    WHEN j.factory <> s.partner THEN 'NO_RELATION'
    WHEN s.milestone = 'JOB_RECEIVED'
        AND (mark_content(s.mark) ->> 'card_count')::int <> j.card_count THEN 'COUNT_DIFFERS'
    WHEN s.milestone = 'JOB_RECEIVED' AND (mark_content(s.mark) ->> 'hash_total' <> j.hash_total
        OR mark_content(s.mark) ->> 'sha256' <> f.sha256) THEN 'HASH_DIFFERS'
    """,
    "f.sealed_on",
)
REFUSE_MAIL = _refuse(
    "= 'mail'",
    "",
    "",
    "(SELECT min(h.sealed_on) FROM plastic_in_consignment x JOIN plastic q USING (card_ref, attempt)"
    " JOIN sealed_job h ON h.job_id = q.job_id WHERE x.consignment_id = s.consignment_id)",
)
REFUSE: tuple[tuple[Set[Subject], str], ...] = (
    ({"plastic", "plastic_in_consignment"}, REFUSE_PLASTICS),
    ({"job"}, REFUSE_JOBS),
    ({"mail"}, REFUSE_MAIL),
)


def refuse_unrelated(connection: Connection, registry: Registry, day: date, kinds: Sequence[Kind]) -> list[ItemRefusal]:
    """Remove from `staged`, which holds facts of these kinds, those about unknown plastics or jobs, those to which the
    partner has no relation, and those before their window (contract: Bounds).

    Attempt 0 is made at an outlet without an order: its plastic exists from its first fact on, of a known card; those
    of a card that is not known yet stay in `staged`.
    """
    if any(kind.attempt == 0 for kind in kinds):
        connection.execute(
            "INSERT INTO plastic (card_ref, attempt, bank) SELECT DISTINCT c.card_ref, 0, c.bank FROM staged s"
            " JOIN card c USING (card_ref) WHERE s.attempt = 0 ORDER BY c.card_ref ON CONFLICT DO NOTHING"
        )
    connection.execute("SET LOCAL enable_hashjoin = off")
    connection.execute("SET LOCAL enable_mergejoin = off")
    values = {"hrss": registry.hrss, "any_time": ANY_TIME, "eldest": day - timedelta(days=mail_days())}
    subjects = {kind.subject for kind in kinds}
    statements = [statement for about, statement in REFUSE if about & subjects]
    return [ItemRefusal(*row) for statement in statements for row in connection.execute(statement, values).fetchall()]


def insert_reports(connection: Connection, reports: Sequence[SoundReport], merged: Merged) -> list[int]:
    """Write the inbox; returns each report's number, in the order given."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO report (partner, report_id, sha256, topic, topic_partition, topic_offset, items, refused)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING report_no",
            [
                (r.reporter.id, r.value["report_id"], r.sha256, r.topic, r.partition, r.offset,
                 len(r.value["items"]), len(merged.refused[n]))
                for n, r in enumerate(reports)
            ],
            returning=True,
        )  # fmt: skip
        return [row[0] for result in cursor.results() for row in result.fetchall()]


def set_aside(connection: Connection, numbers: Sequence[int], day: date) -> None:
    """Move facts of attempt 0 whose card is not known yet from `staged` to where they wait (tracking.waiting_items)."""
    connection.execute(
        "WITH early AS (DELETE FROM staged s WHERE s.attempt = 0"
        " AND NOT EXISTS (SELECT FROM card c WHERE c.card_ref = s.card_ref) RETURNING *)"
        " INSERT INTO waiting_item (report_no, item, partner, relation, subject, card_ref, attempt, consignment_id,"
        " milestone, mark, corrects, arrived_on) SELECT (%s::bigint[])[report + 1], item, partner, relation, subject,"
        " card_ref, attempt, consignment_id, milestone, mark, corrects, %s FROM early",
        (list(numbers), day),
    )


def journal_staged(connection: Connection, numbers: Sequence[int], day: date) -> None:
    """Add the staged facts to the journal; facts are only ever added."""
    connection.execute(
        "INSERT INTO fact (arrived_on, report_no, item, subject, job_id, card_ref, attempt, consignment_id,"
        " milestone, mark, corrects)"
        " SELECT %s, (%s::bigint[])[report + 1], item, subject, job_id, card_ref, attempt, consignment_id,"
        " milestone, mark, corrects FROM staged",
        (day, list(numbers)),
    )


USED_AGAIN = """
SELECT f.consignment_id FROM fact f JOIN ({touched}) touched USING (consignment_id)
WHERE f.subject = 'mail' OR f.milestone = 'HANDED_OVER'
GROUP BY f.consignment_id HAVING NOT same_use(min(f.mark), max(f.mark))
"""
"""Mail items whose facts are more than six months apart; a function of the facts alone, whatever their order."""


def note_used_again(connection: Connection, kinds: Iterable[Kind]) -> None:
    """Mark tracking numbers (in facts of these kinds) that carriers have reused: their facts are told apart by their
    hand-overs."""
    if not any(is_mail_item(kind.consignment_id) for kind in kinds):
        return
    touched = "SELECT DISTINCT consignment_id FROM staged WHERE is_mail_item(consignment_id)"
    connection.execute(
        "INSERT INTO consignment (consignment_id, used_again) SELECT consignment_id, true FROM ("
        + USED_AGAIN.format(touched=touched)
        + ") again ORDER BY 1 ON CONFLICT (consignment_id) DO UPDATE SET used_again = true"
        " WHERE NOT consignment.used_again"
    )


CHANGED = "SELECT card_ref FROM staged WHERE card_ref IS NOT NULL"
CHANGED_BEHIND: dict[Subject, str] = {
    "mail": (
        " UNION SELECT a.card_ref FROM staged s JOIN plastic_in_consignment a USING (consignment_id)"
        " WHERE s.subject = 'mail'"
        " UNION SELECT ca.card_ref FROM staged s"
        " JOIN consignment m ON return_item(m.consignment_id, m.returned) = s.consignment_id"
        " JOIN plastic_in_consignment ca ON ca.consignment_id = m.consignment_id WHERE s.subject = 'mail'"
    ),
    "job": " UNION SELECT i.card_ref FROM staged s JOIN job_item i USING (job_id) WHERE s.subject = 'job'",
}
"""Of facts that name no card: a returned letter travels back under a number of its own, which stands for the same
plastics."""


def mark_changed(connection: Connection, subjects: Set[Subject]) -> None:
    """Mark cards and consignments whose evidence changed, cards behind mail items and jobs too; only inserts, no locks.
    `subjects`: those of the evidence."""
    behind = [query for subject, query in CHANGED_BEHIND.items() if subject in subjects]
    connection.execute(f"INSERT INTO changed_card SELECT DISTINCT card_ref FROM ({CHANGED}{''.join(behind)}) changed")
    connection.execute(
        "INSERT INTO changed_consignment SELECT DISTINCT consignment_id, '-infinity'::date FROM staged"
        " WHERE consignment_id IS NOT NULL"
    )


def insert_refused_items(connection: Connection, reports: Sequence[SoundReport], merged: Merged, day: date) -> None:
    """Record refused items: report, position, code, and the plastic of one to which the partner has no relation."""
    rows = [
        (reports[n].reporter.id, reports[n].value["report_id"], refusal.item, refusal.code, day,
         *_about(reports[n].value["items"][refusal.item], refusal.code))
        for n, refusals in merged.refused.items()
        for refusal in refusals
    ]  # fmt: skip
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO refused_item (partner, report_id, item, code, arrived_on, card_ref, attempt, milestone,"
                f" corrects, reported_at) VALUES ({', '.join(['%s'] * 10)})",
                rows,
            )


def _about(item: dict[str, Any], code: str) -> tuple[Any, ...]:
    """(card_ref, attempt, milestone, corrects, reported_at) of an item that is sound by itself: references only."""
    if code not in ("PLASTIC_UNKNOWN", "NO_RELATION"):
        return (None,) * 5
    return item["card_ref"], item["attempt"], item["milestone"], item["corrects"], instant_of(item["occurred_at"])


def _note_refused(merged: Merged, refusals: Iterable[ItemRefusal]) -> None:
    for refusal in refusals:
        merged.refused[refusal.report].append(refusal)


def _answers(reports: Sequence[SoundReport], merged: Merged) -> Iterable[Outgoing]:
    for position, report in enumerate(reports):
        refusals = sorted(merged.refused[position], key=lambda refusal: refusal.item)
        report_id = report.value["report_id"]
        counts = {"applied": len(report.value["items"]) - len(refusals), "refused": len(refusals)}
        yield partner_notice(report.reporter.id, "APPLIED", report_id, counts)
        if refusals:
            items = [{"index": refusal.item, "code": refusal.code} for refusal in refusals]
            yield partner_notice(report.reporter.id, "ITEM_REFUSED", report_id, {"refusals": items})
