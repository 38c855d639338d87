"""A city is one value: who serves it, when its cards are due, and what its calendar does not know."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from issuance.city.city import Cities
from issuance.city.partners import load_registry
from issuance.errors import Refused

POLICIES = Path(__file__).parents[2] / "policies"
CITIES = Cities(load_registry(POLICIES / "partners.demo.yaml"), POLICIES)


def test_a_served_city_carries_policy_hrss_calendar_and_partners() -> None:
    city = CITIES["110000"]
    assert (city.code, city.hrss) == ("110000", "HRSS-BJ")
    assert city.partners is CITIES.partners
    assert city.due_on(date(2025, 10, 9)) == date(2025, 11, 8)
    assert city.calendar.is_working_day(date(2025, 10, 11)), "a make-up Saturday"


@pytest.mark.parametrize("code", ["310000", "999999", "../110000", ""])
def test_a_city_that_no_partner_serves_is_refused(code: str) -> None:
    with pytest.raises(Refused, match="CITY_NOT_SERVED") as caught:
        CITIES[code]
    assert caught.value.details == {"city": code, "served": ["110000"]}


@pytest.mark.parametrize(("opens_on", "known"), [(date(2025, 10, 9), True), (date(2049, 12, 20), False)])
def test_an_opening_day_whose_due_dates_nobody_knows_is_refused(opens_on: date, known: bool) -> None:
    city = CITIES["110000"]
    if known:
        city.require_calendar(opens_on)
        return
    with pytest.raises(Refused, match="CALENDAR_UNKNOWN"):
        city.require_calendar(opens_on)
