"""Taking cards out of a plan that is not released yet: plans are frozen at release, not before."""

from __future__ import annotations

from issuance.ledger.connection import Connection


def unplan_cards(connection: Connection, leaving: str) -> int:
    """Take the first plastics of the cards of `leaving` (a SELECT of card_ref) out of unreleased plans.

    The cards wait again; counts and hash totals of their jobs are recomputed, and empty jobs are removed.
    Returns how many. Locks the waves before it asks whether they are released.
    """
    unreleased = (
        f"FROM ({leaving}) gone JOIN plastic p USING (card_ref) JOIN job j USING (job_id)"
        " LEFT JOIN release r ON (r.cohort_no, r.wave) = (j.cohort_no, j.wave) WHERE p.attempt = 1 AND r.wave IS NULL"
    )
    locked = connection.execute(
        "SELECT FROM wave w WHERE (cohort_no, wave) IN (SELECT j.cohort_no, j.wave " + unreleased + ")"
        " ORDER BY cohort_no, wave FOR UPDATE"
    )
    if not locked.rowcount:
        return 0
    connection.execute(
        "CREATE TEMP TABLE unplanned ON COMMIT DROP AS SELECT p.card_ref, p.job_id, j.cohort_no, j.wave " + unreleased
    )
    gone = connection.execute(
        "DELETE FROM job_item i USING unplanned u WHERE (i.card_ref, i.attempt) = (u.card_ref, 1)"
    ).rowcount
    connection.execute("DELETE FROM plastic p USING unplanned u WHERE (p.card_ref, p.attempt) = (u.card_ref, 1)")
    connection.execute("UPDATE card c SET last_attempt = 0 FROM unplanned u WHERE c.card_ref = u.card_ref")
    connection.execute(
        "UPDATE job j SET card_count = n.count, hash_total = n.total FROM (SELECT job_id, count(*) AS count,"
        " hash_total(array_agg(card_ref)) AS total FROM job_item WHERE job_id IN (SELECT job_id FROM unplanned)"
        " GROUP BY job_id) n WHERE n.job_id = j.job_id"
    )
    connection.execute(
        "DELETE FROM job j USING unplanned u WHERE j.job_id = u.job_id"
        " AND NOT EXISTS (SELECT FROM job_item i WHERE i.job_id = j.job_id)"
    )
    connection.execute(
        "UPDATE wave w SET plastics = plastics - n.count FROM (SELECT cohort_no, wave, count(*)::int AS count"
        " FROM unplanned GROUP BY 1, 2) n WHERE (w.cohort_no, w.wave) = (n.cohort_no, n.wave)"
    )
    connection.execute("DROP TABLE unplanned")
    return gone
