"""Erasing a closed cohort's personal data on its day: its key first, then what lies on S3, then the hashes.

Each step is idempotent. The erasure is recorded in the ledger before anything is touched; an interrupted one is
completed by the next run, also when the cohort was reopened meanwhile, and certified once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from issuance.city.city import load_city
from issuance.city.partners import Registry, load_registry
from issuance.errors import Retryable
from issuance.intake.duplicates import STATES
from issuance.ledger.audit import audit
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.queries import one
from issuance.retention.certificates import issue_certificate, list_certificates
from issuance.retention.dead_letters import erase_letters
from issuance.retention.due import Retention, list_retention, require_due
from issuance.retention.erase import complete_erasures
from issuance.retention.objects import cohort_objects
from issuance.settings import Settings
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.vault.uploads import forget_uploads

LIVE = STATES["live"]
"""States of a card that rule out a second one."""
UPLOADS_END = timedelta(days=1)
"""A request that began so long ago, by the real clock, is over: its uploads cannot be opened any more."""


def run_retention(settings: Settings, user: str, cohort_ids: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Erase the given cohorts, by default all that are due or begun, and hashes whose card is no longer live.

    What killed requests left of their uploads is deleted, and interrupted erasures of persons are completed first.

    Returns the certificates of this run, and for a given cohort that was erased before, its certificate.

    Raises:
        Refused: a cohort named is not closed, has open breaks, or its day has not come.
    """
    forget_uploads(ObjectStore.of(settings), datetime.now(UTC) - UPLOADS_END)
    with transaction(settings.database_url) as connection:
        due = [cohort.cohort_id for cohort in list_retention(connection, settings) if cohort.status in DUE]
    found = complete_erasures(settings, user)
    found += [erase_cohort(settings, cohort_id, user) for cohort_id in cohort_ids or due]
    with transaction(settings.database_url) as connection:
        return [*found, *_release_hashes(connection, user)]


DUE = ("begun", "due")


def erase_cohort(settings: Settings, cohort_id: str, user: str) -> dict[str, Any]:
    """Erase one cohort; returns its certificate. Idempotent.

    Raises:
        Refused: it is not closed, has open breaks, or its day has not come.
        Retryable: something of it was written to S3 meanwhile.
    """
    store, registry = ObjectStore.of(settings), load_registry(settings.partners_file)
    with transaction(settings.database_url) as connection:
        cohort = require_due(connection, settings, cohort_id)
        if cohort.status == "due":
            _begin(connection, store, registry, cohort, user)
    if cohort.status != "erased":
        KeyService(settings.keys_dir).destroy_cohort_key(cohort_id)
        _erase_objects(settings, store, registry, cohort_id)
        with transaction(settings.database_url) as connection:
            _finish(connection, settings, cohort, user)
    with transaction(settings.database_url) as connection:
        return next(found for found in list_certificates(connection, cohort_id) if found["whole"])


def _begin(connection: Connection, store: ObjectStore, registry: Registry, cohort: Retention, user: str) -> None:
    """Record what is to be erased, with counts: a second run would find less."""
    counts = Counter(kind for kind, _ in cohort_objects(connection, store, registry, cohort.cohort_id))
    plan = {"objects": counts, "ended_on": cohort.ended_on, "due_on": cohort.due_on}
    connection.execute(
        "INSERT INTO erasure (cohort_no, whole, ground, begun_on, begun_by, plan)"
        " VALUES (%s, true, 'RETENTION_ENDED', %s, %s, %s)",
        (cohort.cohort_no, business_day(connection), user, json.dumps(plan, default=str)),
    )


def _erase_objects(settings: Settings, store: ObjectStore, registry: Registry, cohort_id: str) -> None:
    with transaction(settings.database_url) as connection:
        store.delete_all(key for _, key in cohort_objects(connection, store, registry, cohort_id))
        left = next(cohort_objects(connection, store, registry, cohort_id), None)
    if left:
        raise Retryable("OBJECTS_LEFT", f"{left[1]} of cohort {cohort_id} are still there: the next run removes them")


def _finish(connection: Connection, settings: Settings, cohort: Retention, user: str) -> None:
    """Hashes, letters, certificate and audit in one transaction. Locks the erasure and acceptance as a whole."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.acceptance'))")
    erasure_no, finished_on, ground, begun_on, begun_by, plan, city = one(
        connection,
        "SELECT erasure_no, finished_on, ground, begun_on, begun_by, plan, city FROM erasure e"
        " JOIN cohort USING (cohort_no) WHERE cohort_no = %s AND whole FOR UPDATE OF e",
        (cohort.cohort_no,),
    )
    if finished_on:
        return
    day = business_day(connection)
    cards = {
        ref for (ref,) in connection.execute("SELECT card_ref FROM card WHERE cohort_no = %s", (cohort.cohort_no,))
    }
    kept_until = day - timedelta(days=load_city(settings, city).policy.retention_days)
    hashes, live = _erase_hashes(connection, cohort.cohort_no)
    content = {
        "cohort_id": cohort.cohort_id, "whole": True, "ground": ground, **plan, "begun_on": begun_on,
        "begun_by": begun_by, "finished_on": day, "finished_by": user, "key": "destroyed", "hashes": hashes,
        "dead_letters": erase_letters(connection, cards.__contains__, kept_until),
        "kept": [{"what": "acceptance", "count": live, "reason": "LIVE_CARD"}] if live else [],
    }  # fmt: skip
    named = issue_certificate(connection, erasure_no, day, content)
    audit(connection, user, "erase", cohort.cohort_id, day, named)
    connection.execute("UPDATE erasure SET finished_on = %s, plan = NULL WHERE erasure_no = %s", (day, erasure_no))


def _erase_hashes(connection: Connection, cohort_no: int) -> tuple[dict[str, int], int]:
    """Take the keyed hashes out of a cohort's rows; returns how many by table, and how many stay for live cards.

    A live card is protected by its acceptance alone; nothing else needs to know the person.
    """
    values = {"no": cohort_no, "live": list(LIVE)}
    counts = {table: connection.execute(statement, values).rowcount for table, statement in HASHES.items()}
    (live,) = one(connection, "SELECT count(*) FROM acceptance WHERE cohort_no = %(no)s", values)
    return counts, int(live)


HASHES = {
    "row_outcome": "UPDATE row_outcome SET person = NULL WHERE cohort_no = %(no)s AND person IS NOT NULL",
    "card": "UPDATE card SET person = NULL WHERE cohort_no = %(no)s AND person IS NOT NULL",
    "holder_event": "UPDATE holder_event e SET person = NULL, person_before = NULL, sealed = NULL FROM card c"
    " WHERE c.card_ref = e.card_ref"
    " AND c.cohort_no = %(no)s AND (e.person IS NOT NULL OR e.sealed IS NOT NULL)",
    "told_event": "UPDATE told_event t SET paper = '', dropped = dropped - 'note' FROM card c"
    " WHERE c.card_ref = t.card_ref AND c.cohort_no = %(no)s AND (paper <> '' OR dropped ? 'note')",
    "acceptance": "DELETE FROM acceptance a WHERE a.cohort_no = %(no)s AND NOT EXISTS"
    " (SELECT FROM card c WHERE c.card_ref = a.card_ref AND c.state = ANY (%(live)s))",
}


def _release_hashes(connection: Connection, user: str) -> list[dict[str, Any]]:
    """Hashes kept for a live card are removed when it is no longer live; certified for each cohort."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.acceptance'))")
    day = business_day(connection)
    released = Counter(
        connection.execute(
            "DELETE FROM acceptance a USING erasure e, cohort o, card c WHERE e.cohort_no = a.cohort_no AND e.whole"
            " AND e.finished_on IS NOT NULL AND o.cohort_no = a.cohort_no AND c.card_ref = a.card_ref"
            " AND NOT c.state = ANY (%s) RETURNING o.cohort_id, e.erasure_no",
            (list(LIVE),),
        ).fetchall()
    )
    return [_certify_release(connection, name, no, count, user, day) for (name, no), count in sorted(released.items())]


def _certify_release(
    connection: Connection, cohort_id: str, erasure_no: int, count: int, user: str, day: date
) -> dict[str, Any]:
    content = {"cohort_id": cohort_id, "finished_on": day, "finished_by": user, "hashes": {"acceptance": count}}
    named = issue_certificate(connection, erasure_no, day, content)
    audit(connection, user, "erase hashes", cohort_id, day, named)
    return list_certificates(connection, number=named["certificate"])[0]
