"""Brakes: what does harm when done in numbers waits for a person when too much of it falls due at once (principle 2).

A brake is set for a kind (lifecycle.BRAKES), a city and, for letters, a carrier. While it stands, nothing of its kind
is decided; a person lets it go on, or keeps it for the day and is asked again on the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from issuance.errors import Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day
from issuance.ledger.queries import one, rows_of
from issuance.words.lifecycle import BRAKES, in_states

FEW = 20
"""Below so many nothing is braked."""


def no_brake(kind: str, carrier: str = "''") -> str:
    """SQL: whether no brake of a kind stands in %(city)s (and for a carrier), nor was kept on %(day)s."""
    return (
        f"NOT EXISTS (SELECT FROM brake b WHERE b.kind = '{kind}' AND b.city = %(city)s AND b.carrier = {carrier}"
        " AND (b.decided_on IS NULL OR NOT b.goes_on AND b.decided_on = %(day)s))"
    )


OF_STATES = (
    "SELECT coalesce(sum(t.cards), 0)::int FROM tally t JOIN cohort o USING (cohort_no)"
    " WHERE o.city = %(city)s AND {in_states}"
)
NOT_TAKEN = OF_STATES.format(in_states=in_states("t.state", "due_runs", "in_custody"))
KEPT = OF_STATES.format(in_states=in_states("t.state", "kept"))
LOOKS = {
    # kind: SELECT of (carrier, due, of) for what falls due by the end of the day
    "EXPIRY": f"""
        SELECT '', count(*)::int, ({KEPT}) FROM card c JOIN cohort o USING (cohort_no)
        WHERE o.city = %(city)s AND c.next_due <= %(day)s AND {in_states("c.state", "kept")}
          AND shanghai_day(c.since) + %(keep_days)s <= %(day)s""",
    "LOSS": """
        SELECT carrier, count(*) FILTER (WHERE late)::int, count(*)::int FROM (
            SELECT DISTINCT ON (c.card_ref) carrier_of(l.consignment_id) AS carrier, shanghai_day(mark_at(greatest(
                l.handed_over, l.posted, l.in_transit, l.out_for_delivery, l.at_pickup_point, l.delivery_failed)))
                + %(lost_after_days)s <= %(day)s AS late
            FROM card c JOIN cohort o USING (cohort_no)
            JOIN letter_news l ON (l.card_ref, l.attempt) = (c.card_ref, c.effective)
            WHERE o.city = %(city)s AND c.state = 'POSTED' AND EXISTS (
                SELECT FROM card d JOIN cohort q USING (cohort_no)
                WHERE q.city = %(city)s AND d.state = 'POSTED' AND d.next_due <= %(day)s)
            ORDER BY c.card_ref, l.handed_over DESC NULLS LAST) letters
        WHERE carrier IS NOT NULL GROUP BY 1""",
}


def look_ahead(connection: Connection, values: Mapping[str, Any]) -> None:
    """In the first pass of a business day set the brakes of what time alone brings: expiry and presumed losses."""
    is_first = connection.execute(
        "INSERT INTO brake_look AS b VALUES (%(city)s, %(day)s) ON CONFLICT (city) DO UPDATE SET day = excluded.day"
        " WHERE b.day < excluded.day",
        values,
    ).rowcount
    if is_first:
        for kind, query in LOOKS.items():
            for carrier, due, of in connection.execute(query, values).fetchall():
                _judge(connection, kind, carrier, (due, of), values)


def set_brake(connection: Connection, kind: str, values: Mapping[str, Any]) -> bool:
    """Whether a brake stands over what is in the table `begins`: with what was begun today it may be past the share.

    Presumed losses have a brake of their own.
    """
    (due,) = one(connection, "SELECT count(*)::int FROM begins WHERE ground <> 'PRESUMED_LOST'")
    if not due:
        return False
    (standing,) = one(connection, f"SELECT NOT ({no_brake(kind)})", values)
    if not standing and not _let_go(connection, kind, "", values):
        (begun,) = one(
            connection,
            "SELECT count(*)::int FROM remake r JOIN card USING (card_ref) JOIN cohort o USING (cohort_no)"
            " WHERE r.begun_on = %(day)s AND r.decided_by = 'policy' AND r.ground <> 'PRESUMED_LOST'"
            " AND o.city = %(city)s",
            values,
        )
        (of,) = one(connection, NOT_TAKEN, values)
        standing = _judge(connection, kind, "", (begun + due, of), values)
    return bool(standing)


def _let_go(connection: Connection, kind: str, carrier: str, values: Mapping[str, Any]) -> bool:
    """Whether a person has let what fell due today go on."""
    return bool(
        connection.execute(
            "SELECT FROM brake WHERE (kind, city, carrier, decided_on) = (%(kind)s, %(city)s, %(carrier)s, %(day)s)"
            " AND goes_on LIMIT 1",
            {**values, "kind": kind, "carrier": carrier},
        ).rowcount
    )


def _judge(connection: Connection, kind: str, carrier: str, share: tuple[int, int], values: Mapping[str, Any]) -> bool:
    """Set a brake, or bring the figures of the one that stands up to date; returns whether one stands."""
    due, of = share
    if due < FEW or due <= of * values["brake_ratio"][kind]:
        connection.execute(
            "DELETE FROM brake WHERE (kind, city, carrier) = (%s, %s, %s) AND decided_on IS NULL",
            (kind, values["city"], carrier),
        )
        return False
    connection.execute(
        "INSERT INTO brake (kind, city, carrier, set_on, due, of) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (kind, city, carrier) WHERE decided_on IS NULL DO UPDATE SET due = excluded.due,"
        " of = excluded.of",
        (kind, values["city"], carrier, values["day"], due, of),
    )
    return True


def list_brakes(connection: Connection) -> list[dict[str, Any]]:
    """Every brake, those that wait for a person first."""
    rows = rows_of(
        connection,
        "SELECT brake_no, kind, city, carrier, set_on, due, of, decided_on, goes_on,"
        " user_name(decided_by) AS decided_by, note FROM brake ORDER BY decided_on IS NOT NULL, brake_no DESC",
    )
    return [row | {"what": " / ".join(BRAKES[row["kind"]])} for row in rows]


def decide_brake(connection: Connection, brake_no: int, goes_on: bool, note: str, user: str) -> dict[str, Any]:
    """Let go on what a brake holds, or keep it for this day. Locks the brake.

    Raises:
        Refused: no such brake, it is decided, or no note.
    """
    require_note(note)
    day = business_day(connection)
    row = connection.execute(
        "UPDATE brake SET decided_on = %s, goes_on = %s, decided_by = %s, note = %s WHERE brake_no = %s"
        " AND decided_on IS NULL RETURNING kind, city, carrier, due",
        (day, goes_on, user, note, brake_no),
    ).fetchone()
    if row is None:
        raise Refused("BRAKE_DECIDED", f"没有待决定的刹车 {brake_no}。 / no brake {brake_no} waits for a decision.")
    kind, city, carrier, due = row
    if goes_on:
        connection.execute(
            "INSERT INTO changed_card SELECT card_ref FROM card JOIN cohort USING (cohort_no) WHERE city = %s AND"
            f" (%s = 'REMAKE' AND {in_states('card.state', 'due_runs', 'in_custody')} OR next_due <= %s)",
            (city, kind, day + timedelta(days=1)),
        )
    audit(connection, user, "decide brake", str(brake_no), day, {"kind": kind, "goes_on": goes_on, "note": note})
    return {"brake_no": brake_no, "kind": kind, "city": city, "carrier": carrier, "due": due, "goes_on": goes_on}
