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


def end_of(day: date) -> datetime:
    """The last millisecond of a Shanghai day, in UTC."""
    following = datetime.combine(day + timedelta(days=1), time(), SHANGHAI)
    return (following - timedelta(milliseconds=1)).astimezone(UTC)


def instant_on(day: date, hour: int, minute: int = 0, second: int = 0, millisecond: int = 0) -> datetime:
    """An instant of a Shanghai day, in UTC."""
    local = datetime.combine(day, time(hour, minute, second, millisecond * 1000), SHANGHAI)
    return local.astimezone(UTC)
