"""Numbers that the ledger stores although they follow from other rows, each checked against a fresh count."""

from __future__ import annotations

from collections.abc import Iterator

from issuance.ledger.connection import Connection

LISTED = """
SELECT k.partner, k.statement_id, k.revision, coalesce(c.cohort_no, 0) AS cohort_no, count(*) AS n
FROM statement_chunk k CROSS JOIN LATERAL unnest(k.cards) AS i (card_ref) LEFT JOIN card c ON c.card_ref = i.card_ref
GROUP BY 1, 2, 3, 4
"""
NEWEST = """
SELECT DISTINCT ON (break_id) break_id, event, business_day FROM break_event WHERE event NOT IN ('ASSIGNED', 'CHANGED')
ORDER BY break_id, event_no DESC
"""
ARRIVED = """
SELECT count(*) FILTER (WHERE NOT corrects) AS milestone, count(*) FILTER (WHERE corrects) AS correction FROM (
    SELECT DISTINCT r.partner, f.corrects, f.milestone, f.card_ref, f.attempt, f.job_id, f.consignment_id, f.mark
    FROM fact f JOIN report r USING (report_no)
    WHERE f.arrived_on = d.business_day AND f.report_no <= (d.figures ->> 'through_report')::bigint) a
"""
TURNED = """
SELECT count(*) FILTER (WHERE event = 'OPENED') AS opened, count(*) FILTER (WHERE event = 'REOPENED') AS reopened,
       count(*) FILTER (WHERE event = 'CLOSED') AS closed, count(*) FILTER (WHERE event = 'RESOLVED') AS resolved
FROM break_event e WHERE e.business_day = d.business_day AND e.event_no <= (d.figures ->> 'through_event')::bigint
"""

PROOFS: dict[str, str] = {
    # number: SQL of (subject, what is kept, what is counted), a row for each that differs
    "tally": """
        SELECT 'of cohort ' || cohort_no || ' ' || state, coalesce(t.cards, 0), coalesce(c.cards, 0)
        FROM tally t FULL JOIN (SELECT cohort_no, state, count(*) AS cards FROM card GROUP BY 1, 2) c
        USING (cohort_no, state) WHERE coalesce(t.cards, 0) <> coalesce(c.cards, 0)""",
    "total of statement": """
        SELECT s.partner || ' ' || s.statement_id || ' revision ' || s.revision, s.total,
               coalesce(sum(cardinality(k.cards)), 0)
        FROM statement s LEFT JOIN statement_chunk k USING (partner, statement_id, revision)
        GROUP BY s.partner, s.statement_id, s.revision, s.total
        HAVING s.total <> coalesce(sum(cardinality(k.cards)), 0)""",
    "share of cohort": f"""
        SELECT cohort_no || ' in statement ' || partner || ' ' || statement_id || ' revision ' || revision,
               coalesce(k.n, 0), coalesce(l.n, 0)
        FROM (SELECT s.partner, s.statement_id, s.revision, e.key::int AS cohort_no, e.value::bigint AS n
              FROM statement s CROSS JOIN LATERAL jsonb_each_text(s.cohorts) e) k
        FULL JOIN (SELECT l.* FROM ({LISTED}) l JOIN statement USING (partner, statement_id, revision)) l
        USING (partner, statement_id, revision, cohort_no) WHERE coalesce(k.n, 0) <> coalesce(l.n, 0)""",
    "chunks of statement": """
        SELECT s.partner || ' ' || s.statement_id || ' revision ' || s.revision, coalesce(max(k.chunks), 0),
               count(k.chunk)
        FROM statement s LEFT JOIN statement_chunk k USING (partner, statement_id, revision)
        GROUP BY s.partner, s.statement_id, s.revision
        HAVING count(k.chunk) = 0 OR count(k.chunk) <> max(k.chunks)""",
    "last attempt of card": """
        SELECT c.card_ref::text, c.last_attempt, coalesce(max(p.attempt), 0)
        FROM card c LEFT JOIN plastic p USING (card_ref) GROUP BY c.card_ref, c.last_attempt
        HAVING c.last_attempt <> coalesce(max(p.attempt), 0)""",
    "cards of job": """
        SELECT j.job_id, j.card_count, count(i.card_ref) FROM job j LEFT JOIN job_item i USING (job_id)
        GROUP BY j.job_id, j.card_count HAVING j.card_count <> count(i.card_ref)""",
    "hash total of job": """
        SELECT j.job_id, j.hash_total, hash_total(array_agg(i.card_ref)) FROM job j JOIN job_item i USING (job_id)
        GROUP BY j.job_id, j.hash_total HAVING j.hash_total <> hash_total(array_agg(i.card_ref))""",
    "rows of part": """
        SELECT cohort_no || '.' || submission || '.' || part, rows,
               (SELECT coalesce(sum(upper(run) - lower(run)), 0) FROM unnest(lines) run)
        FROM part WHERE rows <> (SELECT coalesce(sum(upper(run) - lower(run)), 0) FROM unnest(lines) run)""",
    "refused items of report": """
        SELECT r.partner || ' ' || r.report_id, r.refused, count(x.item)
        FROM report r LEFT JOIN refused_item x USING (partner, report_id)
        GROUP BY r.report_no HAVING r.refused <> count(x.item)""",
    "items of report": """
        SELECT r.partner || ' ' || r.report_id, r.items, r.refused + coalesce(f.n, 0)
        FROM report r LEFT JOIN (SELECT report_no, count(*) AS n FROM (SELECT report_no FROM fact
            UNION ALL SELECT report_no FROM waiting_item) taken GROUP BY 1) f USING (report_no)
        WHERE r.items <> r.refused + coalesce(f.n, 0)""",
    "state of break": f"""
        SELECT b.break_id::text, CASE WHEN b.closed_on IS NULL THEN 'open since ' || b.opened_on
                                      ELSE 'closed on ' || b.closed_on END,
               CASE WHEN e.event IN ('CLOSED', 'RESOLVED') THEN 'closed on ' ELSE 'open since ' END || e.business_day
        FROM break b LEFT JOIN ({NEWEST}) e USING (break_id)
        WHERE (b.closed_on IS NULL, coalesce(b.closed_on, b.opened_on))
              IS DISTINCT FROM (e.event NOT IN ('CLOSED', 'RESOLVED'), e.business_day)""",
    "closing day of cohort": """
        SELECT cohort_id, state, coalesce('closed on ' || closed_on, 'no closing day') FROM cohort
        WHERE (state = 'CLOSED') <> (closed_on IS NOT NULL)""",
    "figures of daily report": f"""
        SELECT d.business_day || ' ' || e.key, e.value, c.value
        FROM daily_report d CROSS JOIN LATERAL ({ARRIVED}) f CROSS JOIN LATERAL ({TURNED}) t
        CROSS JOIN LATERAL jsonb_each_text(to_jsonb(f) || to_jsonb(t)) c
        JOIN LATERAL jsonb_each_text(d.figures) e USING (key) WHERE e.value <> c.value""",
}


def wrong_numbers(connection: Connection) -> Iterator[str]:
    """The stored numbers that differ from their counts."""
    for name, query in PROOFS.items():
        for subject, kept, counted in connection.execute(f"{query} ORDER BY 1").fetchall():
            yield f"{name} {subject}: {kept}, counted {counted}"
