"""The sealed values of a holder event: opened, validated by the rules of intake, split by where they are kept.

Personal values go to the vault as an overlay; the terms of the order (bank, way to collect, place) stand in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from issuance.city.city import load_city
from issuance.errors import Broken
from issuance.vault.blocks import Vault
from issuance.vault.envelopes import open_sealed
from issuance.vault.keys import KeyService
from issuance.vault.masking import mask_person
from issuance.vault.objects import ObjectStore
from issuance.wire.bounds import sealed_are_within
from issuance.wire.consumer import Context
from issuance.words.codes import HOLDER_EVENTS
from issuance.words.collection import METHODS


class CardOrder(NamedTuple):
    """What the ledger knows of a card's order, and where its person is in the vault."""

    cohort_id: str
    city: str
    category: str
    kind: str
    bank: str
    method: str
    place: str
    block: int
    position: int
    overlays: list[str]


class Change(NamedTuple):
    """What an event changes: values for the vault, terms for the card (bank, collection_method, place), the hash."""

    values: dict[str, str]
    terms: dict[str, str] | None
    person: bytes | None


NOTHING = Change({}, None, None)


def vault_of(context: Context, cohort_id: str) -> Vault:
    """The vault of a cohort."""
    return Vault(ObjectStore.of(context.settings), KeyService(context.settings.keys_dir), cohort_id)


def read_change(event: str, sealed: str | None, order: CardOrder, context: Context) -> Change | str:
    """What an event changes about a card, or the code for which it is refused.

    `sealed`: a JWE to our key around a JSON object {column: text} (docs/partners.md).
    """
    if not HOLDER_EVENTS[event].needs:
        return NOTHING
    if sealed is None:
        return "FIELD_MISSING"
    try:
        values = _texts(open_sealed(KeyService(context.settings.keys_dir).opening_key(), sealed))
    except (Broken, ValueError):  # the code is enough; the error's text could quote what was sealed
        return "SEALED_UNREADABLE"
    return change_of(event, values, order, context)


def change_of(event: str, values: dict[str, str], order: CardOrder, context: Context) -> Change | str:
    """What an event changes about a card by its values {column: text}, or the code for which it is refused."""
    kind = HOLDER_EVENTS[event]
    if not set(kind.needs) <= set(values):
        return "FIELD_MISSING"
    if not set(values) <= {*kind.needs, *kind.may}:
        return "FIELD_INVALID"
    if not values:
        return NOTHING
    keys = KeyService(context.settings.keys_dir)
    person = next(vault_of(context, order.cohort_id).read_persons([(order.block, order.position, order.overlays)]))
    row = judge(_row(order, person), values, order.city, context)
    return row if isinstance(row, str) else _split(row, values, keys)


def _texts(clear: bytes) -> dict[str, str]:
    values = orjson.loads(clear)
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError("not an object of texts")
    return values


def _row(order: CardOrder, person: Mapping[str, str]) -> dict[str, str]:
    """The card as a row of a cohort file; what is no longer stored (documents, fee) was checked at intake."""
    place = {METHODS[order.method].place: order.place}
    terms = {"bank_code": order.bank, "collection_method": order.method}
    order_values = {"category": order.category, "kind": order.kind, "proof_ref": "judged at intake"}
    return {**person, **order_values, **terms, **place}


def judge(row: Mapping[str, str], values: Mapping[str, str], city: str, context: Context) -> dict[str, str] | str:
    """The row with the new values normalised, or a code: the rules of intake that read a changed column must pass."""
    if not sealed_are_within(values):
        return "FIELD_INVALID"
    import pandas as pd  # only this stage needs it, and rarely

    from issuance.intake.columns import NAMES
    from issuance.intake.normalise import normalise
    from issuance.intake.rules import ROW_RULES, RuleContext

    new = {**dict.fromkeys(NAMES, ""), **{name: row.get(name, "") for name in NAMES}, **values}
    if "id_number" in values and "social_security_number" not in values and row["id_type"] == "resident_id":
        new["social_security_number"] = ""  # for residents it is the ID number
    frame, _ = normalise(pd.DataFrame([new], dtype="str"))
    banks = frozenset(bank.id for bank in context.registry.of_kind("bank"))
    rule_context = RuleContext(load_city(context.settings, city).policy, banks, context.day)
    concerned = [
        rule for rule in ROW_RULES
        if rule.passes and rule.severity == "error" and set(rule.columns) & {*values, "social_security_number"}
    ]  # fmt: skip
    failed = [rule.id for rule in concerned if rule.passes and not rule.passes(frame, rule_context)[0]]
    if any(code.startswith("REQUIRED_") for code in failed):
        return "FIELD_MISSING"
    return "FIELD_INVALID" if failed else {str(name): str(value) for name, value in frame.iloc[0].items()}


def _split(row: Mapping[str, str], given: Mapping[str, str], keys: KeyService) -> Change:
    """The vault's values and the card's terms from a validated row."""
    from issuance.intake.accept import VAULT_FIELDS

    values = {name: row[name] for name in VAULT_FIELDS if name in given}
    if {"name", "id_number"} & set(given):
        values["masked"] = mask_person(row["name"], row["id_number"])
    person = None
    if "id_number" in given:
        values["social_security_number"] = row["social_security_number"] or row["id_number"]
        person = keys.person_hash(row["id_type"], row["id_number"])
    terms = {}
    if "bank_code" in given:
        terms["bank"] = row["bank_code"]
    if "collection_method" in given:
        terms["collection_method"] = row["collection_method"]
    if {"collection_method", "outlet_code"} & set(given):
        terms["place"] = row[METHODS[row["collection_method"]].place]
    return Change(values, terms or None, person)
