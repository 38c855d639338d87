"""Another issuer takes the place of the former one: its users are other people, and one of them is the admin."""

from __future__ import annotations

import pytest

from issuance.errors import Refused
from issuance.ledger.connection import Connection
from issuance.users.identity import Identity
from issuance.users.register import Service, open_desk, register_user, require_issuer
from issuance.users.rights import RIGHTS, grant_first, rights_of

FORMER, PRESENT = "airflow:A", "https://login.example"
SERVICE = Service("1", "desk", "https://desk.example")


@pytest.fixture
def former(ledger: Connection) -> str:
    """The admin of a ledger whose users log in at the former issuer."""
    open_desk(ledger, FORMER, SERVICE)
    admin = register_user(ledger, Identity(FORMER, "1", "boss"))
    grant_first(ledger, {admin: tuple(RIGHTS)}, "pipeline")
    return admin


def adopt(ledger: Connection) -> str:
    """The first admin of the present issuer, as the desk names one when it starts."""
    open_desk(ledger, PRESENT, SERVICE, adopt=True)
    admin = register_user(ledger, Identity(PRESENT, "1", "boss"))
    grant_first(ledger, {admin: tuple(RIGHTS)}, "pipeline")
    return admin


def test_another_issuer_is_refused_until_it_is_adopted(ledger: Connection, former: str) -> None:
    with pytest.raises(Refused, match="ISSUER_CHANGED"):
        open_desk(ledger, PRESENT, SERVICE)
    with pytest.raises(Refused, match="ISSUER_CHANGED"):
        require_issuer(ledger, PRESENT)
    adopt(ledger)
    require_issuer(ledger, PRESENT)
    with pytest.raises(Refused, match="ISSUER_CHANGED"):
        require_issuer(ledger, FORMER)


def test_the_same_number_at_another_issuer_is_another_user(ledger: Connection, former: str) -> None:
    assert adopt(ledger) != former


def test_a_second_first_admin_is_none(ledger: Connection, former: str) -> None:
    other = register_user(ledger, Identity(FORMER, "2", "other"))
    grant_first(ledger, {other: tuple(RIGHTS)}, "pipeline")
    assert not rights_of(ledger, other).allow("admin", ["*"])


def test_an_adopted_issuers_first_admin_may_grant(ledger: Connection, former: str) -> None:
    assert rights_of(ledger, adopt(ledger)).allow("admin", ["*"])
