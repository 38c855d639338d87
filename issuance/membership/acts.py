"""What an operator does with partners: add, rotate, suspend, resume, remove. Each action is audited first.

The registry is changed before anything else, so that repeating an interrupted action completes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

from issuance.city.partners import Partner, load_registry
from issuance.errors import Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.membership.access import Access
from issuance.membership.entries import add_entries, change_registry, remove_entry, resume_entry, suspend_entry
from issuance.membership.obstacles import Obstacle, obstacles
from issuance.settings import Settings
from issuance.tracking.resuming import resume_partner
from issuance.wire.pauses import pause_partner, paused_partners

SUSPENDED = "SUSPENDED"
"""Why a suspended partner is paused (lifecycle.PAUSES)."""


def add_partners(settings: Settings, entries: Mapping[str, Any], user: str) -> list[str]:
    """Add partners by their entries and grant their access; returns their ids.

    Raises:
        Refused: one of them is already registered with another entry, or the registry file is the shipped one.
        Misconfigured: the resulting registry has errors.
    """
    access = Access.of(settings)
    before, after = change_registry(settings.partners_file, add_entries(entries))
    new = [name for names in entries.values() for name in names]
    with transaction(settings.database_url) as connection:
        for name in new:
            kind = after.partners[name].kind
            audit(connection, user, "add partner", name, business_day(connection), {"kind": kind})
    access.bring_in_line()
    for name in sorted(set(after.partners) - set(before.partners)):
        access.await_admitted(name, True)
    return new


def rotate_credentials(settings: Settings, partner_id: str, user: str, *, kafka: bool, s3: bool) -> None:
    """Give a partner a new Kafka password, a new S3 access key, or both; they are written to its folder only."""
    partner = load_registry(settings.partners_file).partner(partner_id)
    access = Access.of(settings)
    what = [name for name, chosen in (("credentials", kafka), ("s3", s3)) if chosen]
    with transaction(settings.database_url) as connection:
        audit(connection, user, "rotate partner", partner_id, business_day(connection), {"what": what})
    if kafka:
        access.rotate_kafka(partner_id)
    if s3:
        access.rotate_s3(partner_id)
    access.bring_in_line()
    access.await_admitted(partner_id, not partner.suspended)


def suspend_partner(settings: Settings, partner_id: str, note: str, user: str) -> None:
    """Suspend a partner: it may neither read nor write, gets no jobs, and its clocks stop.

    Raises:
        Refused: no such partner, or no reason.
        Misconfigured: nobody would be left to make a bank's cards.
    """
    require_note(note)
    load_registry(settings.partners_file).partner(partner_id)
    access = Access.of(settings)
    change_registry(settings.partners_file, suspend_entry(partner_id, note))
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        pause_partner(connection, partner_id, SUSPENDED, day)
        audit(connection, user, "suspend partner", partner_id, day, {"note": note})
    access.bring_in_line()
    access.await_admitted(partner_id, False)


def let_in_again(settings: Settings, partner_id: str, user: str) -> None:
    """Resume a suspended or paused partner: its access is restored and its messages are read again, with new counts.

    Raises:
        Refused: it is neither.
    """
    suspended = partner_id in load_registry(settings.partners_file).suspended
    access = Access.of(settings) if suspended else None
    if suspended:
        change_registry(settings.partners_file, resume_entry(partner_id))
    with transaction(settings.database_url) as connection:
        _resume(connection, partner_id, user, business_day(connection), suspended)
    if access:
        access.bring_in_line()
        access.await_admitted(partner_id, True)


def _resume(connection: Connection, partner_id: str, user: str, day: date, suspended: bool) -> None:
    if not resume_partner(connection, partner_id, day) and not suspended:
        raise Refused("NOT_PAUSED", f"{partner_id} 未被暂停。 / {partner_id} is not paused.")
    audit(connection, user, "resume", partner_id, day)


def remove_partner(settings: Settings, partner_id: str, note: str, user: str) -> None:
    """Remove a partner for good: entry, Kafka user, ACLs, S3 identity, credentials. Topics and facts stay.

    Raises:
        Refused: no such partner, no reason, or it has unfinished business; names it.
        Misconfigured: others depend on it (a bank on its factory).
    """
    require_note(note)
    registry = load_registry(settings.partners_file)
    partner = registry.partner(partner_id)
    access = Access.of(settings)
    with transaction(settings.database_url) as connection:
        _refuse_open(partner, obstacles(connection, partner))
    change_registry(settings.partners_file, remove_entry(partner_id))
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        audit(connection, user, "remove partner", partner_id, day, {"note": note, "kind": partner.kind})
        if partner_id in paused_partners(connection):
            resume_partner(connection, partner_id, day)
    access.expel(partner_id)


def _refuse_open(partner: Partner, found: list[Obstacle]) -> None:
    if not found:
        return
    counts = ", ".join(f"{kind} {count}" for kind, count in sorted(Counter(one.kind for one in found).items()))
    first = "; ".join(f"{one.kind} {one.reference}" for one in found[:5])
    raise Refused(
        "PARTNER_BUSY",
        f"{partner.id} 尚有未了事项（{counts}）：{first}。 / {partner.id} has unfinished business ({counts}): {first}.",
        open=[one._asdict() for one in found[:1000]],
    )
