"""Business time: the clock in real use, a value that moves by whole days in demo and tests (principle 11).

Days are Asia/Shanghai, instants UTC. Working days follow the State Council's calendar.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from issuance.errors import Misconfigured

SHANGHAI = ZoneInfo("Asia/Shanghai")


def day_of(instant: datetime) -> date:
    """The Shanghai day of an aware instant."""
    return instant.astimezone(SHANGHAI).date()


def end_of(day: date) -> datetime:
    """The last millisecond of a Shanghai day, in UTC."""
    following = datetime.combine(day + timedelta(days=1), time(), SHANGHAI)
    return (following - timedelta(milliseconds=1)).astimezone(UTC)


def instant_on(day: date, hour: int, minute: int = 0, second: int = 0, millisecond: int = 0) -> datetime:
    """An instant of a Shanghai day, in UTC."""
    local = datetime.combine(day, time(hour, minute, second, millisecond * 1000), SHANGHAI)
    return local.astimezone(UTC)


def is_working_day(day: date) -> bool:
    """Whether a day is worked, make-up Saturdays included.

    Raises:
        Misconfigured: the State Council's calendar of that year is not known yet.
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


def is_known(day: date) -> bool:
    """Whether the working days of a day's year are known."""
    try:
        is_working_day(day)
    except Misconfigured:
        return False
    return True


def add_working_days(day: date, count: int) -> date:
    """The day that lies `count` working days after `day`."""
    while count > 0:
        day += timedelta(days=1)
        count -= is_working_day(day)
    return day
