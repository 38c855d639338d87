"""Cohorts with canary values, submitted, dispatched, told and closed by the product's own functions."""

from __future__ import annotations

import io
import json
from base64 import urlsafe_b64decode
from contextlib import suppress
from datetime import date, timedelta

import fastavro
import pyarrow as pa
from cohort_fixture import plan_as
from intake_fixture import Intakes, Row, person, picture, sha256
from ledger_fixture import OPENS, REGISTRY, as_read, item, merge, report

from issuance.clock import end_of, instant_on
from issuance.dispatch.release import release_wave
from issuance.dispatch.seal import Sealer
from issuance.errors import IssuanceError
from issuance.intake.data_docs import publish_data_docs
from issuance.ledger.connection import Connection, business_day, connect
from issuance.settings import Settings
from issuance.tracking.holder_events import apply_holder_events
from issuance.tracking.notices import send_notices
from issuance.vault.envelopes import SealingKey, open_sealed, seal_to
from issuance.vault.keys import OPENING, KeyService, NamedKey
from issuance.vault.objects import ObjectStore
from issuance.wire.avro import encode_body
from issuance.wire.codec import FRAME
from issuance.wire.consumer import Context
from issuance.wire.outbox import write_outbox
from issuance.wire.refusals import Message, refuse_message
from issuance.words.references import card_ref_of

CLOSED = OPENS + timedelta(days=60)
NEIGHBOURS = 4


def canary(start: int) -> list[Row]:
    """A cohort's rows: one mailed with a photo, some neighbours, one of an employer, one that is quarantined."""
    photo = {"photo_ref": f"{start}.jpg", "photo_sha256": sha256(picture(background=255 - start % 20))}
    first = {
        "name": "金丝雀", "phone": f"1599{start:07d}", "address": f"金丝雀路{start}号",
        "postcode": "100001", "collection_method": "mail", "outlet_code": "",
    }  # fmt: skip
    rows = [person(start + n, application_id=f"A-{n}", phone=f"1588{start + n:07d}") for n in range(NEIGHBOURS)]
    rows[0] |= first | photo
    rows[1] |= {"collection_method": "employer", "outlet_code": "", "employer_code": "E-77"}
    return [*rows, person(start + 9, application_id="A-bad", phone=f"1577{start:07d}x", name="金丝雀隔离")]


def values_of(row: Row) -> list[str]:
    """The values of a row that tell who somebody is."""
    return [row[name] for name in ("id_number", "phone", "address") if row.get(name)]


class Cohort:
    """A cohort of a module's ledger; `start` tells its people apart from other cohorts'."""

    def __init__(self, intakes: Intakes, name: str, start: int) -> None:
        self.intakes, self.settings, self.name, self.start = intakes, intakes.settings, name, start
        self.rows, self.new_phone = canary(start), f"1549{start:07d}"
        self.refs = [card_ref_of(name, f"A-{n}") for n in range(NEIGHBOURS)]
        store = ObjectStore.of(self.settings)  # what an earlier run of the tests has left
        store.delete_all(key for key in store.list("") if f"/{name}/" in key or f"/{name}." in key)
        photos = intakes.directory / "photos"
        photos.mkdir(exist_ok=True)
        (photos / f"{start}.jpg").write_bytes(picture(background=255 - start % 20))

    def take_in(self) -> Cohort:
        """Submitted, validated, decided, accepted, its Data Docs published."""
        intake = self.intakes.take_in(self.name, self.rows)
        publish_data_docs(intake)
        return self

    def dispatch(self) -> Cohort:
        """Planned, released and sealed; a holder event applied, another refused; everybody told."""
        plan_as(self.settings, self.name, 1, "planner")
        release_wave(self.settings, self.name, 1, "releaser")
        assert Sealer(self.settings).seal_wave(self.name, 1) == 1
        with connect(self.intakes.url) as connection:
            assert self.event(connection, "applied", "PHONE_CHANGED", phone=self.new_phone) is None
            self._dead_letter(connection)
            connection.execute(
                "INSERT INTO decision (card_ref, attempt, kind, occasion, reason, business_day, decided_by)"
                " SELECT card_ref, 1, 'NOTICE', 'x', 'RECEIVED', %s, 'rules' FROM card JOIN cohort USING (cohort_no)"
                " WHERE cohort_id = %s", (OPENS, self.name),
            )  # fmt: skip
        send_notices(self.settings)
        return self

    def event(self, connection: Connection, event_id: str, event: str, **values: str) -> str | None:
        """A holder event about the first card; returns the code for which it was refused."""
        message = self._message(event_id, event, values)
        context = Context(self.settings, REGISTRY, end_of(CLOSED), CLOSED)
        (outcome,), _ = apply_holder_events(connection, [message], context)
        return outcome.refusal

    def _message(self, event_id: str, event: str, values: dict[str, str]) -> Message:
        public = KeyService(self.settings.keys_dir).opening_public_keys()[0]
        sealed = seal_to(
            SealingKey(OPENING, "RSA-OAEP-256", public.pem), json.dumps(values, ensure_ascii=False).encode()
        ).decode()
        value = {
            "event_id": f"{self.name}-{event_id}", "source": "MSB", "event": event, "cohort_id": None,
            "card_ref": str(self.refs[0]), "application_id": "A-0", "occurred_at": instant_on(OPENS, 12),
            "sealed": sealed, "annuls_source": None, "annuls_event_id": None,
        }  # fmt: skip
        body = FRAME.pack(0, 1) + encode_body("holder_event", value)
        return Message("issuance.holder-events.MSB.v1", 0, self.start, "MSB", b"k", body, (), as_read(value))

    def _dead_letter(self, connection: Connection) -> None:
        """A refused event, which the relay has sent."""
        message = self._message("refused", "NAME_CHANGED", {"name": "金丝雀死信"})
        write_outbox(connection, refuse_message(connection, message, "FIELD_INVALID", OPENS), OPENS)
        connection.execute("UPDATE outbox SET sent = true")

    def make_and_hand_over(self) -> Cohort:
        """The factory has made and handed over everything: the job has ended."""
        with connect(self.intakes.url) as connection:
            (job_id,) = connection.execute(
                "SELECT job_id FROM job JOIN cohort USING (cohort_no) WHERE cohort_id = %s", (self.name,)
            ).fetchone() or ("",)
            place = {"handover_id": f"H-{self.name}", "handover_count": len(self.refs), "to_place": "ICBC-001"}
            today = (business_day(connection) - OPENS).days  # the job was sealed on it
            for step, head in (
                ("JOB_ACCEPTED", {"kind": "JOB", "job_id": job_id}),
                ("MADE", {}),
                ("HANDED_OVER", place),
            ):
                items = [item(step, ref, today) for ref in ([None] if head.get("kind") else self.refs)]
                merge(connection, report("F-ICBC", f"{self.name}-{step}", items, **head), day=today)
        return self

    def close(self, day: date = CLOSED, states: str = "DESTROYED") -> Cohort:
        """Every card ended in one state, and the cohort closed on a day; how cards end is tested elsewhere."""
        with connect(self.intakes.url) as connection:
            of = "cohort_no = (SELECT cohort_no FROM cohort WHERE cohort_id = %s)"
            connection.execute(f"UPDATE card SET state = %s WHERE {of}", (states, self.name))
            connection.execute(f"DELETE FROM tally WHERE {of}", (self.name,))
            connection.execute(
                f"INSERT INTO tally SELECT cohort_no, state, count(*) FROM card WHERE {of} GROUP BY 1, 2", (self.name,)
            )
            connection.execute(
                "UPDATE cohort SET state = 'CLOSED', closed_on = %s WHERE cohort_id = %s", (day, self.name)
            )
        return self


def everything_readable(settings: Settings) -> dict[str, bytes]:
    """Every S3 object by key: its bytes, and what our keys, the cohorts' and the partners' make of it."""
    store, keys = ObjectStore.of(settings), KeyService(settings.keys_dir)
    privates = [keys.opening_key()]
    for folder in sorted(settings.partner_credentials_dir.iterdir()):
        if (folder / "private.pem").exists():
            privates.append(NamedKey(folder.name, (folder / "private.pem").read_bytes()))
    found = {}
    for key in store.list(""):
        sealed = store.get(key)
        found[key] = sealed + b"\n" + opened(keys, privates, key, sealed)
    return found


def opened(keys: KeyService, privates: list[NamedKey], key: str, sealed: bytes) -> bytes:
    """The clear content of an object, empty where no key opens it; compressed forms unpacked."""
    if key.endswith(".jwe"):
        for private in privates:
            with suppress(IssuanceError):
                return unpacked(open_sealed(private, sealed))
        return b""
    with suppress(IssuanceError, IndexError):
        return unpacked(keys.open(key.split("/")[1], key, sealed))
    return b""


def unpacked(clear: bytes) -> bytes:
    """The text of what we seal: an Arrow stream, a JWS around an Avro container, or as it is."""
    if clear.count(b".") == 2 and clear.startswith(b"ey"):
        body = clear.split(b".")[1]
        return unpacked(urlsafe_b64decode(body + b"=" * (-len(body) % 4)))
    if clear.startswith(b"Obj\x01"):
        return json.dumps(list(fastavro.reader(io.BytesIO(clear))), ensure_ascii=False, default=str).encode()
    with suppress(pa.ArrowInvalid, OSError), pa.ipc.open_stream(clear) as reader:
        return reader.read_all().to_pandas().to_csv().encode()
    return clear


def raw_bodies(connection: Connection, private: NamedKey) -> bytes:
    """What our key makes of sealed values in messages that the ledger keeps."""
    found = b""
    for (body,) in connection.execute("SELECT body FROM outbox WHERE record IS NULL").fetchall():
        start = bytes(body).find(b"eyJ")
        sealed = bytes(body)[start:].split(b"\0")[0] if start >= 0 else b""
        with suppress(IssuanceError):
            found += open_sealed(private, sealed)
    return found


def hashes_of(settings: Settings, rows: list[Row]) -> list[str]:
    """The keyed hashes of people, as PostgreSQL shows bytes."""
    keys = KeyService(settings.keys_dir)
    return [keys.person_hash("resident_id", row["id_number"]).hex() for row in rows]
