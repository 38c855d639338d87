"""`issuance card`, `job`, `break`, `dlq`, `event`, `topics goon`: what operators see and do."""

from __future__ import annotations

from datetime import date
from typing import Any

import click

from issuance.client.session import desk
from issuance.commands.output import emit, tell
from issuance.commands.values import AS_JSON, DRY_RUN, NOTE, REASON, Day


@click.group()
def card() -> None:
    """卡。 Cards."""


@card.command(name="show")
@click.argument("card_ref")
@AS_JSON
def show_card(card_ref: str, as_json: bool) -> None:
    """One card's whole life: facts, decisions, breaks."""
    emit(desk().get(f"cards/{card_ref}"), as_json)


@card.command()
@click.argument("words")
@AS_JSON
def find(words: str, as_json: bool) -> None:
    """查卡。 Find cards by application id, tracking number, hand-over id, job id or serial number."""
    emit(desk().get("cards", words=words), as_json)


@card.command()
@click.argument("card_ref")
@AS_JSON
def why(card_ref: str, as_json: bool) -> None:
    """原因。 Which rules hold for a card now, and why: state, decisions, breaks; nothing is changed."""
    found = desk().get(f"cards/{card_ref}/why")
    if as_json:
        emit(found, True)
        return
    for part, heading in WHY.items():
        click.echo(f"\n{heading}")
        emit(found[part] if part != "card" else [found[part]], False)


WHY = {
    "card": "卡：账上状态与应有状态 / the card: the state that is kept, and the one that follows now",
    "plastics": "各张卡片：状态与依据 / its plastics: state, and the condition that gives it",
    "decisions": "成立的决定规则 / rules of decisions that hold",
    "breaks": "成立的差异规则 / rules of breaks that hold",
}


@card.command()
@click.argument("card_ref")
@click.option("--reason", required=True, help="LOST_IN_HANDOVER or DAMAGED.")
@click.option("--note", required=True, help="What is known; recorded in the audit.")
@DRY_RUN
def remake(card_ref: str, reason: str, note: str, dry_run: bool) -> None:
    """补制。 Have a card re-made whose plastic was lost or damaged before collection."""
    done = desk().act(f"cards/{card_ref}/remake", {"reason": reason, "note": note}, dry_run=dry_run)
    tell(f"{card_ref}/{done['attempt']} 将补制 / will be re-made", dry_run)


@card.command()
@click.argument("card_ref")
@REASON
@AS_JSON
def phone(card_ref: str, reason: str, as_json: bool) -> None:
    """查看电话。 The holder's phone number in clear; each time is a line of the audit."""
    emit(desk().act(f"cards/{card_ref}/phone", {"reason": reason}), as_json)


@click.group(name="request")
def requests() -> None:
    """请求。 What partners were asked about plastics: list, waive."""


@requests.command(name="list")
@click.option("--cohort", "cohort_id", help="Of one cohort.")
@click.option("--partner", help="Of one partner.")
@AS_JSON
def list_requests(cohort_id: str | None, partner: str | None, as_json: bool) -> None:
    """待回应的请求。 Requests that nobody has answered, those first that are due first."""
    emit(desk().get("requests", cohort_id=cohort_id, partner=partner), as_json)


@requests.command()
@click.argument("card_ref")
@click.argument("attempt", type=int)
@click.argument("kind", metavar="REQUEST")
@NOTE
@DRY_RUN
def waive(card_ref: str, attempt: int, kind: str, note: str, dry_run: bool) -> None:
    """豁免。 Waive a request that nobody will answer; later steps of a cancel order are void, the card ends so."""
    done = desk().act(f"cards/{card_ref}/plastics/{attempt}/waive", {"request": kind, "note": note}, dry_run=dry_run)
    tell(f"{card_ref}/{attempt} {kind} 已豁免（{done['partner']}） / waived", dry_run)


@click.group()
def brake() -> None:
    """刹车。 What fell due in numbers and waits for a person: list, decide."""


@brake.command(name="list")
@AS_JSON
def list_brakes(as_json: bool) -> None:
    """刹车。 Every brake, those first that wait for a decision."""
    emit(desk().get("brakes"), as_json)


@brake.command()
@click.argument("number", type=int)
@click.option("--go-on/--keep", "goes_on", required=True, default=None, help="Let it go on, or keep it for this day.")
@NOTE
@DRY_RUN
def decide(number: int, goes_on: bool, note: str, dry_run: bool) -> None:
    """决定。 Let go on what a brake holds, or keep it for this day; it is asked again on the next one."""
    done = desk().act(f"brakes/{number}/decide", {"goes_on": goes_on, "note": note}, dry_run=dry_run)
    said = "继续 / goes on" if goes_on else "今日不办 / kept for this day"
    tell(f"{done['kind']} {done['city']} {done['carrier']} ({done['due']}): {said}", dry_run)


@click.group()
def event() -> None:
    """持卡人事项。 Holder events told at the desk: add, confirm, drop, list."""


@event.command()
@click.argument("card_ref")
@click.argument("kind", metavar="EVENT")
@click.option("--on", "occurred_on", type=Day(), required=True, help="The day on which it happened.")
@click.option("--paper", required=True, help="The paper that shows it; recorded in the audit.")
@click.option("--ask", "columns", multiple=True, help="Ask for the new value of a column; repeatable.")
@click.option("--annuls", metavar="SOURCE/EVENT_ID", help="Of ANNULLED: the earlier event that did not happen.")
@DRY_RUN
@AS_JSON
def add(
    card_ref: str,
    kind: str,
    occurred_on: date,
    paper: str,
    columns: tuple[str, ...],
    annuls: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """登记事项。 Tell a holder event of a card: DEATH, WITHDRAWN, NAME_CHANGED, ADDRESS_CHANGED, FEE_PAID …

    New values are asked for, or read from standard input a line each: every user of a machine sees command lines.
    ANNULLED takes an earlier event back, which `card show` names.
    A death or a withdrawal acts when a second user confirms it, or after the hours of the city's policy.
    """
    values = {column: click.prompt(column, hide_input=False, err=True) for column in columns}
    body = {"event": kind, "occurred_on": str(occurred_on), "paper": paper, "values": values, "annuls": annuls}
    done = desk().act(f"cards/{card_ref}/events", body, dry_run=dry_run)
    if as_json:
        emit(done, True)
    elif done["acts"] == "now":
        tell(f"登记 {done['event_no']} 已生效 / acts now", dry_run)
    else:
        tell(f"登记 {done['event_no']} 于 {done['acts_at']} 生效，或由他人确认 / acts then, or when another confirms:"
             f" issuance event confirm {done['event_no']}", dry_run)  # fmt: skip


@event.command()
@click.argument("number", type=int)
@DRY_RUN
def confirm(number: int, dry_run: bool) -> None:
    """确认。 As a second person, confirm a told event, which then acts at once."""
    done = desk().act(f"events/{number}/confirm", dry_run=dry_run)
    tell(f"{done['event']} {done['card_ref']} 已生效 / acts now", dry_run)


@event.command()
@click.argument("number", type=int)
@NOTE
@DRY_RUN
def drop(number: int, note: str, dry_run: bool) -> None:
    """撤回登记。 Take back a told event that has not acted yet."""
    done = desk().act(f"events/{number}/drop", {"note": note}, dry_run=dry_run)
    tell(f"{done['event']} {done['card_ref']} 已撤回 / dropped", dry_run)


@event.command(name="list")
@AS_JSON
def list_events(as_json: bool) -> None:
    """Told events, those that wait first."""
    emit(desk().get("events"), as_json)


@click.group()
def job() -> None:
    """制卡任务。 Jobs."""


@job.command(name="list")
@click.option("--cohort", "cohort_id")
@AS_JSON
def list_jobs(cohort_id: str | None, as_json: bool) -> None:
    """Jobs and their state."""
    emit(desk().get("jobs", cohort_id=cohort_id), as_json)


@job.command()
@click.argument("job_id")
@DRY_RUN
def resend(job_id: str, dry_run: bool) -> None:
    """重发任务。 Resend a job's order: the same file, while the factory has not answered."""
    desk().act(f"jobs/{job_id}/resend", dry_run=dry_run)
    tell(f"{job_id} 已重发 / resent", dry_run)


@job.command()
@click.argument("job_id")
@click.option("--to", "factory", help="Another factory; by default the bank's backup.")
@REASON
@DRY_RUN
def reassign(job_id: str, factory: str | None, reason: str, dry_run: bool) -> None:
    """改派。 Cancel a job and plan what is not made yet at another factory; a second person releases it."""
    done = desk().act(f"jobs/{job_id}/reassign", {"to": factory, "reason": reason}, dry_run=dry_run)
    cohort_id, wave = done["cohort_id"], done["wave"]
    tell(f"{cohort_id} 第 {wave} 制卡批代替 {job_id}，由他人放行 / wave {wave} replaces it; another person releases it:"
         f" issuance cohort release {cohort_id} {wave}", dry_run)  # fmt: skip


@click.group(name="break")
def break_() -> None:
    """差异。 Breaks: list, show, assign, resolve."""


@break_.command(name="list")
@click.option("--cohort", "cohort_id", help="Of one cohort.")
@click.option("--kind", help="Of one kind (docs/lifecycle.md lists them).")
@click.option("--owner", help="Whose.")
@click.option("--severity", type=click.Choice(["high", "normal"]), help="How severe.")
@click.option("--open", "only_open", is_flag=True, help="Open ones only: the default.")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@AS_JSON
def list_breaks(only_open: bool, everything: bool, as_json: bool, **which: str | None) -> None:
    """Differences, the oldest first: how severe, how old, whose, and what to do next."""
    if only_open and everything:
        raise click.UsageError("--open 与 --all 只能选一个。 / use either --open or --all.")
    rows = desk().get("breaks", everything=everything, **which)
    emit(rows if as_json else [_break_row(row) for row in rows], as_json)


def _break_row(row: dict[str, Any]) -> dict[str, Any]:
    """A break for people."""
    shown = ("break_id", "cohort_id", "kind", "severity", "age_days", "owner", "reference", "expected", "actual")
    closed = {"closed": row["closed_on"] and f"{row['closed_on']} {row['closed_by']}"}
    return {name: row[name] for name in shown} | closed | {"下一步 / next": row["remedy"]}


@break_.command(name="show")
@click.argument("break_id")
@AS_JSON
def show_break(break_id: str, as_json: bool) -> None:
    """One difference: the evidence from both sides, and what happened to it."""
    found = desk().get(f"breaks/{break_id}")
    if as_json:
        emit(found, True)
        return
    sides = {"对方 / theirs": found.pop("theirs"), "我方 / ours": found.pop("ours")}
    history = found.pop("history")
    emit(found, False)
    for side, parts in sides.items():
        for name, rows in parts.items():
            click.echo(f"\n{side}: {name}")
            emit(rows, False)
    click.echo("\n经过 / history")
    emit(history, False)


@break_.command()
@click.argument("break_id")
@click.argument("owner")
@DRY_RUN
def assign(break_id: str, owner: str, dry_run: bool) -> None:
    """Assign an owner to a break."""
    desk().act(f"breaks/{break_id}/assign", {"owner": owner}, dry_run=dry_run)
    tell(f"{break_id} → {owner}", dry_run)


@break_.command()
@click.argument("break_id")
@click.option("--note", required=True, help="The explanation.")
@DRY_RUN
def resolve(break_id: str, note: str, dry_run: bool) -> None:
    """Explain a break and close it."""
    desk().act(f"breaks/{break_id}/resolve", {"note": note}, dry_run=dry_run)
    tell(f"{break_id} 已说明 / explained", dry_run)


@click.group()
def dlq() -> None:
    """死信。 Dead letters."""


@dlq.command(name="list")
@AS_JSON
def list_dead_letters(as_json: bool) -> None:
    """Dead-lettered messages: where, whose, why."""
    emit(desk().get("dead-letters"), as_json)


@dlq.command()
@click.argument("topic", required=False)
@click.argument("partition", type=int, required=False)
@click.argument("offset", type=int, required=False)
@click.option("--code", help="All that were refused with this code and not replayed yet, instead of one.")
@DRY_RUN
def replay(topic: str | None, partition: int | None, offset: int | None, code: str | None, dry_run: bool) -> None:
    """Put a dead-lettered message back on its topic; since it is not in the inbox, it will be applied."""
    if (code is None) == (topic is None or partition is None or offset is None):
        raise click.UsageError("请给 TOPIC PARTITION OFFSET，或 --code。 / give TOPIC PARTITION OFFSET, or --code.")
    place: dict[str, Any] = {"topic": topic, "partition": partition or 0, "offset": offset or 0}
    done = desk().act("dead-letters/replay", {"code": code} if code else place, dry_run=dry_run)
    tell(f"{done['replayed']} 条已重放 / replayed", dry_run)


@click.command()
@click.argument("topic")
@NOTE
@DRY_RUN
def goon(topic: str, note: str, dry_run: bool) -> None:
    """继续。 Read a held topic again; one that was made anew from its beginning: what was applied does nothing."""
    done = desk().act(f"topics/{topic}/goon", {"note": note}, dry_run=dry_run)
    tell(f"{topic} 继续读取 / is read again ({', '.join(done['held'])})", dry_run)


COMMANDS = (card, event, requests, brake, job, break_, dlq)
