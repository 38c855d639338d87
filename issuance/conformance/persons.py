"""The synthetic people of a check: valid rows whose values cannot occur by chance, so that a leak is detected.

Nobody real is meant: sequence 999 of an ID number is used for made-up people alone (producers/people.py keeps it free),
phones have the unassigned prefix 161.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np

from issuance.intake.identifiers import check_characters
from issuance.ledger.connection import Connection
from issuance.vault.keys import PersonHasher

Row = dict[str, str]
PLACES = ("110101", "110102", "110103", "110104", "110105", "110106", "110107", "110108", "110109", "110111")
FIRST_BIRTH, BIRTHS = date(1935, 1, 1), 9_000
"""Days of birth up to 1959: retired by every policy."""
MARK = "核验"


def make_persons(connection: Connection, hasher: PersonHasher, count: int) -> list[Row]:
    """Some people without a known card: identity, name, phone, address."""
    people: list[Row] = []
    for id_number, born in _identities():
        known = connection.execute(
            "SELECT FROM acceptance WHERE person = %s", (hasher("resident_id", id_number),)
        ).fetchone()
        if known is None:
            people.append(_person(id_number, born))
        if len(people) == count:
            break
    return people


def _identities() -> Iterator[tuple[str, date]]:
    """All of them, from a random one on."""
    size = len(PLACES) * BIRTHS
    start = secrets.randbelow(size)
    for n in range(size):
        day, place = divmod((start + n) % size, len(PLACES))
        born = FIRST_BIRTH + timedelta(day)
        body = f"{PLACES[place]}{born:%Y%m%d}999"
        yield body + chr(check_characters(np.array([[int(digit) for digit in body]]))[0]), born


def _person(id_number: str, born: date) -> Row:
    mark = "".join(secrets.choice("甲乙丙丁戊己庚辛壬癸") for _ in range(4))
    number = secrets.randbelow(10**8)
    return {
        "id_type": "resident_id",
        "id_number": id_number,
        "birth_date": born.isoformat(),
        "sex": "male",
        "name": f"{MARK}{mark}",
        "phone": f"161{number:08d}",
        "address": f"北京市西城区{MARK}{mark}胡同{number}号",
        "postcode": "100032",
    }


def telling_values(row: Row) -> list[str]:
    """The values of a row that tell who somebody is."""
    return [row[name] for name in ("name", "id_number", "phone", "address") if row[name]]
