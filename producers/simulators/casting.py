"""Who plays: the members of a kind, each with its desk and what it knows of the others from the public registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from issuance.partners import Partner, Registry
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

KINDS = ("factory", "bank", "hrss", "carrier", "platform", "notifier")


@dataclass(frozen=True)
class Props:
    """What the players use of the world: how a partner opens its files, and the applications of the cohort."""

    open_job: Callable[[str], OpenJob]
    open_contacts: Callable[[str], OpenContacts]
    applications: Callable[[], Iterator[str]]
    cohort_id: str
    seal: Seal | None = None
    """How a platform seals new values; None: it reports no event that needs them."""


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
            return Member(Factory(desk, hrss, carriers, numbers, props.open_job(partner.id)), desk)
        case "bank":
            bank = Bank(desk, hrss, _schedule(registry, "bank"))
            return Member(bank, desk, bank.statements)
        case "hrss":
            city = Hrss(desk, _schedule(registry, "hrss"))
            return Member(city, desk, city.statements)
        case "carrier":
            return Member(Carrier(desk, hrss), desk)
        case "platform":
            return Member(Platform(desk, props.cohort_id, props.applications(), props.seal), desk)
        case "notifier":
            return Member(Notifier(props.open_contacts(partner.id)), desk)
        case other:
            raise ValueError(f"nobody plays a {other}")


def _schedule(registry: Registry, kind: str) -> Schedule:
    """The statement that partners of a kind owe, by the registry."""
    return next(
        Schedule(function, rule["weekday"], rule["hour"])
        for function, rule in registry.statements.items()
        if rule["partner_kind"] == kind
    )


def real_props(directory: Path, cohort_id: str, stack: Path, rates: Mapping[str, float]) -> Props:
    """The props of a run on the local stack; what a broken client does with files is in the rates."""
    from issuance.settings import read_env_file
    from producers.simulators.platform import read_applications
    from producers.simulators.sealed import Bucket, SealedFiles, opener, seal_values, sealed_files

    def files_of(partner: str) -> SealedFiles:
        return sealed_files(partner, read_env_file(stack / "partners" / partner / "partner.env"), stack)

    return Props(
        lambda partner: opener(files_of(partner), rates),
        lambda partner: files_of(partner).open_contacts,
        lambda: read_applications(directory) if (directory / "truth.json").exists() else iter(()),
        cohort_id,
        lambda values: seal_values(Bucket(_any_env(stack)), values),
    )


def _any_env(stack: Path) -> dict[str, str]:
    """Any partner's: our public keys are open to all."""
    from issuance.settings import read_env_file

    return read_env_file(min((stack / "partners").glob("*/partner.env")))
