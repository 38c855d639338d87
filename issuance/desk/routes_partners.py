"""Partners, dead letters, topics and reports at the desk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from issuance.city.partners import SECTIONS, load_registry
from issuance.conformance.box import Box
from issuance.conformance.report import as_case, as_dict
from issuance.conformance.run import Options, check_partner
from issuance.desk.door import Act
from issuance.desk.problems import status_of
from issuance.desk.routes_cohorts import Note
from issuance.desk.routing import acts, reads
from issuance.desk.scopes import ALL, OWN
from issuance.errors import IssuanceError, Refused
from issuance.ledger import queries
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import transaction
from issuance.membership.acts import (
    add_partners,
    let_in_again,
    remove_partner,
    rotate_credentials,
    suspend_partner,
)
from issuance.membership.entries import entries_of, read_entries
from issuance.membership.view import list_all, show
from issuance.reconcile.daily_report import make_daily_report
from issuance.settings import Settings
from issuance.tracking.replay import replay_code, replay_message
from issuance.vault.partner_keys import add_key
from issuance.wire.positions import go_on

router = APIRouter(tags=["合作方与报文 / partners and messages"])


@reads(router, "/partners", "view", OWN)
def list_partners(act: Act) -> Any:
    """合作方。 Every partner: its reports and refusals, whether it is paused or suspended."""
    return list_all(act.connection, load_registry(act.settings.partners_file))


@reads(router, "/partners/{partner_id}", "view", OWN)
def show_partner(act: Act, partner_id: str) -> Any:
    """One partner: topics, rights, keys, status, and unfinished business."""
    return show(act.connection, act.settings, load_registry(act.settings.partners_file), partner_id)


class Entries(BaseModel):
    """Entries as YAML in the sections of the registry file; or one partner: kind, id, and what its kind needs."""

    entries: str | None = None
    kind: str | None = None
    id: str | None = None
    primary: str | None = None
    backup: str | None = None
    capacity: int | None = None

    def read(self) -> dict[str, Any]:
        """The entries by section.

        Raises:
            Refused: neither or both are given, or they are not valid.
        """
        if (self.entries is None) == (self.kind not in SECTIONS or not self.id):
            raise Refused(
                "ENTRIES_UNREADABLE",
                f"请给登记条目，或 kind（{', '.join(SECTIONS)}）与 id。 / give entries, or a kind and an id.",
            )
        if self.entries is not None:
            return read_entries(self.entries)
        values = {"primary": self.primary, "backup": self.backup, "capacity": self.capacity}
        return entries_of(str(self.kind), str(self.id), values)


@acts(router, "/partners", "admin", ALL, apart=True)
def add(act: Act, body: Entries) -> Any:
    """接入。 Onboard partners; their credentials are written where the desk runs, and handed over by hand."""
    added = add_partners(act.settings, body.read(), act.by)
    return [{"partner": name, "credentials": str(act.settings.partner_credentials_dir / name)} for name in added]


class NextKey(BaseModel):
    """A partner's next public key (PEM), its own name for it, and the first day."""

    pem: str
    key_id: str
    valid_from: date


class Rotation(BaseModel):
    """What is rotated."""

    kafka: bool = False
    s3: bool = False
    sealing_key: NextKey | None = None


@acts(router, "/partners/{partner_id}/rotate", "admin", ALL, apart=True)
def rotate(act: Act, partner_id: str, body: Rotation) -> Any:
    """轮换。 Rotate a partner's credentials, or the key that files are sealed to."""
    if not (body.kafka or body.s3 or body.sealing_key):
        raise Refused("NOTHING_CHOSEN", "请选择要轮换的内容。 / choose what to rotate.")
    if key := body.sealing_key:
        registry = load_registry(act.settings.partners_file)
        with transaction(act.settings.database_url) as connection:  # the credentials below have one of their own
            add_key(connection, registry, partner_id, key.key_id, key.pem.encode(), key.valid_from, act.by, act.day)
    if body.kafka or body.s3:
        rotate_credentials(act.settings, partner_id, act.by, kafka=body.kafka, s3=body.s3)
    return {
        "partner": partner_id,
        "credentials": str(act.settings.partner_credentials_dir / partner_id / "partner.env"),
    }


@acts(router, "/partners/{partner_id}/suspend", "admin", ALL, apart=True)
def suspend(act: Act, partner_id: str, body: Note) -> Any:
    """停用。 Suspend a partner: no reading, no writing, no new jobs; its clocks stop."""
    suspend_partner(act.settings, partner_id, body.note, act.by)
    return {"partner": partner_id, "suspended": True}


@acts(router, "/partners/{partner_id}/resume", "resolve", ALL, apart=True)
def resume(act: Act, partner_id: str) -> Any:
    """恢复。 Resume a paused or suspended partner, with new counts."""
    let_in_again(act.settings, partner_id, act.by)
    return {"partner": partner_id, "resumed": True}


@acts(router, "/partners/{partner_id}/remove", "admin", ALL, apart=True)
def remove(act: Act, partner_id: str, body: Note) -> Any:
    """退出。 Offboard a partner for good; refused while it has unfinished business."""
    remove_partner(act.settings, partner_id, body.note, act.by)
    return {"partner": partner_id, "removed": True}


class CheckOptions(BaseModel):
    """How a check is run: seconds to wait for each answer, other partners that the client plays, cases, the ledger."""

    patience: float = Field(60.0, gt=0, le=3600)
    also: list[str] = []
    only: list[str] = []
    on_this_ledger: bool = False


@acts(router, "/partners/{partner_id}/check", "admin", ALL, apart=True, kept=False)
def check(act: Act, partner_id: str, body: CheckOptions) -> Any:
    """一致性检查。 Check a partner's real client against the contract: a line of JSON for each thing as it comes.

    Lines: `slip` (what is delivered by hand), `case` (a result), and last `checked`, or `problem`.
    """
    lines: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    options = Options(body.patience, tuple(body.also), tuple(body.only), body.on_this_ledger)
    work = partial(_check, act.settings, partner_id, act.by, options, lines.put)
    return StreamingResponse(_stream(work, lines), media_type="application/x-ndjson")


def _check(
    settings: Settings, partner_id: str, by: str, options: Options, put: Callable[[dict[str, Any] | None], None]
) -> None:
    try:
        box = Box(lambda name, slip: put({"slip": name, "content": slip}))
        found, results = check_partner(settings, partner_id, by, options, box, lambda one: put({"case": as_case(one)}))
        put({"checked": as_dict(found, partner_id, results)})
    except IssuanceError as error:
        put({"problem": error.as_dict(), "status": status_of(error)})
    finally:
        put(None)


def _stream(work: Callable[[], None], lines: SimpleQueue[dict[str, Any] | None]) -> Iterator[str]:
    Thread(target=work, daemon=True).start()
    while (line := lines.get()) is not None:
        yield json.dumps(line, ensure_ascii=False, default=str) + "\n"


@reads(router, "/dead-letters", "view", OWN)
def list_dead_letters(act: Act) -> Any:
    """死信。 Dead-lettered messages: where, whose, why."""
    return queries.list_dead_letters(act.connection)


class Replay(BaseModel):
    """One message by its place, or all that were refused with a code."""

    topic: str | None = None
    partition: int = 0
    offset: int = 0
    code: str | None = None


@acts(router, "/dead-letters/replay", "resolve", ALL)
def replay(act: Act, body: Replay) -> Any:
    """重放。 Put dead-lettered messages back on their topic; since they are not in the inbox, they will be applied."""
    if (body.code is None) == (body.topic is None):
        raise Refused("REPLAY_UNNAMED", "请给出主题与位置，或代码。 / give a topic and its place, or a code.")
    if body.code:
        places = replay_code(act.connection, body.code, act.day)
    else:
        places = [f"{body.topic}/{body.partition}/{body.offset}"]
        replay_message(act.connection, str(body.topic), body.partition, body.offset, act.day)
    for place in places:
        audit(act.connection, act.by, "replay", place, act.day)
    return {"replayed": len(places)}


@acts(router, "/topics/{topic}/goon", "resolve", ALL)
def go_on_reading(act: Act, topic: str, body: Note) -> Any:
    """继续读取。 Read a held topic again; one that was made anew from its beginning: what was applied does nothing."""
    require_note(body.note)
    kinds = go_on(act.connection, topic)
    audit(act.connection, act.by, "read on", topic, act.day, {"held": kinds, "note": body.note})
    return {"topic": topic, "held": kinds}


class Day(BaseModel):
    """A day; by default the last one that is over."""

    day: date | None = None


@acts(router, "/reports/daily", "view", ALL)
def daily_report(act: Act, body: Day) -> Any:
    """日报。 Make a day's report (CSV and Parquet on S3), or show where the existing one is."""
    return make_daily_report(act.settings, body.day, act.by)
