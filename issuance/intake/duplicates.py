"""Duplicates: what becomes of a row, by its kind and the status of the person's earlier card (contract.md).

The table is data: the decision, docs/rules.md and the tests are made from it.
"""

from __future__ import annotations

from issuance.words.lifecycle import states_with

STANDINGS: dict[str, tuple[str, str]] = {
    "none": ("无", "no earlier card"),
    "under_way": ("办理中", "accepted, not yet collected"),
    "in_store": ("退回在库", "came back uncollected and is in store"),
    "live": ("已领取", "collected, active or not"),
    "lost": ("正式挂失", "formally reported lost"),
    "cancelled": ("已注销、撤回或销毁", "cancelled, withdrawn or destroyed"),
}
"""The status of a person's earlier card: Chinese and English."""

STATES: dict[str, tuple[str, ...]] = {
    # standing: states of the card (words.lifecycle); every other state, and a row that is no card yet: under way
    "in_store": states_with("in_store"),
    "live": states_with("in_hand"),
    "lost": ("LOST_BY_HOLDER",),
    "cancelled": ("CANCELLED", "CANCELLED_BEFORE_MAKING", "WITHDRAWN", "DESTROYED"),
}

ACCEPT = "accept"
_OPEN = {"none": ACCEPT, "lost": ACCEPT, "cancelled": ACCEPT}
_TAKEN = {"under_way": "DUPLICATE_PERSON", "in_store": "DUPLICATE_PERSON"}
VERDICTS: dict[str, dict[str, str]] = {
    # kind of the new row: standing of the earlier card: accept, or the reason why not
    "renewal": {**_OPEN, **_TAKEN, "live": "DUPLICATE_PERSON"},
    "first": {**_OPEN, **_TAKEN, "live": "DUPLICATE_PERSON"},
    "replacement": {**_OPEN, **_TAKEN, "live": "LOSS_REPORT_NEEDED"},
    "exchange": {**_OPEN, **_TAKEN, "live": ACCEPT},
    "reapplication": {**_OPEN, **_TAKEN, "in_store": "SECOND_APPLICATION", "live": "DUPLICATE_PERSON"},
}

OUTCOMES: dict[str, str] = {
    # verdict: outcome of the row
    ACCEPT: "accepted",
    "DUPLICATE_PERSON": "duplicate",
    "SECOND_APPLICATION": "duplicate",
    "LOSS_REPORT_NEEDED": "quarantined",
}


def verdict_rows() -> list[tuple[str, str, str, str]]:
    """The table flat, for SQL: (kind, standing, verdict, outcome) of everything that is not accepted."""
    return [
        (kind, standing, verdict, OUTCOMES[verdict])
        for kind, by_standing in VERDICTS.items()
        for standing, verdict in by_standing.items()
        if verdict != ACCEPT
    ]


def state_rows() -> list[tuple[str, str]]:
    """(state, standing) of every state that is not under way."""
    return [(state, standing) for standing, states in STATES.items() for state in states]
