"""One submission's intake: the context of every step, opened anew by each task."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from issuance.city.city import City, load_city
from issuance.errors import Broken, unknown_cohort
from issuance.intake.parts import PartStore
from issuance.intake.photo_store import PhotoStore
from issuance.intake.register import register_parts
from issuance.intake.validate import check_waivers
from issuance.ledger.audit import audit
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings
from issuance.vault.blocks import Vault
from issuance.vault.keys import KeyService
from issuance.vault.objects import ObjectStore
from issuance.wire.news import tell_cohort


@dataclass(frozen=True)
class Intake:
    """The context of one submission's intake."""

    settings: Settings
    cohort_id: str
    cohort_no: int
    submission: int
    opens_on: date
    city: City
    parts: PartStore
    photos: PhotoStore
    vault: Vault

    @property
    def key(self) -> tuple[int, int]:
        """(cohort_no, submission)."""
        return self.cohort_no, self.submission


def open_intake(settings: Settings, cohort_id: str, submission: int) -> Intake:
    """The intake of a registered submission."""
    with transaction(settings.database_url) as connection:
        row = connection.execute(
            "SELECT cohort_no, opens_on, city FROM cohort WHERE cohort_id = %s", (cohort_id,)
        ).fetchone()
    if row is None:
        raise unknown_cohort(cohort_id)
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    city = load_city(settings, row[2])
    check_waivers(city.policy)
    return Intake(
        settings, cohort_id, row[0], submission, row[1], city,
        PartStore(store, keys, cohort_id), PhotoStore(store, keys, cohort_id),
        Vault(store, keys, cohort_id),
    )  # fmt: skip


def validated_key(intake: Intake, part: int) -> str:
    """The object key of a part's valid rows, as normalised."""
    return f"inbox/{intake.cohort_id}/validated/{intake.submission}/part-{part:05d}"


def require_state(connection: Connection, intake: Intake, state: str) -> None:
    """Refuse to continue from another state; a finished submission may be run again."""
    row = connection.execute("SELECT state FROM submission WHERE (cohort_no, number) = (%s, %s)", intake.key).fetchone()
    if row is None or row[0] not in (state, "ACCEPTED"):
        raise Broken("WRONG_STATE", f"submission {intake.submission} is {row and row[0]}, not {state}")


def list_parts(intake: Intake) -> list[int]:
    """Take the manifest's parts into the ledger; returns their numbers."""
    store = ObjectStore.of(intake.settings)
    with transaction(intake.settings.database_url) as connection:
        return register_parts(connection, store, intake.cohort_id, intake.submission)


def submission_state(settings: Settings, cohort_id: str, submission: int) -> str:
    """The state of a submission."""
    with transaction(settings.database_url) as connection:
        row = connection.execute(
            "SELECT s.state FROM submission s JOIN cohort USING (cohort_no) WHERE cohort_id = %s AND number = %s",
            (cohort_id, submission),
        ).fetchone()
    return str(row[0]) if row else ""


def answer_operator(settings: Settings, cohort_id: str, submission: int, user: str, go_on: bool) -> None:
    """Write an operator's answer for a submission past the warning threshold; a refusal goes to cohort-events."""
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        done = connection.execute(
            "UPDATE submission s SET state = %s, go_ahead_by = %s, refusal = CASE WHEN %s THEN NULL"
            " ELSE jsonb_build_object('code', 'REFUSED_BY_OPERATOR', 'by', %s::text) END FROM cohort c"
            " WHERE s.cohort_no = c.cohort_no AND cohort_id = %s AND number = %s AND s.state = 'WAITING_FOR_OPERATOR'",
            ("VALIDATED" if go_on else "REFUSED", user, go_on, user, cohort_id, submission),
        )
        if not go_on:
            connection.execute(
                "UPDATE cohort SET state = 'REFUSED' WHERE cohort_id = %s AND state = 'REGISTERED'", (cohort_id,)
            )
            if done.rowcount:
                release_persons(connection, cohort_id, submission)
                details = {"code": "REFUSED_BY_OPERATOR"}
                tell_cohort(connection, cohort_id, "REFUSED", day, submission=submission, details=details)
        audit(connection, user, "go on" if go_on else "refuse", f"{cohort_id}.{submission}", day)


def release_persons(connection: Connection, cohort_id: str, submission: int) -> None:
    """Release the acceptances of a submission that is refused after all; the cards they replaced count again."""
    of = "SELECT cohort_no FROM cohort WHERE cohort_id = %s"
    connection.execute(
        "UPDATE acceptance a SET card_ref = c.card_ref, cohort_no = c.cohort_no, submission = c.submission,"
        f" replaces = NULL FROM card c WHERE (a.cohort_no, a.submission) = (({of}), %s) AND c.card_ref = a.replaces",
        (cohort_id, submission),
    )
    connection.execute(f"DELETE FROM acceptance WHERE (cohort_no, submission) = (({of}), %s)", (cohort_id, submission))
