"""`issuance keys`: partners' keys and our own signing keys."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from issuance.city.partners import load_registry
from issuance.commands.output import emit
from issuance.commands.user import verified
from issuance.commands.values import AS_JSON
from issuance.ledger.connection import business_day, transaction
from issuance.settings import load_settings

DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def keys() -> None:
    """密钥。 Keys: list, add, retire (partners'), rotate (ours)."""


@keys.command(name="list")
@AS_JSON
def list_keys(as_json: bool) -> None:
    """Partners' keys with the days they are valid, then our signing keys."""
    from issuance.vault import partner_keys
    from issuance.vault.keys import KeyService

    settings = load_settings()
    with transaction(settings.database_url) as connection:
        found = partner_keys.list_keys(connection, settings, load_registry(settings.partners_file))
    ours = [{"partner": "issuance", "key_id": key.key_id, "algorithm": "signing"}
            for key in KeyService(settings.keys_dir).verification_keys()]  # fmt: skip
    emit([*found, *ours], as_json)


@keys.command()
@click.argument("partner")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key-id", required=True, help="The partner's own name for the key; its files carry it.")
@click.option("--from", "valid_from", type=DAY, required=True, help="First day on which files are sealed to it.")
def add(partner: str, file: Path, key_id: str, valid_from: datetime) -> None:
    """Add a partner's next public key (PEM); until its first day, files are sealed to the current one."""
    from issuance.vault.partner_keys import add_key

    def act(connection: Any, registry: Any, user: str, day: date) -> None:
        add_key(connection, registry, partner, key_id, file.read_bytes(), valid_from.date(), user, day)

    _act(act)


@keys.command()
@click.argument("partner")
@click.argument("key_id")
@click.option("--on", "last_day", type=DAY, required=True, help="Last day on which files are sealed to it.")
def retire(partner: str, key_id: str, last_day: datetime) -> None:
    """Stop sealing to a key after a day; another one must be valid by then."""
    from issuance.vault.partner_keys import retire_key

    def act(connection: Any, registry: Any, user: str, day: date) -> None:
        retire_key(connection, registry, partner, key_id, last_day.date(), user, day)

    _act(act)


@keys.command()
@click.option("--from", "first_day", type=DAY, required=True, help="First day on which files are signed with it.")
def rotate(first_day: datetime) -> None:
    """Make our next signing key; every partner that gets sealed files is notified, and both keys verify."""
    from issuance.vault.envelopes import OUR_KEYS, publish_keys
    from issuance.vault.keys import KeyService
    from issuance.vault.objects import ObjectStore
    from issuance.vault.partner_keys import announce_signing_key

    settings = load_settings()

    def act(connection: Any, registry: Any, user: str, day: date) -> None:
        service = KeyService(settings.keys_dir)
        key = service.rotate_signing_key(first_day.date())
        publish_keys(ObjectStore.of(settings), service)
        announce_signing_key(connection, registry, key.key_id, OUR_KEYS, first_day.date(), user, day)

    _act(act)


def _act(act: Any) -> None:
    settings = load_settings()
    me = verified("admin")
    with transaction(settings.database_url) as connection:
        act(connection, load_registry(settings.partners_file), me["user_id"], business_day(connection))
    click.echo(f"{me['name']}: done")


COMMANDS = (keys,)
