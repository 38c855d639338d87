"""A city is one value: its policy, its HRSS, its working days, and the partners that serve it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from issuance.city.calendar import STATE_COUNCIL, Calendar
from issuance.city.partners import Registry, load_registry
from issuance.city.policy import Policy, load_policy
from issuance.errors import Misconfigured, Refused
from issuance.settings import Settings


@dataclass(frozen=True)
class City:
    """The rules and partners that apply to the cards of one city; passed to whatever decides about one of them."""

    policy: Policy
    partners: Registry
    calendar: Calendar

    @property
    def code(self) -> str:
        """Six digits of GB/T 2260."""
        return self.policy.city

    @property
    def hrss(self) -> str:
        """The HRSS that loads keys into, activates and stores this city's cards."""
        return self.partners.hrss

    def due_on(self, start: date) -> date:
        """The day by which a card must be made; its clock starts on `start`, the later of application and opening day.

        Raises:
            Misconfigured: CALENDAR_UNKNOWN, the working days of a year are not known yet.
        """
        return self.policy.due_days.after(start, self.calendar)

    def require_calendar(self, opens_on: date) -> None:
        """Refuse a cohort with due dates in a year whose working days are not known.

        Raises:
            Refused: CALENDAR_UNKNOWN.
        """
        try:
            known = self.calendar.is_known(self.due_on(opens_on))
        except Misconfigured:  # the clock itself runs in working days
            known = False
        if not known:
            raise Refused(
                "CALENDAR_UNKNOWN",
                f"{opens_on} 启动的批次，其制卡期限所在年份的工作日尚未公布，暂不能受理。"
                f" / the cards of a cohort that opens on {opens_on} fall due in a year whose working days are not"
                " published yet: submit it once the calendar has them.",
                opens_on=str(opens_on),
            )


@dataclass(frozen=True)
class Cities:
    """The cities of one installation, over the partners that they share."""

    partners: Registry
    policies_dir: Path

    @property
    def served(self) -> list[str]:
        """The codes of the cities that a partner of the registry serves."""
        return [self.partners.city]

    def __getitem__(self, code: str) -> City:
        """The city of a cohort.

        Raises:
            Refused: CITY_NOT_SERVED, no partner of the registry serves it.
            Misconfigured: its policy is missing or wrong.
        """
        if code not in self.served:
            raise Refused(
                "CITY_NOT_SERVED",
                f"本系统未开通城市 {code}，已开通：{', '.join(self.served)}。"
                f" / city {code} is not served here; served: {', '.join(self.served)}.",
                city=code,
                served=self.served,
            )
        return City(load_policy(self.policies_dir, code), self.partners, STATE_COUNCIL)


def load_cities(settings: Settings) -> Cities:
    """The cities of this installation; files that have changed are read again."""
    return Cities(load_registry(settings.partners_file), settings.policies_dir)


def load_city(settings: Settings, code: str) -> City:
    """One city: see Cities."""
    return load_cities(settings)[code]


def served_city(settings: Settings) -> City:
    """The city that the registry serves."""
    cities = load_cities(settings)
    return cities[cities.served[0]]
