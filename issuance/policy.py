"""A city's policy: every number that differs between cities, read from `policies/CITY.yaml` and checked once."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from issuance.errors import Misconfigured

CollectionMethod = Literal["outlet", "mail", "home_delivery", "employer", "service_point"]
Sex = Literal["male", "female"]
Days = Annotated[int, Field(ge=0, le=3650)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RetirementAges(_Entry):
    """Completed years of age: below `earliest` a proof is needed, below `statutory` there is a warning."""

    earliest: int = Field(ge=30, le=80)
    statutory: int = Field(ge=30, le=80)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.earliest > self.statutory:
            raise ValueError("earliest must not exceed statutory")
        return self


class TransitDays(_Entry):
    """Calendar days a mail item takes; they come on top of `due_days`."""

    local: Days
    elsewhere: Days


class Policy(_Entry):
    """The rules of one city; days are calendar days unless the name says otherwise."""

    city: str = Field(pattern=r"^[0-9]{6}$")
    due_days: Days
    """From application to card made, postal transit excluded."""
    collection_methods: tuple[CollectionMethod, ...] = Field(min_length=1)
    warn_ratio: Ratio
    """Quarantined rows of a submission above which a person decides."""
    refuse_ratio: Ratio
    """Quarantined rows of a submission above which it is refused."""
    job_size: int = Field(ge=1, le=5000)
    """Plastics of a job at most."""
    remake_ratio: Ratio
    """Re-makes that one release covers."""
    answer_days: Days
    """Working days after which an unanswered job is a break."""
    handover_days: Days
    """Days after which a hand-over that nobody received, or a letter that was not posted, is a break."""
    lost_after_days: Days
    """Days without news after which a mail item is taken as lost."""
    reminder_days: tuple[Days, ...]
    """Days after which an uncollected card is reminded of."""
    keep_days: Days
    """Days after which an uncollected card expires."""
    not_activated_days: Days
    """Days after which a collected card that is not activated ends as such."""
    temporary_loss_days: Days
    old_card_stop: dict[int, date]
    """Generation of the old card: its last day."""
    retirement_ages: dict[Sex, RetirementAges]
    transit_days: TransitDays
    retention_days: Days
    """Days after a cohort's closing when its personal data is erased."""
    waived_rules: tuple[str, ...] = ()
    """Row rules that a city may waive and does: they warn, and quarantine no row (docs/rules.md names them)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.warn_ratio > self.refuse_ratio:
            raise ValueError("warn_ratio must not exceed refuse_ratio")
        if list(self.reminder_days) != sorted(set(self.reminder_days)):
            raise ValueError("reminder_days must ascend")
        if self.reminder_days and self.reminder_days[-1] >= self.keep_days:
            raise ValueError("reminder_days must end before keep_days")
        if missing := {"male", "female"} - set(self.retirement_ages):
            raise ValueError(f"retirement_ages lacks {', '.join(sorted(missing))}")
        return self


def load_policy(policies_dir: Path, city: str) -> Policy:
    """The policy of a city (six digits of GB/T 2260).

    Raises:
        Misconfigured: there is no file for the city, it is no YAML, or a field is wrong; names file and fields.
    """
    path = policies_dir / f"{city}.yaml"
    if not re.fullmatch(r"[0-9]{6}", city) or not path.is_file():
        known = sorted(entry.stem for entry in policies_dir.glob("[0-9]*.yaml"))
        raise Misconfigured("POLICY_MISSING", f"no policy for city {city!r} in {policies_dir}", city=city, known=known)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misconfigured("POLICY_UNREADABLE", f"{path} cannot be read: {error}", file=str(path)) from error
    try:
        policy = Policy.model_validate(data)
    except ValidationError as error:
        fields = {".".join(map(str, entry["loc"])) or "(whole)": entry["msg"] for entry in error.errors()}
        listed = "; ".join(f"{field}: {message}" for field, message in fields.items())
        raise Misconfigured("POLICY_INVALID", f"{path}: {listed}", file=str(path), fields=fields) from error
    if policy.city != city:
        fields = {"city": f"is {policy.city}, the file name says {city}"}
        raise Misconfigured("POLICY_INVALID", f"{path}: city {fields['city']}", file=str(path), fields=fields)
    return policy
