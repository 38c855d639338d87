"""One person at the desk: found by ID number (hashed, in the body), exported, erased; cohorts erased when due."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from issuance.desk.door import Act
from issuance.desk.routes_cohorts import Reason
from issuance.desk.routing import acts, reads
from issuance.desk.scopes import OWN
from issuance.errors import Refused
from issuance.ledger.queries import city_of, cohort_number
from issuance.retention.certificates import list_certificates
from issuance.retention.cohorts import run_retention
from issuance.retention.due import list_retention
from issuance.retention.erase import erase_person
from issuance.retention.export import export_person
from issuance.retention.persons import Named, find_card, list_cards
from issuance.vault.keys import KeyService
from issuance.words.codes import LEGAL_GROUNDS

router = APIRouter(tags=["个人信息 / persons"])


class Person(BaseModel):
    """One person, by one of: card, (cohort, application), ID number with its type. Of a number only a hash is used."""

    card: str | None = None
    cohort: str | None = None
    application: str | None = None
    id_type: str | None = None
    id_number: str | None = Field(None, max_length=64, repr=False)

    def named(self, act: Act) -> Named:
        """The person as the ledger finds it.

        Raises:
            Refused: not exactly one way of naming is given.
        """
        by_application, by_number = (self.cohort, self.application), (self.id_type, self.id_number)
        if [bool(self.card), all(by_application), all(by_number)].count(True) != 1:
            raise Refused(
                "PERSON_UNNAMED",
                "请用卡号、批次与申请号、证件类型与号码之一指定一人。"
                " / name a person by card, by cohort and application, or by ID type and number.",
            )
        if self.id_type and self.id_number:
            number = self.id_number.strip().upper()
            return Named(person=KeyService(act.settings.keys_dir).person_hash(self.id_type, number))
        return Named(self.card, (self.cohort, self.application) if self.cohort and self.application else None)

    def required(self, act: Act) -> Named:
        """The person, if the user has the route's right in the city of each of their cards."""
        named = self.named(act)
        cards = list_cards(act.connection, find_card(act.connection, named))
        act.require(sorted({card["city"] for card in cards}))
        return named


@acts(router, "/persons/find", "view", OWN, kept=False)
def find(act: Act, body: Person) -> Any:
    """按证件号查人。 The cards of a person in the user's cities; the number stands in the body and is only hashed."""
    return act.seen(list_cards(act.connection, find_card(act.connection, body.named(act))))


class PersonExport(Person, Reason):
    """Whose, why, and the public key (PEM) that the export is sealed to, if any."""

    seal_to: str | None = None


@acts(router, "/persons/export", "unmask", OWN, kept=False)
def export(act: Act, body: PersonExport) -> Any:
    """查阅、复制。 Everything held about a person, in clear or sealed; with the reason in the audit."""
    pem = body.seal_to.encode() if body.seal_to else None
    content, counts = export_person(act.connection, act.settings, body.required(act), act.by, body.reason, pem)
    headers = {f"Issuance-{name.capitalize()}": str(count) for name, count in counts.items()}
    return Response(content, media_type="application/jose" if pem else "application/json", headers=headers)


class Erasure(Person):
    """Whose, and the legal ground; required while a card is under way (it is then withdrawn) or live."""

    ground: str | None = None


@acts(router, "/persons/erase", "erase", OWN, apart=True)
def erase(act: Act, body: Erasure) -> Any:
    """删除。 Erase a person with all cards; facts and decisions stay. Answers the certificate."""
    if body.ground is not None and body.ground not in LEGAL_GROUNDS:
        raise Refused("GROUND_UNKNOWN", f"依据只能是 / the ground is one of: {', '.join(LEGAL_GROUNDS)}.")
    return erase_person(act.settings, body.required(act), body.ground or "REQUESTED", act.by)


@reads(router, "/retention", "view", OWN)
def retention(act: Act) -> Any:
    """保存期限。 Every cohort: when its personal data is due for erasure, what prevents it, the certificate."""
    mine = act.cohorts()
    return [one.as_dict() for one in list_retention(act.connection, act.settings) if one.cohort_id in mine]


class Due(BaseModel):
    """Which cohorts; none: all that are due."""

    cohorts: list[str] = []


@acts(router, "/retention/run", "erase", OWN, apart=True)
def run(act: Act, body: Due) -> Any:
    """到期清除。 Erase all cohorts that are due, or the given ones if due; completes interrupted erasures."""
    named = [city_of(act.connection, cohort_number(act.connection, cohort)) for cohort in body.cohorts]
    act.require(named or ["*"])
    return run_retention(act.settings, act.by, body.cohorts)


@reads(router, "/certificates", "view", OWN)
def certificates(act: Act, cohort_id: str | None = None, number: int | None = None) -> Any:
    """清除证明。 Certificates of erasure: what was erased, what stays and why, when, by whom."""
    mine = act.cohorts()
    return [row for row in list_certificates(act.connection, cohort_id, number) if row["cohort_id"] in mine]
