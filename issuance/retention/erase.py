"""Erasing one person (PIPL, article 47): the vault's positions, overlays, photos, raw rows, files, and the hashes.

A plan is recorded first, in references; then it is carried out, and can be repeated from the start. Facts
and decisions stay: they hold references only.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from issuance.city.partners import Registry, load_registry
from issuance.dispatch.jobs import ENDED, list_jobs
from issuance.errors import Refused
from issuance.intake.duplicates import STATES
from issuance.intake.parts import PartStore
from issuance.ledger.audit import audit
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.ledger.queries import one
from issuance.retention.certificates import issue_certificate, list_certificates
from issuance.retention.dead_letters import erase_letters
from issuance.retention.objects import job_objects
from issuance.retention.persons import Held, HeldCard, Named, cards_of, find_card, gather
from issuance.settings import Settings
from issuance.vault.blocks import Vault, overlay_key
from issuance.vault.keys import KeyDestroyed, KeyService
from issuance.vault.objects import ObjectStore
from issuance.words.codes import LEGAL_GROUNDS
from issuance.words.lifecycle import ENDED_STATES

FETCHED_AFTER = 7
"""Days after which the notifier has fetched a contact file. [rule] our own choice"""
LIVE = frozenset(STATES["live"])


def erase_person(settings: Settings, named: Named, ground: str, user: str) -> dict[str, Any]:
    """Erase one person with all cards; returns the certificate. Idempotent; completes an interrupted erasure.

    Raises:
        Refused: unknown person; a card is under way or live and no legal ground is given; a card is in a plan that is
            not sealed yet; or rows are in intake.
    """
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    registry = load_registry(settings.partners_file)
    with transaction(settings.database_url) as connection:
        _lock(connection)
        card_ref = find_card(connection, named)
        begun = _begun(connection, card_ref)
        if begun is None:
            cards = cards_of(connection, card_ref)
            _require_free(connection, cards, ground)
            held = gather(connection, store, keys, cards)
            plan = _plan(connection, store, registry, held)
            begun = _begin(connection, cards, ground, user, plan), False
    erasure_no, finished = begun
    if not finished:
        complete_erasure(settings, erasure_no, user)
    with transaction(settings.database_url) as connection:
        return list_certificates(connection, erasure_no=erasure_no)[0]


def complete_erasures(settings: Settings, user: str) -> list[dict[str, Any]]:
    """Complete interrupted erasures of persons; returns their certificates."""
    with transaction(settings.database_url) as connection:
        begun = connection.execute(
            "SELECT erasure_no FROM erasure WHERE NOT whole AND finished_on IS NULL ORDER BY 1"
        ).fetchall()
    for (erasure_no,) in begun:
        complete_erasure(settings, erasure_no, user)
    with transaction(settings.database_url) as connection:
        return [list_certificates(connection, erasure_no=erasure_no)[0] for (erasure_no,) in begun]


def _lock(connection: Connection) -> None:
    """One erasure of a person at a time: two would overwrite each other's block."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.erasure'))")


def _begun(connection: Connection, card_ref: UUID) -> tuple[int, bool] | None:
    row = connection.execute(
        "SELECT erasure_no, finished_on IS NOT NULL FROM erased_card JOIN erasure USING (erasure_no)"
        " WHERE card_ref = %s",
        (card_ref,),
    ).fetchone()
    return (int(row[0]), bool(row[1])) if row else None


def _require_free(connection: Connection, cards: Sequence[HeldCard], ground: str) -> None:
    """Refuse while a card is in use and no legal ground is given, or a frozen plan still has to read the person."""
    used = [card for card in cards if card.state in LIVE or card.state not in ENDED_STATES]
    if used and ground not in LEGAL_GROUNDS:
        listed = ", ".join(f"{card.card_ref} {card.state}" for card in used)
        raise Refused(
            "PERSON_IN_USE",
            f"卡在办理或使用中（{listed}）：除非以 --ground 写明法定理由（{', '.join(LEGAL_GROUNDS)}），不得清除。"
            f" / a card is under way or live ({listed}): give the legal ground with --ground"
            f" ({', '.join(LEGAL_GROUNDS)}).",
            cards={str(card.card_ref): card.state for card in used},
        )
    unsealed = connection.execute(
        "SELECT DISTINCT job_id FROM job_item i JOIN job j USING (job_id) LEFT JOIN sealed_job s USING (job_id)"
        " WHERE s.job_id IS NULL AND i.card_ref = ANY (%s) ORDER BY 1",
        ([card.card_ref for card in cards],),
    ).fetchall()
    if unsealed:
        jobs = ", ".join(job_id for (job_id,) in unsealed)
        raise Refused(
            "CARD_BEING_ORDERED",
            f"卡在尚未密封的任务中（{jobs}）：请先拒绝该计划，或待其密封之后再清除。"
            f" / a card is in a job that is not sealed yet ({jobs}): refuse the plan, or erase after sealing.",
            jobs=[job_id for (job_id,) in unsealed],
        )


def _plan(connection: Connection, store: ObjectStore, registry: Registry, held: Held) -> dict[str, Any]:
    """The erasure plan, in references: positions, lines of parts, objects to remove, and what stays and why."""
    positions: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for card in held.cards:
        if card.card_ref in held.values:
            positions[card.cohort_id, card.block].append(card.position)
    lines: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row in held.rows:
        lines[row.cohort_id, row.object].append(row.line)
    overlays = [overlay_key(card.cohort_id, name) for card in held.cards for name in card.overlays]
    files = list(_files(connection, store, registry, held))
    return {
        "positions": [[*place, sorted(found)] for place, found in sorted(positions.items())],
        "lines": [[*place, sorted(found)] for place, found in sorted(lines.items())],
        "rows": [[row.cohort_no, row.submission, row.file, row.line] for row in held.rows],
        "remove": [["overlay", key] for key in overlays]
        + [["photo", key] for key in held.photo_keys()]
        + [[kind, key] for kind, key, reason in files if not reason],
        "kept": [{"object": key, "reason": reason} for _, key, reason in files if reason],
    }


def _files(
    connection: Connection, store: ObjectStore, registry: Registry, held: Held
) -> Iterator[tuple[str, str, str]]:
    """(kind, object key, reason why it stays or '') of files with the person in them, among others."""
    refs = [card.card_ref for card in held.cards]
    validated = {(row.cohort_id, row.submission, row.part) for row in held.rows}
    for cohort_id, submission, part in sorted(validated):
        # as a whole: it is only needed to repeat the acceptance, which must not shift positions (intake.accept)
        yield "validated", f"inbox/{cohort_id}/validated/{submission}/part-{part:05d}", ""
    for factory, job_id, ended in _jobs_of(connection, refs):
        for kind, key in job_objects(store, factory, job_id):
            if kind != "job_photo" or any(str(ref) in key for ref in refs):
                yield kind, key, "" if ended else "JOB_NOT_ENDED"
    for batch_id, recent in _batches_of(connection, refs):
        for notifier in registry.of_kind("notifier"):
            yield "contact_file", f"notices/{notifier.id}/{batch_id}.jwe", "NOTICE_RECENT" if recent else ""


def _jobs_of(connection: Connection, refs: Sequence[UUID]) -> Iterator[tuple[str, str, bool]]:
    """(factory, job, whether it has ended) of the jobs that hold these cards."""
    rows = connection.execute(
        "SELECT DISTINCT job_id FROM job_item WHERE card_ref = ANY (%s) ORDER BY 1", (list(refs),)
    ).fetchall()
    for (job_id,) in rows:
        (job,) = list_jobs(connection, job_id=job_id)
        yield job["factory"], job_id, job["state"] in ENDED


def _batches_of(connection: Connection, refs: Sequence[UUID]) -> list[tuple[str, bool]]:
    """(batch of notices, whether it was sent lately) with these cards in it."""
    fetched = business_day(connection) - timedelta(days=FETCHED_AFTER)
    rows = connection.execute(
        "SELECT d.batch_id, coalesce(max(o.business_day) > %s, false) FROM decision d"
        " LEFT JOIN outbox o ON o.ce_id = d.batch_id"
        " WHERE d.kind = 'NOTICE' AND d.batch_id IS NOT NULL AND d.card_ref = ANY (%s) GROUP BY 1 ORDER BY 1",
        (fetched, list(refs)),
    ).fetchall()
    return [(str(batch_id), bool(recent)) for batch_id, recent in rows]


def _begin(connection: Connection, cards: Sequence[HeldCard], ground: str, user: str, plan: dict[str, Any]) -> int:
    """Record the erasure; a card under way is withdrawn with it, since it can no longer be made."""
    refs = [card.card_ref for card in cards]
    (number,) = one(
        connection,
        "INSERT INTO erasure (cohort_no, whole, ground, begun_on, begun_by, plan)"
        " VALUES (%s, false, %s, %s, %s, %s) RETURNING erasure_no",
        (cards[0].cohort_no, ground, business_day(connection), user, json.dumps(plan)),
    )
    connection.execute("INSERT INTO erased_card (card_ref, erasure_no) SELECT unnest(%s::uuid[]), %s", (refs, number))
    connection.execute(
        "WITH gone AS (UPDATE card SET withdrawn = 'WITHDRAWN' WHERE card_ref = ANY (%s) AND withdrawn IS NULL"
        " AND NOT state = ANY (%s) RETURNING card_ref) INSERT INTO changed_card SELECT card_ref FROM gone",
        (refs, sorted({*ENDED_STATES, *LIVE})),
    )
    return int(number)


def complete_erasure(settings: Settings, erasure_no: int, user: str) -> None:
    """Carry out the plan from the start; then hashes, certificate and audit in one transaction."""
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    with transaction(settings.database_url) as connection:
        _lock(connection)
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('issuance.acceptance'))")
        plan, finished = one(
            connection, "SELECT plan, finished_on FROM erasure WHERE erasure_no = %s FOR UPDATE", (erasure_no,)
        )
        if finished:
            return
        for cohort_id, block, positions in plan["positions"]:
            _unless_destroyed(lambda of=(cohort_id, block, positions): Vault(store, keys, of[0]).erase_persons(*of[1:]))
        for cohort_id, object_, lines in plan["lines"]:
            _unless_destroyed(
                lambda of=(cohort_id, object_, lines): _drop_lines(PartStore(store, keys, of[0]), *of[1:])
            )
        store.delete_all(key for _, key in plan["remove"])
        _finish(connection, erasure_no, plan, user, business_day(connection))


def _unless_destroyed(step: Any) -> None:
    """A cohort that was erased meanwhile has nothing left to open."""
    try:
        step()
    except KeyDestroyed:
        return


def _drop_lines(parts: PartStore, object_: str, lines: Iterable[int]) -> None:
    """Seal a part again without these rows; the others may still be corrected or exported."""
    frame = parts.read(object_)
    parts.write(object_, frame[~frame["line"].isin(list(lines)).to_numpy()])


def _finish(connection: Connection, erasure_no: int, plan: dict[str, Any], user: str, day: date) -> None:
    ground, begun_on, begun_by, cohort_id = one(
        connection,
        "SELECT ground, begun_on, begun_by, cohort_id FROM erasure JOIN cohort USING (cohort_no) WHERE erasure_no = %s",
        (erasure_no,),
    )
    rows = connection.execute("SELECT card_ref FROM erased_card WHERE erasure_no = %s ORDER BY 1", (erasure_no,))
    refs = [ref for (ref,) in rows]
    objects: defaultdict[str, int] = defaultdict(int)
    for kind, _ in plan["remove"]:
        objects[kind] += 1
    content = {
        "cohort_id": cohort_id, "whole": False, "cards": refs, "ground": ground, "begun_on": begun_on,
        "begun_by": begun_by, "finished_on": day, "finished_by": user,
        "positions": sum(len(positions) for *_, positions in plan["positions"]), "rows": len(plan["rows"]),
        "objects": dict(objects), "hashes": _erase_hashes(connection, refs, plan["rows"]),
        "dead_letters": erase_letters(connection, refs.__contains__, None), "kept": plan["kept"],
    }  # fmt: skip
    named = issue_certificate(connection, erasure_no, day, content)
    audit(connection, user, "erase person", str(refs[0]), day, named)
    connection.execute("UPDATE erasure SET finished_on = %s, plan = NULL WHERE erasure_no = %s", (day, erasure_no))


def _erase_hashes(connection: Connection, refs: Sequence[UUID], rows: Sequence[Sequence[Any]]) -> dict[str, int]:
    """Take the person's keyed hash out of every table; quarantined rows of the person are no longer open."""
    values = {
        "refs": list(refs),
        "hashes": [
            person
            for (person,) in connection.execute(
                "SELECT person FROM card WHERE card_ref = ANY (%s) AND person IS NOT NULL", (list(refs),)
            )
        ],
    }
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE row_outcome SET corrected = true WHERE outcome = 'quarantined'"
            " AND (cohort_no, submission, file, line) = (%s, %s, %s, %s)",
            rows,
        )
    return {table: connection.execute(statement, values).rowcount for table, statement in HASHES.items()}


HASHES = {
    "row_outcome": "UPDATE row_outcome r SET person = NULL WHERE person = ANY (%(hashes)s) OR person IS NOT NULL"
    " AND r.outcome = 'accepted' AND card_ref = ANY (%(refs)s)",
    "acceptance": "DELETE FROM acceptance WHERE person = ANY (%(hashes)s) OR card_ref = ANY (%(refs)s)",
    "card": "UPDATE card SET person = NULL WHERE card_ref = ANY (%(refs)s) AND person IS NOT NULL",
    "holder_event": "UPDATE holder_event SET person = NULL, person_before = NULL, sealed = NULL"
    " WHERE card_ref = ANY (%(refs)s)"
    " AND (person IS NOT NULL OR sealed IS NOT NULL)",
    "told_event": "UPDATE told_event SET paper = '', dropped = dropped - 'note' WHERE card_ref = ANY (%(refs)s)"
    " AND (paper <> '' OR dropped ? 'note')",
}
