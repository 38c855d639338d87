"""Masked text by which staff recognise a person without seeing the full data (domain.md, Law)."""

from __future__ import annotations


def mask_name(name: str) -> str:
    """First character and stars."""
    return name[:1] + "*" * max(len(name) - 1, 1) if name else ""


def mask_id_number(number: str) -> str:
    """First one and last two characters; the usual six and four leave about 1,300 candidates for a retiree."""
    return number[:1] + "*" * (len(number) - 3) + number[-2:] if len(number) > 3 else "*" * len(number)


def mask_phone(phone: str) -> str:
    """First three and last four digits."""
    return phone[:3] + "*" * (len(phone) - 7) + phone[-4:] if len(phone) > 7 else "*" * len(phone)


def mask_person(name: str, id_number: str) -> str:
    """The masked text of a person, as stored in the vault and shown to operators and employers."""
    return f"{mask_name(name)} {mask_id_number(id_number)}"
