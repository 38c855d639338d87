"""Releasing a wave: the second pair of eyes is a row in the ledger; sealing asks for nothing else (principle 10)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Literal

import psycopg

from issuance.city.city import load_city
from issuance.errors import Refused
from issuance.ledger.audit import audit, require_note
from issuance.ledger.connection import Connection, business_day, transaction
from issuance.settings import Settings
from issuance.wire.news import tell_cohort

WaveState = Literal["absent", "wanted", "waiting", "released", "refused"]


def wave_state(settings: Settings, cohort_id: str, wave: int) -> WaveState:
    """The state of a wave: nobody wants it, wanted and not planned yet, waiting for a release, released, or refused."""
    with transaction(settings.database_url) as connection:
        row = connection.execute(
            "SELECT r.wave IS NOT NULL, w.refused IS NOT NULL, w.planned_on IS NOT NULL FROM wave w"
            " JOIN cohort USING (cohort_no) LEFT JOIN release r USING (cohort_no, wave)"
            " WHERE cohort_id = %s AND wave = %s",
            (cohort_id, wave),
        ).fetchone()
    if row is None:
        return "absent"
    released, refused, planned = row
    return "released" if released else "refused" if refused else "waiting" if planned else "wanted"


def _wave(connection: Connection, columns: str, cohort_id: str, wave: int, lock: str = "") -> Any:
    """Columns of a wave and its cohort.

    Raises:
        Refused: there is no such wave.
    """
    row = connection.execute(
        f"SELECT {columns} FROM wave JOIN cohort USING (cohort_no) WHERE cohort_id = %s AND wave = %s {lock}",
        (cohort_id, wave),
    ).fetchone()
    if row is None:
        raise Refused("WAVE_UNKNOWN", f"没有该制卡批。 / no such wave: {wave} of {cohort_id}.")
    return row


def release_wave(settings: Settings, cohort_id: str, wave: int, user: str, remake_ratio: float | None = None) -> None:
    """Write the release row; the ledger's CHECK refuses the submitter and the planner. Idempotent.

    It covers re-makes of the wave's plastics up to the policy's ratio, or the given one.

    Raises:
        Refused: no such wave, it is not planned yet or was refused, or the same person submitted or planned it.
    """
    with transaction(settings.database_url) as connection:
        columns = "cohort_no, city, planned_by, submitters, plastics, refused, planned_on"
        cohort_no, city, planned_by, submitters, plastics, refused, planned_on = _wave(
            connection, columns, cohort_id, wave, "FOR UPDATE OF wave"
        )
        if refused or not planned_on:
            raise Refused(
                "NOTHING_TO_RELEASE",
                f"第 {wave} 制卡批{'已被拒绝' if refused else '尚未编制完成'}，没有可放行的计划。"
                f" / wave {wave} of {cohort_id} {'was refused' if refused else 'is not planned yet'}.",
            )
        day = business_day(connection)
        ratio = load_city(settings, city).policy.remake_ratio if remake_ratio is None else remake_ratio
        values = (cohort_no, wave, planned_by, submitters, user, day, math.ceil(plastics * ratio))
        if _insert_release(connection, values):
            audit(connection, user, "release", f"{cohort_id}.{wave}", day, {"plastics": plastics})
            tell_cohort(connection, cohort_id, "RELEASED", day, wave=wave)


def _insert_release(connection: Connection, values: Sequence[Any]) -> bool:
    """Write the row; False if the wave is released already."""
    try:
        with connection.transaction():
            done = connection.execute(
                "INSERT INTO release (cohort_no, wave, planned_by, submitters, released_by, released_on,"
                " remakes_allowed) VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                values,
            )
    except psycopg.errors.CheckViolation as error:
        raise Refused(
            "SAME_PERSON",
            "您已提交或编制该计划，须由他人放行。 / you submitted or planned this wave; another person releases it.",
        ) from error
    return bool(done.rowcount)


def refuse_wave(settings: Settings, cohort_id: str, wave: int, user: str, reason: str) -> None:
    """Refuse a plan: its jobs and plastics are removed, its cards wait again. Idempotent.

    Locks the cohort and the wave.

    Raises:
        Refused: no reason, no such wave, or it is already released.
    """
    require_note(reason, "reason")
    with transaction(settings.database_url) as connection:
        cohort_no, refused = _wave(connection, "cohort_no, refused", cohort_id, wave, "FOR UPDATE")
        if _is_released(connection, cohort_no, wave):
            raise Refused("ALREADY_RELEASED", f"已放行。 / wave {wave} of {cohort_id} is already released.")
        if refused:
            return
        day = business_day(connection)
        take_back(connection, cohort_no, wave, {"by": user, "reason": reason, "on": str(day)})
        audit(connection, user, "refuse", f"{cohort_id}.{wave}", day, {"reason": reason})


def _is_released(connection: Connection, cohort_no: int, wave: int) -> bool:
    """Checked once the wave is locked, so that a concurrent release is seen."""
    found = connection.execute("SELECT FROM release WHERE (cohort_no, wave) = (%s, %s)", (cohort_no, wave))
    return found.fetchone() is not None


def take_back(connection: Connection, cohort_no: int, wave: int, refused: dict[str, Any]) -> None:
    """Remove the jobs and plastics of a wave that is not released, and record why; its cards wait again."""
    connection.execute(
        "UPDATE wave SET refused = %s WHERE (cohort_no, wave) = (%s, %s)",
        (json.dumps(refused, ensure_ascii=False), cohort_no, wave),
    )
    of_wave = "SELECT job_id FROM job WHERE cohort_no = %s AND wave = %s"
    connection.execute(
        "WITH gone AS (DELETE FROM plastic WHERE job_id IN (" + of_wave + ") RETURNING card_ref, attempt), "
        "back AS (UPDATE card SET last_attempt = attempt - 1 FROM gone WHERE card.card_ref = gone.card_ref)"
        " INSERT INTO changed_card SELECT card_ref FROM gone",
        (cohort_no, wave),
    )
    connection.execute("DELETE FROM job_item WHERE job_id IN (" + of_wave + ")", (cohort_no, wave))
    connection.execute("DELETE FROM job WHERE cohort_no = %s AND wave = %s", (cohort_no, wave))


def describe_wave(settings: Settings, cohort_id: str, wave: int) -> str:
    """What a releaser should know, Chinese first (Markdown): plastics, jobs, each factory's last day, late cards.

    Raises:
        Refused: there is no such wave.
    """
    with transaction(settings.database_url) as connection:
        row = _wave(connection, "plastics, forecast, user_name(planned_by), planned_on", cohort_id, wave)
    return "\n\n".join(_describe(cohort_id, wave, *row))


def _describe(
    cohort_id: str, wave: int, plastics: int, forecast: dict[str, Any], planned_by: str, planned_on: date | None
) -> Iterator[str]:
    jobs, late, left = (int(forecast.get(name, 0)) for name in ("jobs", "late_cards", "left"))
    planned = f"{planned_by} 于 {planned_on or '–'} 编制 / planned by {planned_by} on {planned_on or '–'}"
    yield f"批次 {cohort_id} 第 {wave} 制卡批，{planned}"
    yield f"**{plastics:,}** 张卡，{jobs} 个制卡任务 / {plastics:,} plastics in {jobs} jobs"
    if forecast.get("reassigned"):
        yield f"改派自 {forecast['reassigned']} / moved from {forecast['reassigned']}"
    if left:
        yield f"本制卡批之后还有 {left:,} 张待计划 / {left:,} cards wait for later waves"
    days = [f"- {factory}: {day or '–'}" for factory, day in forecast.get("finish", {}).items()]
    if days:
        yield "各厂完工日 / last day by factory\n\n" + "\n".join(days)
    for factory, cards in forecast.get("moved", {}).items():
        yield f"转备用厂 {factory}：{cards:,} 张 / {cards:,} cards go to the backup {factory}"
    yield f"**预计超期 {late:,} 张 / {late:,} cards will breach their due date**"
    breaches = [
        f"- {one['factory']}, {one['due_on']}: {one['cards']:,} → {one['made_on'] or '–'}"
        for one in forecast.get("late", [])[:20]
    ]
    if breaches:
        yield "\n".join(breaches)
