"""What a route is about: the cities in which its right is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from issuance.errors import Refused, unknown_cohort
from issuance.ledger.connection import Connection
from issuance.ledger.queries import card_ref_of_text, unknown_card
from issuance.users.rights import EVERYWHERE

Cities = Callable[[Connection, Mapping[str, Any]], list[str] | None]


@dataclass(frozen=True)
class Scope:
    """How the cities of a request are found; None: the route asks for the right itself, or shows what may be seen."""

    name: str
    cities: Cities


def _cohort(connection: Connection, values: Mapping[str, Any]) -> list[str]:
    return _city(connection, "cohort WHERE cohort_id = %s", values["cohort_id"], unknown_cohort(values["cohort_id"]))


def _card(connection: Connection, values: Mapping[str, Any]) -> list[str]:
    ref = card_ref_of_text(values["card_ref"])
    return _city(connection, "cohort JOIN card USING (cohort_no) WHERE card_ref = %s", ref, unknown_card(str(ref)))


def _job(connection: Connection, values: Mapping[str, Any]) -> list[str]:
    name = values["job_id"]
    unknown = Refused("JOB_UNKNOWN", f"没有任务 {name}。 / no such job: {name}.")
    return _city(connection, "cohort JOIN job USING (cohort_no) WHERE job_id = %s", name, unknown)


def _break(connection: Connection, values: Mapping[str, Any]) -> list[str]:
    """A break that is about no cohort concerns everybody."""
    name = values["break_id"]
    unknown = Refused("BREAK_UNKNOWN", f"没有差异 {name}。 / no such break: {name}.")
    found = "break LEFT JOIN cohort USING (cohort_no) WHERE break_id::text = %s"
    return [city or EVERYWHERE for city in _city(connection, found, name, unknown)]


def _event(connection: Connection, values: Mapping[str, Any]) -> list[str]:
    name = values["event_no"]
    unknown = Refused("EVENT_UNKNOWN", f"没有登记 {name}。 / no such told event: {name}.")
    found = "cohort JOIN card USING (cohort_no) JOIN told_event USING (card_ref) WHERE event_no = %s"
    return _city(connection, found, name, unknown)


def _brake(connection: Connection, values: Mapping[str, Any]) -> list[str]:
    name = values["brake_no"]
    unknown = Refused("BRAKE_UNKNOWN", f"没有刹车 {name}。 / no such brake: {name}.")
    return _city(connection, "brake WHERE brake_no = %s", name, unknown)


def _city(connection: Connection, source: str, value: Any, unknown: Refused) -> list[str]:
    row = connection.execute(f"SELECT city FROM {source}", (value,)).fetchone()
    if row is None:
        raise unknown
    return [row[0]]


COHORT = Scope("its cohort's city", _cohort)
CARD = Scope("its card's city", _card)
JOB = Scope("its job's city", _job)
BREAK = Scope("its cohort's city, or every city", _break)
EVENT = Scope("its card's city", _event)
BRAKE = Scope("its city", _brake)
ALL = Scope("every city", lambda connection, values: [EVERYWHERE])
OWN = Scope("a city; only what is of the user's cities", lambda connection, values: None)
"""The route shows, or acts on, what is of cities in which the user has the right; somewhere it must be had."""
