"""One submission's intake: the context of every step, opened anew by each task."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from issuance.city.city import City, load_city
from issuance.errors import Broken, Refused, unknown_cohort
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


def answer_operator(settings: Settings, cohort_id: str, submission: int, user: str, go_on: bool) -> str:
    """Write an operator's answer for a submission past the warning threshold; returns the submission's state.

    A refusal goes to cohort-events. Going on is never the submitter's act; a CHECK of the ledger says the same.
    The same answer again does nothing.

    Raises:
        Refused: no such submission, it waits for nobody, or the user submitted it.
    """
    with transaction(settings.database_url) as connection:
        state, submitted_by, go_ahead_by = _lock_submission(connection, cohort_id, submission)
        if go_ahead_by is not None and (state == "REFUSED") is not go_on:
            return state
        if state != "WAITING_FOR_OPERATOR":
            raise Refused(
                "NOTHING_TO_DECIDE",
                f"批次 {cohort_id} 的第 {submission} 次提交不在等待决定（{state}）。"
                f" / submission {submission} of {cohort_id} waits for nobody ({state}).",
            )
        if go_on and user == submitted_by:
            raise Refused(
                "SAME_PERSON",
                "您是提交人，越过警戒线须由他人决定。 / you submitted this; another person decides whether it goes on.",
            )
        _write_answer(connection, cohort_id, submission, user, go_on)
        return "VALIDATED" if go_on else "REFUSED"


def _lock_submission(connection: Connection, cohort_id: str, submission: int) -> tuple[str, str, str | None]:
    row = connection.execute(
        "SELECT s.state, submitted_by, go_ahead_by FROM submission s JOIN cohort USING (cohort_no)"
        " WHERE (cohort_id, number) = (%s, %s) FOR UPDATE OF s",
        (cohort_id, submission),
    ).fetchone()
    if row is None:
        raise Refused(
            "SUBMISSION_UNKNOWN",
            f"批次 {cohort_id} 没有第 {submission} 次提交。 / there is no submission {submission} of {cohort_id}.",
        )
    return row[0], row[1], row[2]


def _write_answer(connection: Connection, cohort_id: str, submission: int, user: str, go_on: bool) -> None:
    day = business_day(connection)
    connection.execute(
        "UPDATE submission s SET state = %s, go_ahead_by = %s, refusal = CASE WHEN %s THEN NULL"
        " ELSE jsonb_build_object('code', 'REFUSED_BY_OPERATOR', 'by', %s::text) END FROM cohort c"
        " WHERE s.cohort_no = c.cohort_no AND cohort_id = %s AND number = %s",
        ("VALIDATED" if go_on else "REFUSED", user, go_on, user, cohort_id, submission),
    )
    if not go_on:
        connection.execute(
            "UPDATE cohort SET state = 'REFUSED' WHERE cohort_id = %s AND state = 'REGISTERED'", (cohort_id,)
        )
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
