"""What an operator can do about a job in progress: resend it, or reassign it to another factory."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any, NamedTuple

from issuance.city.partners import Registry, topic_of
from issuance.dispatch.plan import write_jobs, write_plastics
from issuance.dispatch.seal import Job, SealedFile, order_message
from issuance.errors import Broken, Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day
from issuance.vault.objects import ObjectStore
from issuance.wire.news import tell_cohort
from issuance.wire.outbox import Outgoing, write_outbox


class SentJob(NamedTuple):
    """A job that was sent: its file, how often it was resent, and whether it can still be resent."""

    job: Job
    file: SealedFile
    resent: int
    received: bool
    answered: bool
    refused: bool
    cancelled: bool


def resend_job(connection: Connection, store: ObjectStore, job_id: str, user: str) -> None:
    """Resend a job's order: the same job, the same stored bytes. Locks the job.

    Raises:
        Refused: no such job was sent, or the factory has answered it.
        Broken: what is stored is not what was sealed.
    """
    day = business_day(connection)
    sent = _lock(connection, job_id)
    if sent.answered or sent.cancelled:
        raise Refused(
            "ALREADY_ANSWERED",
            f"任务 {job_id} 已有答复或已取消，无需重发。 / job {job_id} was already answered or cancelled.",
        )
    if hashlib.sha256(store.get(sent.job.object)).hexdigest() != sent.file.sha256:
        raise Broken("OBJECT_ALTERED", f"{sent.job.object} is not the file that was sealed: reassign the job")
    connection.execute("UPDATE sealed_job SET resent = resent + 1 WHERE job_id = %s", (job_id,))
    write_outbox(connection, [order_message(sent.job, sent.file, sent.resent + 1)], day)
    audit(connection, user, "resend", job_id, day, {"time": sent.resent + 1})


def reassign_job(
    connection: Connection, registry: Registry, job_id: str, factory: str | None, reason: str, user: str
) -> tuple[str, int]:
    """Move what a factory has not made to another one; returns (cohort, wave) of the new plan.

    The old job is cancelled first, as a whole while nothing of it is made, otherwise plastic by plastic. The new job
    holds new plastics of the same cards and waits, like every plan, for its release by a second person. What the old
    factory makes nevertheless opens TWO_PLASTICS. Locks the job.

    Raises:
        Refused: no such job was sent, it has ended, there is no other factory, or no reason was given.
    """
    require_note(reason, "reason")
    day = business_day(connection)
    sent = _lock(connection, job_id)
    target = _target(registry, sent.job, factory)
    if sent.cancelled or sent.refused:
        raise Refused("JOB_ENDED", f"任务 {job_id} 已取消或被拒绝。 / job {job_id} was already cancelled or refused.")
    wave = _next_wave(connection, sent.job, user, day)
    moved = _move_plastics(connection, sent.job, target, wave, (user, day))
    if not moved:
        raise Refused("NOTHING_TO_MOVE", f"任务 {job_id} 没有未制成的卡。 / job {job_id} has no plastics left to make.")
    write_jobs(connection, {_new_job_id(sent.job, target, wave): day}, remake=False)
    connection.execute("DROP TABLE planned")
    whole = _cancel_if_unmade(connection, sent.job, day)
    details = {"to": target, "plastics": moved, "reason": reason, "wave": wave, "cancelled": whole}
    audit(connection, user, "reassign", job_id, day, details)
    tell_cohort(connection, sent.job.cohort_id, "PLANNED", day, wave=wave)
    return sent.job.cohort_id, wave


def _lock(connection: Connection, job_id: str) -> SentJob:
    row = connection.execute(
        "SELECT j.job_id, j.cohort_no, cohort_id, j.wave, bank, factory, due_on, card_count, hash_total,"
        " s.sha256, s.key_id, s.algorithm, s.resent, j.job_received IS NOT NULL,"
        " j.job_accepted IS NOT NULL OR j.job_refused IS NOT NULL, j.job_refused IS NOT NULL,"
        " j.cancelled_on IS NOT NULL"
        " FROM job j JOIN cohort USING (cohort_no) JOIN sealed_job s USING (job_id)"
        " WHERE j.job_id = %s FOR UPDATE OF j",
        (job_id,),
    ).fetchone()
    if row is None:
        raise Refused("JOB_UNKNOWN", f"没有已发送的任务 {job_id}。 / job {job_id} was not sent.")
    return SentJob(Job(*row[:9]), SealedFile(*row[9:12]), *row[12:])


def _target(registry: Registry, job: Job, factory: str | None) -> str:
    target = factory or registry.backup_of(job.bank)
    partner = registry.partners.get(target)
    if partner is None or partner.kind != "factory" or target == job.factory:
        raise Refused(
            "FACTORY_UNKNOWN",
            f"{target} 不是另一家制卡厂；请用 --to 指定。 / {target} is not another factory; name one: --to FACTORY.",
        )
    return target


def _new_job_id(job: Job, factory: str, wave: int) -> str:
    return f"{job.cohort_id}.{wave}.{job.bank}.{factory}.0001"


def _next_wave(connection: Connection, job: Job, user: str, day: date) -> int:
    """Make a wave of its own; its figures are filled in once it is known what moves. Locks the cohort."""
    connection.execute("SELECT FROM cohort WHERE cohort_no = %s FOR UPDATE", (job.cohort_no,))
    row = connection.execute(
        "INSERT INTO wave (cohort_no, wave, planned_by, submitters, planned_on, plastics, forecast)"
        " SELECT cohort_no, (SELECT max(wave) + 1 FROM wave w WHERE w.cohort_no = s.cohort_no), %s,"
        " array_agg(DISTINCT submitted_by ORDER BY submitted_by), %s, 0, '{}' FROM submission s WHERE cohort_no = %s"
        " GROUP BY cohort_no RETURNING wave",
        (user, day, job.cohort_no),
    ).fetchone()
    return int(row[0]) if row else 1


MOVED = """
CREATE TEMP TABLE planned ON COMMIT DROP AS
SELECT p.card_ref, (p.attempt + 1)::smallint AS attempt, p.bank, %(target)s AS factory, c.due_on, c.cohort_no,
       %(wave)s::int AS wave, %(new)s AS job_id, (row_number() OVER (ORDER BY i.position))::int - 1 AS position
FROM job_item i JOIN plastic p USING (card_ref, attempt) JOIN card c USING (card_ref)
WHERE i.job_id = %(job)s AND p.attempt = c.last_attempt AND c.withdrawn IS NULL
  AND coalesce(p.made, p.spoiled, p.item_refused) IS NULL
  AND NOT EXISTS (SELECT FROM plastic o WHERE o.card_ref = p.card_ref
                  AND coalesce(o.collected, o.issued_instantly, o.ss_activated) IS NOT NULL)
  AND NOT EXISTS (SELECT FROM decision d WHERE (d.card_ref, d.attempt) = (p.card_ref, p.attempt)
                  AND d.kind = 'CANCEL_PLASTIC' AND d.occasion = '')
  AND NOT EXISTS (SELECT FROM remake r WHERE (r.card_ref, r.attempt) = (p.card_ref, p.attempt) AND r.ended_on IS NULL)
"""
"""The plastics of a job that its factory has still to make, as the next attempts of their cards."""


def _move_plastics(connection: Connection, job: Job, target: str, wave: int, decided: tuple[str, date]) -> int:
    """Begin a re-make of everything unmade and write the new plastics; returns how many."""
    values = {"job": job.job_id, "target": target, "wave": wave, "new": _new_job_id(job, target, wave)}
    moved = connection.execute(MOVED, values).rowcount
    user, day = decided
    connection.execute(
        "INSERT INTO remake (card_ref, made, attempt, ground, reason, begun_on, decided_by)"
        " SELECT card_ref, attempt, attempt - 1, 'REASSIGNED', 'REASSIGNED', %s, %s FROM planned ORDER BY card_ref",
        (day, user),
    )
    write_plastics(connection)
    connection.execute(
        "UPDATE wave SET plastics = %s, forecast = jsonb_build_object('jobs', 1, 'reassigned', %s::text)"
        " WHERE (cohort_no, wave) = (%s, %s)",
        (moved, job.job_id, job.cohort_no, wave),
    )
    return moved


def _cancel_if_unmade(connection: Connection, job: Job, day: date) -> bool:
    """Cancel the whole job while nothing of it is made; otherwise only what is not made, plastic by plastic."""
    made = connection.execute(
        "SELECT FROM plastic WHERE job_id = %s AND made IS NOT NULL LIMIT 1", (job.job_id,)
    ).fetchone()
    if made is None:
        connection.execute("UPDATE job SET cancelled_on = %s WHERE job_id = %s", (day, job.job_id))
        write_outbox(connection, [cancel_message(job)], day)
    return made is None


def cancel_message(job: Job) -> Outgoing:
    """The cancel of a whole job; final for its job_id, whether it or the order arrives first."""
    value: dict[str, Any] = {
        "job_id": job.job_id,
        "action": "CANCEL",
        "cohort_id": job.cohort_id,
        "bank": job.bank,
        "wave": job.wave,
        "card_count": job.card_count,
        "hash_total": job.hash_total,
        "due_on": job.due_on,
    }
    return Outgoing(f"{job.job_id}/CANCEL", topic_of("card-jobs", job.factory), job.job_id, "card_job", value)
