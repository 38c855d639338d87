"""`issuance card`, `job`, `break`, `dlq`: what operators see and do."""

from __future__ import annotations

from typing import Any

import click

from issuance.city.partners import load_registry
from issuance.commands.output import emit, read
from issuance.commands.values import AS_JSON
from issuance.ledger import queries
from issuance.ledger.audit import audit
from issuance.ledger.connection import business_day, transaction
from issuance.settings import load_settings


@click.group()
def card() -> None:
    """卡。 Cards."""


@card.command(name="show")
@click.argument("card_ref")
@AS_JSON
def show_card(card_ref: str, as_json: bool) -> None:
    """One card's whole life: facts, decisions, breaks."""
    emit(read(queries.show_card, card_ref), as_json)


@card.command()
@click.argument("words")
@AS_JSON
def find(words: str, as_json: bool) -> None:
    """查卡。 Find cards by application id, tracking number, hand-over id, job id or serial number."""
    emit(read(queries.find_cards, words), as_json)


@card.command()
@click.argument("card_ref")
@AS_JSON
def why(card_ref: str, as_json: bool) -> None:
    """原因。 Which rules hold for a card now, and why: state, decisions, breaks; nothing is changed."""
    from issuance.city.city import load_cities
    from issuance.tracking.why import explain_card

    found = read(explain_card, load_cities(load_settings()), card_ref)
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
def remake(card_ref: str, reason: str, note: str) -> None:
    """补制。 Have a card re-made whose plastic was lost or damaged before collection."""
    from issuance.airflow.login import current_user
    from issuance.tracking.by_hand import remake_card

    settings = load_settings()
    user = current_user(settings)
    with transaction(settings.database_url) as connection:
        attempt = remake_card(connection, card_ref, reason, note, user, business_day(connection))
    click.echo(f"{user}: {card_ref}/{attempt} will be re-made")


@click.group()
def job() -> None:
    """制卡任务。 Jobs."""


@job.command(name="list")
@click.option("--cohort", "cohort_id")
@AS_JSON
def list_jobs(cohort_id: str | None, as_json: bool) -> None:
    """Jobs and their state."""
    from issuance.dispatch.jobs import list_jobs as listed

    emit(read(listed, cohort_id), as_json)


@job.command()
@click.argument("job_id")
def resend(job_id: str) -> None:
    """重发任务。 Resend a job's order: the same file, while the factory has not answered."""
    from issuance.airflow.login import current_user
    from issuance.dispatch.job_acts import resend_job
    from issuance.vault.objects import ObjectStore

    settings = load_settings()
    user = current_user(settings)
    with transaction(settings.database_url) as connection:
        resend_job(connection, ObjectStore.of(settings), job_id, user)
    click.echo(f"{user}: resent {job_id}")


@job.command()
@click.argument("job_id")
@click.option("--to", "factory", help="Another factory; by default the bank's backup.")
@click.option("--reason", required=True, help="The reason; recorded in the audit.")
def reassign(job_id: str, factory: str | None, reason: str) -> None:
    """改派。 Cancel a job and plan what is not made yet at another factory; a second person releases it."""
    from issuance.airflow.login import session
    from issuance.dispatch.job_acts import reassign_job

    settings = load_settings()
    user, airflow = session(settings)
    with transaction(settings.database_url) as connection:
        registry = load_registry(settings.partners_file)
        cohort_id, wave = reassign_job(connection, registry, job_id, factory, reason, user)
    airflow.start_run("card_dispatch", {"cohort_id": cohort_id, "wave": wave}, f"{cohort_id}.{wave}")
    click.echo(f"{user}: wave {wave} of {cohort_id} replaces {job_id}; another person releases it: "
               f"issuance cohort release {cohort_id} {wave}")  # fmt: skip


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
    from issuance.breaks.listing import Wanted
    from issuance.breaks.listing import list_breaks as listed

    if only_open and everything:
        raise click.UsageError("--open 与 --all 只能选一个。 / use either --open or --all.")
    rows = read(listed, Wanted(**which, closed_too=everything))
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
    from issuance.reconcile.evidence import show_break as shown

    found = read(shown, break_id)
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
def assign(break_id: str, owner: str) -> None:
    """Assign an owner to a break."""
    from issuance.breaks.resolve import assign_break

    _act(assign_break, break_id, owner)


@break_.command()
@click.argument("break_id")
@click.option("--note", required=True, help="The explanation.")
def resolve(break_id: str, note: str) -> None:
    """Explain a break and close it."""
    from issuance.breaks.resolve import resolve_break

    _act(resolve_break, break_id, note)


def _act(act: Any, subject: str, text: str) -> None:
    from issuance.airflow.login import current_user

    settings = load_settings()
    user = current_user(settings)
    with transaction(settings.database_url) as connection:
        act(connection, subject, user, text, business_day(connection))
    click.echo(f"{user}: done")


@click.group()
def dlq() -> None:
    """死信。 Dead letters."""


@dlq.command(name="list")
@AS_JSON
def list_dead_letters(as_json: bool) -> None:
    """Dead-lettered messages: where, whose, why."""
    emit(read(queries.list_dead_letters), as_json)


@dlq.command()
@click.argument("topic", required=False)
@click.argument("partition", type=int, required=False)
@click.argument("offset", type=int, required=False)
@click.option("--code", help="All that were refused with this code and not replayed yet, instead of one.")
def replay(topic: str | None, partition: int | None, offset: int | None, code: str | None) -> None:
    """Put a dead-lettered message back on its topic; since it is not in the inbox, it will be applied."""
    from issuance.airflow.login import current_user
    from issuance.tracking.replay import replay_code, replay_message

    if (code is None) == (topic is None or partition is None or offset is None):
        raise click.UsageError("请给 TOPIC PARTITION OFFSET，或 --code。 / give TOPIC PARTITION OFFSET, or --code.")
    settings = load_settings()
    user = current_user(settings)
    with transaction(settings.database_url) as connection:
        day = business_day(connection)
        if code is None:
            places = [f"{topic}/{partition}/{offset}"]
            replay_message(connection, str(topic), int(partition or 0), int(offset or 0), day)
        else:
            places = replay_code(connection, code, day)
        for place in places:
            audit(connection, user, "replay", place, day)
    click.echo(f"{user}: {len(places)} replayed")


COMMANDS = (card, job, break_, dlq)
