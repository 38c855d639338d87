"""`issuance person`: what the law gives a person, a copy of everything held (PIPL 45) and erasure (PIPL 47)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from issuance.commands.output import emit
from issuance.commands.values import AS_JSON
from issuance.errors import Refused
from issuance.settings import Settings, load_settings
from issuance.words.codes import LEGAL_GROUNDS

if TYPE_CHECKING:
    from issuance.retention.persons import Named


@click.group()
def person() -> None:
    """个人查阅与删除。 One person: export everything held, erase it."""


def named(command: Any) -> Any:
    """The options that identify a person. An ID number is never an option: every user can see command lines."""
    by_card = click.option("--card", help="By card_ref.")
    by_application = click.option("--application", nargs=2, metavar="COHORT APPLICATION_ID", help="By application.")
    by_number = click.option("--id-type", help="Read an ID number of this type from standard input; it is only hashed.")
    return by_card(by_application(by_number(command)))


def _named(settings: Settings, card: str | None, application: tuple[str, str] | None, id_type: str | None) -> Named:
    from issuance.retention.persons import Named
    from issuance.vault.keys import KeyService

    if sum(bool(given) for given in (card, application, id_type)) != 1:
        raise click.UsageError(
            "请用 --card、--application、--id-type 之一指定一人。 / give one of --card, --application or --id-type."
        )
    if not id_type:
        return Named(card, application)
    number = sys.stdin.readline().strip().upper()
    if not number:
        raise Refused("NUMBER_MISSING", "标准输入中没有证件号码。 / no ID number on standard input.")
    return Named(person=KeyService(settings.keys_dir).person_hash(id_type, number))


@person.command()
@click.argument("target", type=click.Path(path_type=Path))
@named
@click.option("--seal-to", type=click.Path(path_type=Path), help="Public key (PEM): TARGET is a JWE for its owner.")
@AS_JSON
def export(target: Path, seal_to: Path | None, as_json: bool, **given: Any) -> None:
    """查阅、复制。 Write everything held about a person to TARGET, a new file that only you can read."""
    from issuance.airflow.login import current_user
    from issuance.retention.export import export_person

    settings = load_settings()
    counts = export_person(settings, _named(settings, **given), current_user(settings), target, seal_to)
    emit({**counts, "file": str(target), "sealed": seal_to is not None}, as_json)


@person.command()
@named
@click.option(
    "--ground",
    type=click.Choice(LEGAL_GROUNDS),
    help="The legal ground; required while a card is under way (it is then withdrawn) or live.",
)
@AS_JSON
def erase(ground: str | None, as_json: bool, **given: Any) -> None:
    """删除。 Erase a person with all cards; facts and decisions stay. Shows the certificate."""
    from issuance.airflow.login import current_user
    from issuance.retention.erase import erase_person

    settings = load_settings()
    found = erase_person(settings, _named(settings, **given), ground or "REQUESTED", current_user(settings))
    emit(found if as_json else {**found.pop("content"), **found}, as_json)


COMMANDS = (person,)
