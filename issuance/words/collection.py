"""The ways to collect a card: who keeps it until then, whether it goes to its holder, which column names its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

CollectionMethod = Literal["outlet", "mail", "home_delivery", "employer", "service_point"]


@dataclass(frozen=True)
class Method:
    """One way to collect (collection_method)."""

    name: CollectionMethod
    zh: str
    en: str
    place: str
    """The column of a cohort file that names its place."""
    kept_by_hrss: bool = False
    """HRSS signs for it and hands it out; otherwise the bank."""
    to_holder: bool = False
    """It is posted to the holder, or delivered to the door."""


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("outlet", "银行网点领取", "at a bank outlet", "outlet_code"),
        Method("mail", "邮寄", "by mail", "region_code", to_holder=True),
        Method("home_delivery", "银行上门送卡", "delivered to the door by the bank", "region_code", to_holder=True),
        Method("employer", "单位代领", "at the employer", "employer_code", kept_by_hrss=True),
        Method("service_point", "街道服务点领取", "at a street service point", "region_code", kept_by_hrss=True),
    )
}


def to_holder(column: str = "collection_method") -> str:
    """SQL: whether a card travels to its holder."""
    return f"{column} IN ({_names(lambda method: method.to_holder)})"


def keeper(bank: str, hrss: str = "%(hrss)s", column: str = "collection_method") -> str:
    """SQL: the partner who receives a card from the factory and keeps it until it is collected, by its plan."""
    return f"CASE WHEN {column} IN ({_names(lambda method: method.kept_by_hrss)}) THEN {hrss} ELSE {bank} END"


def _names(wanted: Callable[[Method], bool]) -> str:
    return ", ".join(f"'{method.name}'" for method in METHODS.values() if wanted(method))
