"""`issuance partner`: onboarding, rotation, suspension and offboarding of partners, and checks of their clients."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from issuance.client.session import desk
from issuance.commands.check import check
from issuance.commands.output import emit, read_key
from issuance.commands.values import AS_JSON, NOTE
from issuance.errors import Refused

KINDS = ("factory", "bank", "hrss", "carrier", "platform", "notifier")
"""Of the registry, which a client does not carry."""


@click.group()
def partner() -> None:
    """合作方。 Partners: list, show, add, rotate, suspend, resume, remove, check."""


partner.add_command(check)


@partner.command(name="list")
@AS_JSON
def list_partners(as_json: bool) -> None:
    """Every partner: its reports and refusals, whether it is paused or suspended."""
    emit(desk().get("partners"), as_json)


@partner.command()
@click.argument("partner_id")
@AS_JSON
def show(partner_id: str, as_json: bool) -> None:
    """One partner: topics, rights, keys, status, and unfinished business."""
    emit(desk().get(f"partners/{partner_id}"), as_json)


@partner.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", type=click.Choice(KINDS), help="Instead of FILE.")
@click.option("--id", "name", help="The partner's id; its Kafka user and S3 identity.")
@click.option("--primary", help="For a bank: the factory that makes its cards.")
@click.option("--backup", help="For a bank: its backup factory, if not the city's.")
@click.option("--capacity", type=int, help="For a factory: cards per working day.")
def add(file: Path | None, kind: str | None, name: str | None, **values: Any) -> None:
    """接入。 Onboard partners: the entries of FILE (sections of the registry file), or one by options."""
    if (file is None) == (kind is None or name is None):
        raise click.UsageError("请给文件，或 --kind 与 --id。 / give FILE, or --kind and --id.")
    body = {"entries": _text(file)} if file else {"kind": kind, "id": name, **values}
    for added in desk().act("partners", body):
        told = "已接入，凭证在业务台所在机器 / onboarded; its credentials, where the desk runs:"
        click.echo(f"{added['partner']} {told} {added['credentials']}")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused("ENTRIES_UNREADABLE", f"无法读取 {file}。 / {file} cannot be read.") from error


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
    if not (kafka or s3 or sealing_key) or (sealing_key is not None) != bool(key_id and valid_from):
        raise click.UsageError(
            "请选 --credentials、--s3，或 --sealing-key 连同 --key-id 与 --from。"
            " / choose --credentials, --s3, or --sealing-key with --key-id and --from."
        )
    key = None
    if sealing_key and valid_from:
        key = {"pem": read_key(sealing_key), "key_id": key_id, "valid_from": str(valid_from.date())}
    done = desk().act(f"partners/{partner_id}/rotate", {"kafka": kafka, "s3": s3, "sealing_key": key})
    click.echo(f"新凭证在业务台所在机器 / new credentials, where the desk runs: {done['credentials']}" if kafka or s3
               else f"{partner_id}: {key_id}")  # fmt: skip


@partner.command()
@click.argument("partner_id")
@NOTE
def suspend(partner_id: str, note: str) -> None:
    """停用。 Suspend a partner: no reading, no writing, no new jobs; its clocks stop."""
    desk().act(f"partners/{partner_id}/suspend", {"note": note})
    click.echo(f"{partner_id} 已停用 / suspended")


@partner.command()
@click.argument("partner_id")
def resume(partner_id: str) -> None:
    """恢复。 Resume a paused or suspended partner, with new counts."""
    desk().act(f"partners/{partner_id}/resume")
    click.echo(f"{partner_id} 已恢复 / resumed")


@partner.command()
@click.argument("partner_id")
@NOTE
def remove(partner_id: str, note: str) -> None:
    """退出。 Offboard a partner for good; refused while it has unfinished business."""
    try:
        desk().act(f"partners/{partner_id}/remove", {"note": note})
    except Refused as refusal:
        for one in refusal.details.get("open", ())[:50]:
            click.echo(f"  {one['kind']}: {one['reference']}", err=True)
        raise
    click.echo(f"{partner_id} 已退出 / offboarded")


COMMANDS = (partner,)
