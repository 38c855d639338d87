"""`issuance person`: found by ID number; what the law gives a person, a copy of everything (PIPL 45), erasure (47)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from issuance.client.session import desk
from issuance.commands.output import emit, private_file, read_key
from issuance.commands.values import AS_JSON, REASON
from issuance.errors import Refused
from issuance.words.codes import LEGAL_GROUNDS


@click.group()
def person() -> None:
    """个人查询、查阅与删除。 One person: find by ID number, export everything held, erase it."""


def named(command: Any) -> Any:
    """The options that identify a person. An ID number is never an option: every user can see command lines."""
    by_card = click.option("--card", help="By card_ref.")
    by_application = click.option("--application", nargs=2, metavar="COHORT APPLICATION_ID", help="By application.")
    by_number = click.option("--id-type", help="Read an ID number of this type from standard input; it is only hashed.")
    return by_card(by_application(by_number(command)))


def _named(card: str | None, application: tuple[str, str] | None, id_type: str | None) -> dict[str, Any]:
    if sum(bool(given) for given in (card, application, id_type)) != 1:
        raise click.UsageError(
            "请用 --card、--application、--id-type 之一指定一人。 / give one of --card, --application or --id-type."
        )
    if id_type:
        return _numbered(id_type)
    cohort, number = application or (None, None)
    return {"card": card, "cohort": cohort, "application": number}


def _numbered(id_type: str) -> dict[str, Any]:
    number = sys.stdin.readline().strip()
    if not number:
        raise Refused("NUMBER_MISSING", "标准输入中没有证件号码。 / no ID number on standard input.")
    return {"id_type": id_type, "id_number": number}


@person.command()
@click.option("--id-type", default="resident_id", show_default=True, help="The type of the ID number.")
@AS_JSON
def find(id_type: str, as_json: bool) -> None:
    """按证件号查人。 The cards of the person whose ID number stands on standard input; it is only hashed."""
    emit(desk().act("persons/find", _numbered(id_type)), as_json)


@person.command()
@click.argument("target", type=click.Path(path_type=Path))
@named
@REASON
@click.option("--seal-to", type=click.Path(path_type=Path), help="Public key (PEM): TARGET is a JWE for its owner.")
@AS_JSON
def export(target: Path, reason: str, seal_to: Path | None, as_json: bool, **given: Any) -> None:
    """查阅、复制。 Write everything held about a person to TARGET, a new file that only you can read."""
    body = {**_named(**given), "reason": reason, "seal_to": read_key(seal_to)}
    with private_file(target) as file:
        content, headers = desk().export("persons/export", body)
        file.write(content)
    counts = {name: int(headers[f"Issuance-{name.capitalize()}"]) for name in ("cards", "rows", "photos")}
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
    found = desk().act("persons/erase", {**_named(**given), "ground": ground})
    emit(found if as_json else {**found.pop("content"), **found}, as_json)


COMMANDS = (person,)
