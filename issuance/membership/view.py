"""Partners as an operator sees them: the registry's entry beside what the ledger knows."""

from __future__ import annotations

from collections import Counter
from typing import Any

from issuance.city.partners import Registry
from issuance.ledger import queries
from issuance.ledger.connection import Connection
from issuance.membership.obstacles import obstacles
from issuance.settings import Settings
from issuance.stack.s3 import actions
from issuance.vault.partner_keys import list_keys


def list_all(connection: Connection, registry: Registry) -> list[dict[str, Any]]:
    """Every partner of the registry, and any other that has reported: kind, suspension, counts, pauses, gaps."""
    states = {row["partner"]: row for row in queries.list_partners(connection)}
    empty = {"received": 0, "refused": 0, "paused_on": None, "reason": None, "streams_with_gaps": 0}
    names = [*registry.partners, *(name for name in states if name not in registry.partners)]
    return [
        {
            "partner": name,
            "kind": registry.partners[name].kind if name in registry.partners else "removed",
            "suspended": name in registry.suspended,
            **{key: value for key, value in (empty | states.get(name, {})).items() if key != "partner"},
        }
        for name in names
    ]


def show(connection: Connection, settings: Settings, registry: Registry, partner_id: str) -> dict[str, Any]:
    """One partner: its entry, its rights, and its unfinished business.

    Raises:
        Refused: there is no such partner.
    """
    partner = registry.partner(partner_id)
    (row,) = [row for row in list_all(connection, registry) if row["partner"] == partner_id]
    keys = [key for key in list_keys(connection, settings, registry) if key["partner"] == partner_id]
    return row | {
        "why_suspended": registry.suspended.get(partner_id),
        "topics": [{"topic": topic, "may": may} for topic, may in partner.topics()],
        "groups": f"{partner_id}.*",
        "s3": actions(partner),
        "credentials": str(settings.partner_credentials_dir / partner_id / "partner.env"),
        "keys": [{name: value for name, value in key.items() if name != "partner"} for key in keys],
        "capacity": partner.capacity or None,
        "banks": list(partner.banks),
        "fields": dict(partner.fields),
        "open": dict(Counter(one.kind for one in obstacles(connection, partner))),
    }
