"""The check's own cohort: synthetic people, planned into the jobs that the cases need, and released.

It uses the functions of intake and dispatch; only who goes into which job is the kit's. Airflow starts nothing for
such a cohort, and none of its re-makes are released.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from issuance.breaks.resolve import resolve_break
from issuance.conformance.persons import Row, make_persons
from issuance.dispatch.plan import write_jobs, write_plastics
from issuance.dispatch.release import release_wave
from issuance.errors import Broken
from issuance.intake.in_process import is_registered, take_in_whole
from issuance.intake.package import Package
from issuance.intake.submit import submit_package
from issuance.ledger.connection import Connection, transaction
from issuance.settings import Settings
from issuance.vault.keys import KeyService
from issuance.words.references import card_ref_of

PLANNER, RELEASER = "check-planner", "check-releaser"
"""The four-eyes rule applies to the kit too: the user submits, these two users of the kit plan and release."""


class Wish(NamedTuple):
    """One plastic that a case needs: in which order, and how its holder collects it."""

    order: str
    method: str = "outlet"


class Check(NamedTuple):
    """The check's cohort, of one bank and factory."""

    cohort_id: str
    bank: str
    factory: str
    city: str
    day: date
    user: str

    def application(self, number: int) -> str:
        """The application_id of the nth plastic wished for, from 0."""
        return f"{self.cohort_id}-{number}"

    def card_ref(self, number: int) -> str:
        """Its card_ref."""
        return str(card_ref_of(self.cohort_id, self.application(number)))

    def job_id(self, order: str) -> str:
        """The job of an order."""
        return f"{self.cohort_id}.1.{self.bank}.{self.factory}.{order}"


def take_in(
    settings: Settings, check: Check, wishes: Sequence[Wish], registered: Callable[[Callable[[], bool]], bool]
) -> list[Row]:
    """Submit one person a wish and take them in; returns their rows.

    Raises:
        Broken: the submission is not registered (no consumer runs), or a row is not accepted.
    """
    with transaction(settings.database_url) as connection:
        people = make_persons(connection, KeyService(settings.keys_dir).person_hasher(), len(wishes))
    rows = [_row(check, n, wish, person) for n, (wish, person) in enumerate(zip(wishes, people, strict=True))]
    with TemporaryDirectory() as folder:
        file = _write(Path(folder) / "check.csv", rows)
        package = Package(check.cohort_id, check.city, "retiree", check.day, len(rows))
        submit_package(settings, package, [file], check.user)
    if not registered(lambda: is_registered(settings, check.cohort_id)):
        raise Broken("NOT_REGISTERED", "the submission is not registered: do the consumers run? issuance stack status")
    if not take_in_whole(settings, check.cohort_id):
        raise Broken("CHECK_NOT_ACCEPTED", f"rows of the check were not accepted: {_refusals(settings, check)}")
    return rows


def _row(check: Check, number: int, wish: Wish, person: Row) -> Row:
    applied = check.day - timedelta(days=1)
    letter = wish.method == "mail"
    return {
        **person,
        "address": person["address"] if letter else "",
        "postcode": person["postcode"] if letter else "",
        "application_id": check.application(number),
        "applied_at": applied.isoformat(),
        "category": "retiree",
        "region_code": "110102",
        "bank_code": check.bank,
        "collection_method": wish.method,
        "outlet_code": f"{check.bank}-0001" if wish.method == "outlet" else "",
        "kind": "renewal",
    }


def _write(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _refusals(settings: Settings, check: Check) -> str:
    with transaction(settings.database_url) as connection:
        rows = connection.execute(
            "SELECT DISTINCT unnest(reasons) FROM row_outcome JOIN cohort USING (cohort_no) WHERE cohort_id = %s",
            (check.cohort_id,),
        ).fetchall()
    return ", ".join(sorted(reason for (reason,) in rows)) or "no reason known"


def release(settings: Settings, check: Check, wishes: Sequence[Wish]) -> None:
    """Plan the wishes into their jobs and release them; what is refused or spoiled is not re-made."""
    with transaction(settings.database_url) as connection:
        _plan(connection, check, wishes)
    release_wave(settings, check.cohort_id, 1, RELEASER, remake_ratio=0)
    with transaction(settings.database_url) as connection:
        connection.execute("UPDATE cohort SET state = 'DISPATCHED' WHERE cohort_id = %s", (check.cohort_id,))


PLANNED = """
CREATE TEMP TABLE planned ON COMMIT DROP AS
SELECT card_ref, 1::smallint AS attempt, bank, %(factory)s AS factory, due_on, cohort_no, 1 AS wave, o.job_id,
       (row_number() OVER (PARTITION BY o.job_id ORDER BY o.number))::int - 1 AS position
FROM card JOIN cohort USING (cohort_no)
JOIN unnest(%(applications)s::text[], %(jobs)s::text[]) WITH ORDINALITY AS o (application_id, job_id, number)
     USING (application_id)
WHERE cohort_id = %(cohort)s
"""


def _plan(connection: Connection, check: Check, wishes: Sequence[Wish]) -> None:
    jobs = [check.job_id(wish.order) for wish in wishes]
    applications = [check.application(n) for n in range(len(wishes))]
    values = {"factory": check.factory, "cohort": check.cohort_id, "applications": applications, "jobs": jobs}
    connection.execute(PLANNED, values)
    connection.execute(
        "INSERT INTO wave (cohort_no, wave, planned_by, submitters, planned_on, plastics, forecast)"
        " SELECT cohort_no, 1, %s, ARRAY[%s], %s, %s, '{}' FROM cohort WHERE cohort_id = %s",
        (PLANNER, check.user, check.day, len(wishes), check.cohort_id),
    )
    write_jobs(connection, dict.fromkeys(jobs, check.day), remake=False)
    write_plastics(connection)


def put_away(settings: Settings, check: Check) -> None:
    """End a check: its cohort is withdrawn, its breaks are explained, its clocks are stopped."""
    of = "cohort_no = (SELECT cohort_no FROM cohort WHERE cohort_id = %s)"
    withdrawal = {"by": check.user, "on": str(check.day), "reason": "conformance check"}
    with transaction(settings.database_url) as connection:
        connection.execute(
            "UPDATE cohort SET state = 'WITHDRAWN', withdrawal = %s WHERE cohort_id = %s",
            (json.dumps(withdrawal), check.cohort_id),
        )
        connection.execute(f"UPDATE card SET next_due = NULL WHERE {of}", (check.cohort_id,))
        connection.execute(
            f"DELETE FROM changed_card WHERE card_ref IN (SELECT card_ref FROM card WHERE {of})", (check.cohort_id,)
        )
        breaks = connection.execute(f"SELECT break_id FROM break WHERE {of} AND closed_on IS NULL", (check.cohort_id,))
        for (break_id,) in breaks.fetchall():
            resolve_break(connection, str(break_id), check.user, "conformance check", check.day)
