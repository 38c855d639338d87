"""`issuance ledger`, `topics`: prove and prepare."""

from __future__ import annotations

import sys

import click

from issuance.city.city import load_cities
from issuance.commands.operate import goon
from issuance.commands.output import emit
from issuance.commands.user import verified
from issuance.ledger.audit import audit
from issuance.ledger.connection import business_day, transaction
from issuance.ledger.connection import migrate as migrate_ledger
from issuance.proof.digest import digest_lines, ledger_digest
from issuance.proof.rebuild import rebuild_ledger
from issuance.proof.verify import verify_ledger
from issuance.settings import load_settings


@click.group()
def ledger() -> None:
    """The ledger: verify, rebuild, digest."""


@ledger.command()
@click.option("--json", "as_json", is_flag=True)
def verify(as_json: bool) -> None:
    """Rows against facts, cards against what follows, numbers against counts, the audit; exit code 1: findings."""
    settings = load_settings()
    with transaction(settings.database_url) as connection:
        findings = verify_ledger(connection, load_cities(settings))
    emit([{"finding": finding} for finding in findings], as_json)
    sys.exit(1 if findings else 0)


@ledger.command()
def rebuild() -> None:
    """Fold every row anew from the journal; exit code 1 if one was wrong."""
    settings = load_settings()
    me = verified("admin")
    with transaction(settings.database_url) as connection:
        wrong = rebuild_ledger(connection)
        audit(connection, me["user_id"], "rebuild", "ledger", business_day(connection), {"wrong": wrong})
    click.echo(f"{wrong} rows differed from their facts and were rebuilt")
    sys.exit(1 if wrong else 0)


@ledger.command()
@click.option("--lines", is_flag=True, help="What it is made of, a line each, to compare two ledgers.")
def digest(lines: bool) -> None:
    """The canonical hash of distinct facts, decisions and row outcomes."""
    with transaction(load_settings().database_url) as connection:
        for line in digest_lines(connection) if lines else [ledger_digest(connection)]:
            click.echo(line)


@ledger.command()
def migrate() -> None:
    """Bring the ledger's tables up to date."""
    click.echo(f"{migrate_ledger(load_settings().owner_url)} migrations applied")


@click.group()
def topics() -> None:
    """Topics, schemas, users and ACLs."""


@topics.command()
def apply() -> None:
    """Create what schemas/topics.yaml, the partner registry and the authority table declare; idempotent."""
    from issuance.settings import environment
    from issuance.wire.topics_apply import apply_topics

    env = environment()
    changes = apply_topics(load_settings(), env["KAFKA_ADMIN_USER"], env["KAFKA_ADMIN_PASSWORD"])
    for change in changes:
        click.echo(change)
    click.echo(f"{len(changes)} changes")


topics.add_command(goon)


@topics.command(name="list")
@click.option("--json", "as_json", is_flag=True)
def list_topics(as_json: bool) -> None:
    """Every topic with its direction, key and record."""
    from issuance.city.partners import load_registry
    from issuance.wire.topics import declared_topics

    registry = load_registry(load_settings().partners_file)
    emit([vars(topic) for topic in declared_topics(registry)], as_json)


COMMANDS = (ledger, topics)
