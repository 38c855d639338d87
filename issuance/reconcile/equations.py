"""The closing equations as data: a left side from one record, a classification on the right from others.

Each side is a query for one cohort with columns (entity, bucket, partner); an entity is the text that an operator sees
when it differs. An equation holds when both sides name the same entities, each once, and no bucket marked as open is
filled. An entity belongs to one partner, who is responsible for it; so the partners' parts add up to the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from issuance.ledger.connection import Connection
from issuance.ledger.queries import one
from issuance.reconcile.activation import LATEST, active_at
from issuance.words.collection import keeper
from issuance.words.lifecycle import CARD_STATES, PLASTIC_STATES

MISSING = "missing from the statement"


@dataclass(frozen=True)
class Equation:
    """One equation: its unit, both sides, its buckets in order, and those that must be empty."""

    name: str
    unit: str
    left: str
    right: str
    buckets: tuple[str, ...]
    open_buckets: frozenset[str] = frozenset()
    answers: tuple[str, ...] = ()
    """Kinds of the partners among whom its entities are divided; none: the rows are the submitter's."""
    beside: str = ""
    """A third query: entities that are no part of the left side, shown in a bucket beside those of the right."""


@dataclass(frozen=True)
class Balance:
    """An evaluated equation: the counts, and the entities for which the sides differ or that are in an open bucket."""

    equation: Equation
    left: int
    buckets: dict[str, int]
    differing: list[str]
    beside: dict[str, int] = field(default_factory=dict)

    @property
    def right(self) -> int:
        """The sum of the buckets."""
        return sum(self.buckets.values())

    @property
    def holds(self) -> bool:
        """Both sides equal, entity by entity, and nothing in an open bucket."""
        return not self.differing and self.left == self.right

    def as_dict(self) -> dict[str, Any]:
        """The contract's JSON."""
        return {
            "name": self.equation.name,
            "unit": self.equation.unit,
            "left": self.left,
            "right": self.right,
            "buckets": self.buckets | self.beside,
            "holds": self.holds,
            "differing": self.differing[:100],
        }


def _bucket_case(column: str, pairs: Iterable[tuple[str, str]]) -> str:
    whens = " ".join(f"WHEN '{state}' THEN '{bucket}'" for state, bucket in pairs)
    return f"CASE {column} {whens} END"


ORDER_BUCKET = _bucket_case("c.state", ((name, state.order) for name, state in CARD_STATES.items()))
ORDER_BUCKETS = (
    "waiting", "held", "in making", "in custody", "collected", "cancelled", "ended uncollected", "withdrawn",
)  # fmt: skip
MAKING_BUCKET = _bucket_case("s.state", ((state.name, state.making) for state in PLASTIC_STATES if state.making))
PLASTIC = "card_ref || '/' || attempt"
IN_CONSIGNMENT = "card_ref || '/' || attempt || ' ' || consignment_id"


FACT_STANDS = "NOT f.corrects AND fact_key(f) NOT IN (SELECT fact FROM annulled_fact)"
"""A fact of the journal (f) that not every reporter of it has annulled."""

OF_COHORT = "JOIN card c USING (card_ref) LEFT JOIN plastic p USING (card_ref, attempt) WHERE c.cohort_no = %(cohort)s"
KEEPER = f"coalesce(carrier_of(consignment_id), {keeper('p.bank', column='c.collection_method')})"
"""Who has a plastic in a consignment (of card c) after its hand-over: the carrier, HRSS or the bank, as planned."""
SENT_BACK = "f.milestone = 'SENT_BACK'"
RECEIVER = "CASE WHEN {back} THEN coalesce(p.factory, p.bank) ELSE " + KEEPER + " END"
"""Who has to acknowledge a hand-over: what is sent back ({back}) goes to the factory's store."""

INTAKE = Equation(
    "intake",
    "row",
    # what the submitter sealed and declared, line by line
    "SELECT p.submission || ' ' || p.file || ':' || line, 'declared', '' FROM part p JOIN submission s"
    " ON (s.cohort_no, s.number) = (p.cohort_no, p.submission) AND s.state = 'ACCEPTED',"
    " unnest(p.lines) AS run, generate_series(lower(run), upper(run) - 1) AS line WHERE p.cohort_no = %(cohort)s",
    "SELECT r.submission || ' ' || r.file || ':' || r.line, r.outcome, '' FROM row_outcome r JOIN submission s"
    " ON (s.cohort_no, s.number) = (r.cohort_no, r.submission) AND s.state = 'ACCEPTED'"
    " WHERE r.cohort_no = %(cohort)s",
    ("accepted", "quarantined", "duplicate"),
)
ORDER = Equation(
    "order",
    "card",
    "SELECT r.card_ref || ' ' || r.file || ':' || r.line, 'accepted', coalesce(c.bank, '') FROM row_outcome r"
    " JOIN submission s ON (s.cohort_no, s.number) = (r.cohort_no, r.submission) AND s.state = 'ACCEPTED'"
    " LEFT JOIN card c USING (card_ref) WHERE r.cohort_no = %(cohort)s AND r.outcome = 'accepted'",
    f"SELECT c.card_ref || ' ' || c.file || ':' || c.line, {ORDER_BUCKET}, c.bank FROM card c"
    " WHERE c.cohort_no = %(cohort)s",
    ORDER_BUCKETS,
    answers=("bank",),
)
JOB = Equation(
    "job",
    "plastic",
    # frozen at release
    "SELECT i.job_id || ' ' || i.card_ref || '/' || i.attempt, 'frozen', j.factory FROM job_item i"
    " JOIN job j USING (job_id) JOIN release USING (cohort_no, wave) WHERE j.cohort_no = %(cohort)s",
    "SELECT s.job_id || ' ' || s.card_ref || '/' || s.attempt, CASE"
    " WHEN s.item_refused IS NOT NULL AND mark_reason(s.item_refused) = 'CANCELLED' THEN 'cancelled in time'"
    " WHEN s.refused IS NOT NULL THEN 'refused' WHEN s.accepted IS NOT NULL THEN 'accepted by the factory'"
    " WHEN s.unproven IS NOT NULL THEN 'waived' ELSE 'unanswered' END, coalesce(s.factory, '') FROM plastic_snapshot s"
    " WHERE s.job_id IN (SELECT job_id FROM job JOIN release USING (cohort_no, wave))",
    ("accepted by the factory", "refused", "cancelled in time", "waived", "unanswered"),
    frozenset({"unanswered"}),
    ("factory",),
)
MAKING = Equation(
    "making",
    "plastic",
    # accepted by the factory, by the journal: an acceptance of its own, or its job's without a refusal of its own
    f"SELECT DISTINCT {PLASTIC}, 'accepted', coalesce(p.factory, '') FROM (SELECT f.card_ref, f.attempt FROM fact f"
    f" WHERE f.milestone = 'ITEM_ACCEPTED' AND {FACT_STANDS} UNION SELECT i.card_ref, i.attempt FROM fact f"
    " JOIN job_item i USING (job_id) WHERE f.milestone = 'JOB_ACCEPTED') a"
    f" {OF_COHORT} AND NOT EXISTS (SELECT FROM fact f"
    f" WHERE (f.card_ref, f.attempt) = (a.card_ref, a.attempt) AND f.milestone = 'ITEM_REFUSED' AND {FACT_STANDS})",
    f"SELECT s.card_ref || '/' || s.attempt, CASE WHEN s.spoiled IS NOT NULL THEN 'spoiled'"
    " WHEN s.destroyed IS NOT NULL AND s.c_id IS NULL THEN 'destroyed before hand-over'"
    " WHEN s.ss_cancelled IS NOT NULL AND s.c_id IS NULL THEN 'cancelled' WHEN s.c_id IS NOT NULL THEN 'handed over'"
    f" ELSE {MAKING_BUCKET} END, coalesce(s.factory, '') FROM plastic_snapshot s WHERE s.accepted IS NOT NULL",
    ("in production", "handed over", "spoiled", "destroyed before hand-over", "cancelled", "waived"),
    answers=("factory",),
)
HAND_OVER = Equation(
    "hand-over",
    "plastic in a consignment",
    # what givers listed, by the journal; their signed counts are matched by the break HANDOVER_COUNT
    f"SELECT {IN_CONSIGNMENT}, 'given', min({RECEIVER.format(back=SENT_BACK)}) FROM fact f {OF_COHORT}"
    f" AND f.subject = 'plastic_in_consignment' AND f.milestone IN ('HANDED_OVER', 'SENT_BACK')"
    f" AND {FACT_STANDS} GROUP BY 1",
    f"SELECT {IN_CONSIGNMENT},"
    " CASE WHEN a.received_at_place IS NOT NULL OR a.posted IS NOT NULL OR a.delivered IS NOT NULL"
    " THEN 'acknowledged by the receiver' WHEN EXISTS (SELECT FROM plastic_snapshot s WHERE (s.card_ref, s.attempt) ="
    " (a.card_ref, a.attempt) AND s.unproven IS NOT NULL) THEN 'waived'"
    " WHEN EXISTS (SELECT FROM break b WHERE b.kind = 'HANDOVER_COUNT'"
    " AND b.reference = a.consignment_id AND b.closed_on IS NULL) THEN 'missing' ELSE 'on the way' END,"
    f" {RECEIVER.format(back='a.sent_back IS NOT NULL')} FROM letter_news a"
    f" {OF_COHORT} AND (a.handed_over IS NOT NULL OR a.sent_back IS NOT NULL)",
    ("acknowledged by the receiver", "on the way", "waived", "missing"),
    frozenset({"missing"}),
    ("bank", "hrss", "carrier", "factory"),
)
COLLECTION = Equation(
    "collection",
    "plastic in a consignment",
    # what receivers signed for (mail: what was posted), by the journal
    f"SELECT DISTINCT {IN_CONSIGNMENT}, 'received', {KEEPER} FROM"
    " (SELECT f.card_ref, f.attempt, f.consignment_id FROM fact f"
    f" WHERE f.milestone = 'RECEIVED_AT_PLACE' AND {FACT_STANDS} UNION SELECT a.card_ref, a.attempt, a.consignment_id"
    f" FROM fact f JOIN plastic_in_consignment a USING (consignment_id) WHERE f.milestone = 'POSTED'"
    f" AND coalesce(same_use(f.mark, a.handed_over), true) AND {FACT_STANDS}) r"
    f" {OF_COHORT}",
    f"SELECT {IN_CONSIGNMENT}, CASE"
    " WHEN s.c_id <> a.consignment_id THEN CASE WHEN a.returned IS NOT NULL THEN 'returned' ELSE 'handed on' END"
    " WHEN s.taken IS NOT NULL THEN 'collected' WHEN s.destroyed IS NOT NULL THEN 'destroyed'"
    " WHEN s.refused_by_holder IS NOT NULL THEN 'refused by holder' WHEN a.lost IS NOT NULL THEN 'lost'"
    " WHEN a.returned IS NOT NULL THEN 'returned' WHEN a.sent_back IS NOT NULL THEN 'sent back' ELSE 'waiting' END,"
    f" {KEEPER} FROM letter_news a"
    f" LEFT JOIN plastic_snapshot s USING (card_ref, attempt) {OF_COHORT}"
    " AND (a.received_at_place IS NOT NULL OR a.posted IS NOT NULL)",
    (
        "collected",
        "waiting",
        "handed on",
        "sent back",
        "refused by holder",
        "returned",
        "lost",
        "destroyed",
    ),
    answers=("bank", "hrss", "carrier"),
)


LISTED = f"""
CREATE TEMP TABLE listed ON COMMIT DROP AS
SELECT l.partner, l.function, l.statement_id, l.as_of, i.card_ref, i.attempt
FROM ({LATEST}) l JOIN statement_chunk k USING (partner, statement_id, revision)
CROSS JOIN LATERAL unnest(k.cards, k.attempts) AS i (card_ref, attempt)
JOIN card c USING (card_ref) WHERE c.cohort_no = %(cohort)s
"""


def list_stated(connection: Connection, cohort_no: int) -> None:
    """Make the table `listed`: what the latest complete statements list of a cohort, the left of activation."""
    connection.execute("DROP TABLE IF EXISTS listed")
    connection.execute(LISTED, {"cohort": cohort_no})
    connection.execute("ANALYZE listed")


def activation(function: str) -> Equation:
    """The activation equation of one function: the latest complete statements against the ledger.

    A partner's total is over all cohorts; a cohort's share of it was counted and frozen when the statement completed.
    """
    listed = f"(SELECT * FROM listed WHERE function = '{function}') l"
    share = "coalesce((s.cohorts ->> %(cohort)s::text)::bigint, 0)"
    shares = (
        f"SELECT s.partner || ' ' || s.statement_id || ': ' || count(l.card_ref) || ' of ' || {share} || ' listed'"
        f" AS entity, {share} - count(l.card_ref) AS lacking, s.partner FROM ({LATEST}) s"
        f" LEFT JOIN {listed} USING (partner, statement_id) WHERE s.function = '{function}'"
        " GROUP BY s.partner, s.statement_id, s.cohorts"
    )
    unexplained = (
        "EXISTS (SELECT FROM break b WHERE b.kind = 'STATEMENT_UNKNOWN' AND b.closed_on IS NULL AND b.card_ref ="
        f" l.card_ref AND b.reference = l.partner || '/{function}/' || l.card_ref || '/' || l.attempt)"
    )
    return Equation(
        f"activation ({function})",
        "plastic",
        # what is listed, and how much its share of the total exceeds that
        f"SELECT l.card_ref || '/' || l.attempt, 'listed', l.partner FROM {listed}"
        f" UNION ALL SELECT entity, 'total', partner FROM ({shares}) t, generate_series(1, lacking)",
        f"SELECT l.card_ref || '/' || l.attempt, CASE WHEN {active_at(function)} THEN 'agreed with the ledger'"
        f" WHEN {unexplained} THEN 'unknown to us' ELSE 'pending' END, l.partner FROM {listed}"
        " LEFT JOIN plastic p ON p.card_ref = l.card_ref AND p.attempt = l.attempt"
        f" UNION ALL SELECT entity, NULL, partner FROM ({shares}) t, generate_series(1, -lacking)",
        ("agreed with the ledger", "pending", "unknown to us"),
        frozenset({"unknown to us", MISSING}),
        ("hrss",) if function == "ss" else ("bank",),
        f"SELECT card_ref || '/' || attempt, '{MISSING}', answers_for FROM break"
        " WHERE kind = 'STATEMENT_MISSING' AND closed_on IS NULL AND cohort_no = %(cohort)s"
        f" AND function = '{function}'",
    )


EQUATIONS = (INTAKE, ORDER, JOB, MAKING, HAND_OVER, COLLECTION, activation("ss"), activation("finance"))


PART = " WHERE %(partner)s::text IS NULL OR partner = %(partner)s"


def balance(
    connection: Connection, equation: Equation, cohort_no: int, hrss: str = "", partner: str | None = None
) -> Balance:
    """Evaluate one equation; the tables `plastic_snapshot` and `listed` must hold what is the cohort's.

    With a partner, that partner's part alone (`hrss` is the city's). Differing: entities that one side lacks or has
    twice, that are in no bucket, or in one that must be empty.
    """
    values = {"cohort": cohort_no, "open": list(equation.open_buckets), "hrss": hrss, "partner": partner}
    left, right = (f"({side}) AS s (entity, bucket, partner){PART}" for side in (equation.left, equation.right))
    rows = connection.execute(
        f"WITH l AS (SELECT entity, count(*) AS n FROM {left} GROUP BY entity),"
        f" r AS (SELECT entity, min(bucket) AS bucket, count(*) AS n FROM {right} GROUP BY entity)"
        " SELECT entity, coalesce(l.n, 0), coalesce(r.n, 0), r.bucket FROM l FULL JOIN r USING (entity)"
        " WHERE l.n IS DISTINCT FROM r.n OR r.n > 1 OR r.bucket IS NULL OR r.bucket = ANY (%(open)s) ORDER BY entity",
        values,
    ).fetchall()
    count = one(connection, f"SELECT count(*) FROM {left}", values)[0]
    counts = _count_buckets(connection, right, values)
    buckets = {bucket: counts.pop(bucket, 0) for bucket in equation.buckets} | counts
    beside: dict[str, int] = {}
    differing = [row[0] for row in rows]
    if equation.beside:
        side = f"({equation.beside}) AS s (entity, bucket, partner){PART}"
        beside = {MISSING: 0} | _count_buckets(connection, side, values)
        found = connection.execute(f"SELECT entity FROM {side} ORDER BY 1", values)
        differing += [row[0] for row in found.fetchall()]
    return Balance(equation, count, buckets, differing, beside)


def _count_buckets(connection: Connection, side: str, values: dict[str, Any]) -> dict[str, int]:
    rows = connection.execute(f"SELECT coalesce(bucket, 'none'), count(*) FROM {side} GROUP BY 1", values).fetchall()
    return {str(bucket): int(count) for bucket, count in rows}
