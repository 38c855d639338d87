"""Business time: the real clock in production, a value stepped by whole days in demo and tests (principle 11).

Days are Asia/Shanghai, instants UTC. Working days follow the State Council's calendar.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def day_of(instant: datetime) -> date:
    """The Shanghai day of an aware instant."""
    return instant.astimezone(SHANGHAI).date()


def milliseconds(instant: datetime) -> int:
    """UTC milliseconds of an aware instant, exactly."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000


def instant_of(milliseconds: int) -> datetime:
    """The instant of UTC milliseconds, as inbound records hold them."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def date_of(days: int) -> date:
    """The day of days since 1970-01-01, as inbound records hold them."""
    return date(1970, 1, 1) + timedelta(days=days)


def end_of(day: date) -> datetime:
    """The last millisecond of a Shanghai day, in UTC."""
    following = datetime.combine(day + timedelta(days=1), time(), SHANGHAI)
    return (following - timedelta(milliseconds=1)).astimezone(UTC)


def instant_on(day: date, hour: int, minute: int = 0, second: int = 0, millisecond: int = 0) -> datetime:
    """An instant of a Shanghai day, in UTC."""
    local = datetime.combine(day, time(hour, minute, second, millisecond * 1000), SHANGHAI)
    return local.astimezone(UTC)
