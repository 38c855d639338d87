"""`issuance partner`: onboarding, rotation, suspension and offboarding of partners, and checks of their clients."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from issuance.city.partners import SECTIONS, load_registry
from issuance.commands.check import check
from issuance.commands.output import emit
from issuance.commands.values import AS_JSON, NOTE
from issuance.errors import Refused
from issuance.ledger.connection import business_day, transaction
from issuance.settings import Settings, load_settings


@click.group()
def partner() -> None:
    """合作方。 Partners: list, show, add, rotate, suspend, resume, remove, check."""


partner.add_command(check)


@partner.command(name="list")
@AS_JSON
def list_partners(as_json: bool) -> None:
    """Every partner: its reports and refusals, whether it is paused or suspended."""
    from issuance.membership.view import list_all

    settings = load_settings()
    with transaction(settings.database_url) as connection:
        emit(list_all(connection, load_registry(settings.partners_file)), as_json)


@partner.command()
@click.argument("partner_id")
@AS_JSON
def show(partner_id: str, as_json: bool) -> None:
    """One partner: topics, rights, keys, status, and unfinished business."""
    from issuance.membership.view import show as shown

    settings = load_settings()
    registry = load_registry(settings.partners_file)
    with transaction(settings.database_url) as connection:
        emit(shown(connection, settings, registry, partner_id), as_json)


def _user() -> tuple[Settings, str]:
    from issuance.airflow.login import current_user

    settings = load_settings()
    return settings, current_user(settings)


@partner.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", type=click.Choice(list(SECTIONS)), help="Instead of FILE.")
@click.option("--id", "name", help="The partner's id; its Kafka user and S3 identity.")
@click.option("--primary", help="For a bank: the factory that makes its cards.")
@click.option("--backup", help="For a bank: its backup factory, if not the city's.")
@click.option("--capacity", type=int, help="For a factory: cards per working day.")
def add(file: Path | None, kind: str | None, name: str | None, **values: Any) -> None:
    """接入。 Onboard partners: the entries of FILE (sections of the registry file), or one by options."""
    from issuance.membership.acts import add_partners
    from issuance.membership.entries import entries_of, read_entries

    if (file is None) == (kind is None or name is None):
        raise click.UsageError("请给文件，或 --kind 与 --id。 / give FILE, or --kind and --id.")
    settings, user = _user()
    entries = read_entries(file) if file else entries_of(str(kind), str(name), values)
    for added in add_partners(settings, entries, user):
        click.echo(f"{user}: {added} 已接入，凭证在 / onboarded; its credentials: "
                   f"{settings.partner_credentials_dir / added}")  # fmt: skip


@partner.command()
@click.argument("partner_id")
@click.option("--credentials", "kafka", is_flag=True, help="New Kafka password; the old one is refused at once.")
@click.option("--s3", is_flag=True, help="New S3 access key; the old one stays valid until the next rotation.")
@click.option(
    "--sealing-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its next public key."
)
@click.option("--key-id", help="The partner's own name for that key.")
@click.option("--from", "valid_from", type=click.DateTime(["%Y-%m-%d"]), help="First day of that key.")
def rotate(
    partner_id: str, kafka: bool, s3: bool, sealing_key: Path | None, key_id: str | None, valid_from: datetime | None
) -> None:
    """轮换。 Rotate a partner's credentials, or the key that files are sealed to."""
    from issuance.membership.acts import rotate_credentials
    from issuance.vault.partner_keys import add_key

    if not (kafka or s3 or sealing_key) or (sealing_key is not None) != bool(key_id and valid_from):
        raise click.UsageError(
            "请选 --credentials、--s3，或 --sealing-key 连同 --key-id 与 --from。"
            " / choose --credentials, --s3, or --sealing-key with --key-id and --from."
        )
    settings, user = _user()
    if sealing_key and key_id and valid_from:
        with transaction(settings.database_url) as connection:
            registry, day = load_registry(settings.partners_file), business_day(connection)
            add_key(connection, registry, partner_id, key_id, sealing_key.read_bytes(), valid_from.date(), user, day)
    if kafka or s3:
        rotate_credentials(settings, partner_id, user, kafka=kafka, s3=s3)
        click.echo(
            f"{user}: 新凭证在 / new credentials: {settings.partner_credentials_dir / partner_id / 'partner.env'}"
        )
    else:
        click.echo(f"{user}: done")


@partner.command()
@click.argument("partner_id")
@NOTE
def suspend(partner_id: str, note: str) -> None:
    """停用。 Suspend a partner: no reading, no writing, no new jobs; its clocks stop."""
    from issuance.membership.acts import suspend_partner

    settings, user = _user()
    suspend_partner(settings, partner_id, note, user)
    click.echo(f"{user}: {partner_id} 已停用 / suspended")


@partner.command()
@click.argument("partner_id")
def resume(partner_id: str) -> None:
    """恢复。 Resume a paused or suspended partner, with new counts."""
    from issuance.membership.acts import let_in_again

    settings, user = _user()
    let_in_again(settings, partner_id, user)
    click.echo(f"{user}: {partner_id} resumed")


@partner.command()
@click.argument("partner_id")
@NOTE
def remove(partner_id: str, note: str) -> None:
    """退出。 Offboard a partner for good; refused while it has unfinished business."""
    from issuance.membership.acts import remove_partner

    settings, user = _user()
    try:
        remove_partner(settings, partner_id, note, user)
    except Refused as refusal:
        for one in refusal.details.get("open", ())[:50]:
            click.echo(f"  {one['kind']}: {one['reference']}", err=True)
        raise
    click.echo(f"{user}: {partner_id} 已退出 / offboarded")


COMMANDS = (partner,)
