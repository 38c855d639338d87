"""Working days by the State Council's calendar, holidays and make-up Saturdays included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from issuance.errors import Misconfigured


@dataclass(frozen=True)
class Calendar:
    """The working days of a city, for the years that have been published."""

    def is_working_day(self, day: date) -> bool:
        """Whether a day is a working day, make-up Saturdays included.

        Raises:
            Misconfigured: CALENDAR_UNKNOWN, that year's working days are not published yet.
        """
        import chinese_calendar

        try:
            return bool(chinese_calendar.is_workday(day))
        except NotImplementedError as error:
            raise Misconfigured(
                "CALENDAR_UNKNOWN",
                f"尚无 {day.year} 年的工作日：国务院公布后请更新 `chinesecalendar`。"
                f" / the working days of {day.year} are not known: install a newer `chinesecalendar`"
                " once the State Council has published them",
                year=day.year,
            ) from error

    def is_known(self, day: date) -> bool:
        """Whether the working days of a day's year are known."""
        try:
            self.is_working_day(day)
        except Misconfigured:
            return False
        return True

    def add_working_days(self, day: date, count: int) -> date:
        """The day `count` working days after `day`."""
        while count > 0:
            day += timedelta(days=1)
            count -= self.is_working_day(day)
        return day


STATE_COUNCIL = Calendar()
"""The calendar of every city: working days are the State Council's."""
