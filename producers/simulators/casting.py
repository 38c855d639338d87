"""Who plays: the members of a kind, each with its desk and what it knows of the others from the public registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from issuance.city.partners import Partner, Registry
from producers.simulators.bank import Bank
from producers.simulators.carrier import Carrier
from producers.simulators.choices import Choices
from producers.simulators.company import Company, Member
from producers.simulators.desk import Desk
from producers.simulators.factory import Factory, OpenJob
from producers.simulators.hrss import Hrss
from producers.simulators.notifier import Notifier, OpenContacts
from producers.simulators.platform import Platform, Seal
from producers.simulators.statements import Schedule
from producers.simulators.world import Application, World

KINDS = ("factory", "bank", "hrss", "carrier", "platform", "notifier")


@dataclass(frozen=True)
class Props:
    """What the players use of the world: how a partner opens its files, and the applications of the cohort."""

    open_job: Callable[[str], OpenJob]
    open_contacts: Callable[[str], OpenContacts]
    applications: Callable[[], Iterator[Application]]
    seal: Callable[[str], Seal] | None = None
    chunk_items: int = 1000


def cast(kind: str, registry: Registry, choices: Choices, props: Props, only: str | None = None) -> Company:
    """The company of a kind, or one partner alone."""
    numbers: set[str] = set()
    partners = [partner for partner in registry.of_kind(kind) if only in (None, partner.id)]
    return Company({partner.id: _member(partner, registry, choices, props, numbers) for partner in partners})


def _member(partner: Partner, registry: Registry, choices: Choices, props: Props, numbers: set[str]) -> Member:
    desk = Desk(partner.id, choices)
    hrss = registry.hrss
    match partner.kind:
        case "factory":
            carriers = tuple(carrier.id for carrier in registry.of_kind("carrier"))
            reserve = any(registry.backup_of(bank) == partner.id for bank in registry.factory_of_bank)
            return Member(Factory(desk, hrss, carriers, numbers, props.open_job(partner.id), reserve), desk)
        case "bank":
            others = tuple(bank.id for bank in registry.of_kind("bank") if bank.id != partner.id)
            own = [one for one in props.applications() if one.bank == partner.id]
            bank = Bank(desk, hrss, _schedule(registry, "bank"), others, props.chunk_items, own)
            return Member(bank, desk, bank.statements)
        case "hrss":
            city = Hrss(desk, _schedule(registry, "hrss"), props.chunk_items)
            return Member(city, desk, city.statements)
        case "carrier":
            return Member(Carrier(desk, hrss), desk)
        case "platform":
            banks = tuple(bank.id for bank in registry.of_kind("bank"))
            seal = props.seal(partner.id) if props.seal else None
            return Member(Platform(desk, props.applications(), banks, seal), desk)
        case "notifier":
            return Member(Notifier(props.open_contacts(partner.id)), desk)
        case other:
            raise ValueError(f"unknown kind {other}")


def _schedule(registry: Registry, kind: str) -> Schedule:
    """The statement that partners of a kind owe, by the registry."""
    return next(
        Schedule(function, rule["weekday"], rule["hour"])
        for function, rule in registry.statements.items()
        if rule["partner_kind"] == kind
    )


def real_props(world: World, stack: Path, rates: Mapping[str, float]) -> Props:
    """The props of a run on the local stack; what a broken client does with files is in the rates."""
    from issuance.settings import read_env_file
    from producers.simulators.sealed import SealedFiles, opener, seal_to_us, sealed_files

    def env_of(partner: str) -> dict[str, str]:
        return read_env_file(stack / "partners" / partner / "partner.env")

    def files_of(partner: str) -> SealedFiles:
        return sealed_files(partner, env_of(partner), stack)

    return Props(
        lambda partner: opener(files_of(partner), rates),
        lambda partner: files_of(partner).open_contacts,
        world.applications,
        lambda partner: partial(seal_to_us, env_of(partner)),
        world.chunk_items,
    )
