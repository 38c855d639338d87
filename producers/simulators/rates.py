"""How often things happen, and how long they take: the figures of the simulated world, in one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

RATES: Mapping[str, float] = MappingProxyType(
    {
        # in the world
        "refuse": 0.005,  # of first plastics, by the factory before acceptance
        "spoil": 0.01,
        "refuse-by-holder": 0.005,  # of first plastics at a place
        "uncollected": 0.003,
        "proxy": 0.25,
        "unactivated": 0.005,
        "finance": 0.97,  # pensions are paid into the card's account
        "ecard": 0.5,
        "fail": 0.05,  # of deliveries, at the first attempt
        "lose": 0.01,  # of letters with a first plastic on its first trip
        "return": 0.03,  # of letters on their first trip
        "withdraw": 0.002,
        # in the world, awkward: only where a scenario asks for it
        "die": 0.0,  # of applicants
        "die-by-mistake": 0.0,  # told, and taken back some days later
        "switch-bank": 0.0,
        "change-name": 0.0,
        "change-address": 0.0,
        "correct-id": 0.0,
        "pay-late": 0.0,  # of applicants who owe a fee
        "issue-instantly": 0.0,  # of applicants, at an outlet, while the card is under way
        "leave-over": 0.0,  # of plastics at employers
        "apply-again": 0.0,  # of those left over
        "leave-out": 0.0,  # of plastics listed in a hand-over
        "turn-up": 0.0,  # of lost letters: they go back
        "deliver-lost": 0.0,  # of lost letters: they are delivered after all
        "never-sign": 0.0,  # of places: hand-overs to them are not signed for
        "go-bankrupt": 0.0,  # of factories but the reserve: nothing is made any more
        "use-old": 0.0,  # of old cards, after the new one's activation
        "lose-card": 0.0,  # of active cards, for the time being
        "lose-for-good": 0.0,  # of those
        # on the way of reports
        "delay": 0.01,  # of facts
        "correct": 0.003,  # of collections
        "repeat": 0.02,  # of reports
        "reorder": 0.02,
        "go-silent": 0.0,  # of carriers: for three weeks nothing is reported, then everything
        "clock-ahead": 0.0,  # of partners: five minutes
        "drop": 0.0,  # of reports: sent only when asked for
        "stray": 0.0,  # of collections: another bank reports them, too
        "hide-chunk": 0.0,  # of statements' chunks: sent only when asked for
        "state-late": 0.0,  # of statements: sent only when asked for
        "revise": 0.0,  # of statements: sent again as the next revision
        # faults of a client that breaks the contract; a play is sound without them
        "miscount": 0.0,  # receipts of job files and hand-overs say one more
        "unchecked": 0.0,  # job files are accepted unchecked
        "make-twice": 0.0,  # a repeated order is made again
        "ignore-cancel": 0.0,
        "leak": 0.0,  # the holder's name is written into a report
        "reuse-id": 0.0,  # a report gets the id of the one before
        "gap": 0.0,  # a sequence is left out
        "deaf": 0.0,  # what is requested is not sent again
        "sulk": 0.0,  # once paused, nothing more is reported
        "old-keys": 0.0,  # files sealed to a new key cannot be opened
        "wrong-total": 0.0,  # statements say one more than they list
        "short-list": 0.0,  # statements leave one out
        "early-account": 0.0,  # the account is cancelled before the request
        "one-witness": 0.0,
        "impostor": 0.0,  # reports name another partner
    }
)
"""Each can be set with `--fault NAME=RATE`; a rate is in 0..1."""

ACCEPT_DAYS = (0, 1)
"""From the receipt of a job to its acceptance, least and most; so below."""
MAKE_DAYS = (2, 5)
COLLECT_DAYS = (1, 20)
"""From the receipt at the place; early days are likelier."""
ACTIVATE_DAYS = (0, 15)
FINANCE_DAYS = (0, 10)
ECARD_DAYS = (0, 5)
DELIVER_DAYS = (2, 6)
LOSE_DAYS = 3
"""After the day on which a lost letter would have come."""
RETURN_DAYS = (2, 3)
DELAY_DAYS = (1, 3)
CORRECT_DAYS = (1, 2)
EVENT_DAYS = (1, 25)
"""From the opening to a death or a switch of banks."""
LEFT_OVER_DAYS = 10
"""From an employer's receipt to what is left over going back."""
APPLY_AGAIN_DAYS = 8
TURN_UP_DAYS = 12
USE_OLD_DAYS = 5
LOSE_DAYS_ACTIVE = 6
"""From activation to a temporary loss report; the formal one comes three days later."""
FORMAL_DAYS = 3
DELIVER_LOST_DAYS = (1, 35)
"""From the report of a loss to the delivery after all: at every step of the re-make."""
SILENT_AFTER, SILENT_DAYS = 2, 21
"""From a carrier's first letter to its silence, and how long that lasts."""
CLOCK_AHEAD_MINUTES = 5
BANKRUPT_AFTER = 5
"""From a factory's first order to its end."""
MISTAKE_DAYS = (2, 9)
"""From a mistaken death to the word that it was none."""
PAY_DAYS = (5, 30)
INSTANT_DAYS = (1, 5)
WITHDRAW_DAYS = (1, 12)
SPOILED_ATTEMPTS = 2
"""Only the first attempts are spoiled, so that every card comes to an end."""
STATEMENT_WINDOW_DAYS = 400
LAST_STATEMENTS = 2
"""Statements after everything has ended, so that pending differences settle."""

HOURS: Mapping[str, int] = MappingProxyType(
    {
        # The hour in which a step falls, so that the steps of one day stand in the order of life.
        "JOB_RECEIVED": 8,
        "ITEM_REFUSED": 10,
        "JOB_ACCEPTED": 15,
        "JOB_REFUSED": 15,
        "MADE": 9,
        "SPOILED": 9,
        "BANK_KEYED": 14,
        "SS_KEYED": 9,
        "HANDED_OVER": 16,
        "RECEIVED_AT_PLACE": 9,
        "COLLECTED": 11,
        "REFUSED_BY_HOLDER": 11,
        "SS_ACTIVATED": 13,
        "OLD_CARD_LAPSED": 14,
        "FINANCE_ACTIVATED": 16,
        "ECARD_SIGNED": 17,
        "SS_CANCELLED": 10,
        "ACCOUNT_CANCELLED": 10,
        "DESTROYED": 12,
        "POSTED": 18,
        "IN_TRANSIT": 3,
        "OUT_FOR_DELIVERY": 8,
        "AT_PICKUP_POINT": 9,
        "DELIVERY_FAILED": 12,
        "DELIVERED": 15,
        "RETURNED": 17,
        "LOST": 17,
        "WITHDRAWN": 10,
        "DEATH": 9,
        "BANK_SWITCHED": 10,
        "NAME_CHANGED": 10,
        "ADDRESS_CHANGED": 10,
        "ID_CORRECTED": 10,
        "FEE_PAID": 10,
        "ANNULLED": 10,
        "ISSUED_INSTANTLY": 10,
        "SECOND_APPLICATION": 10,
        "SENT_BACK": 16,
        "OLD_CARD_USED": 15,
        "LOSS_REPORTED_TEMPORARY": 15,
        "LOSS_REPORTED": 15,
    }
)
REPORT_HOUR = 22
"""Reports of a day are written in the evening."""


LIVE: Mapping[str, float] = MappingProxyType(
    {**dict.fromkeys(RATES, 0.0), "proxy": 0.25, "finance": 1.0, "withdraw": 1.0}
)
"""The rates of a client that lives in real time: nothing goes wrong unless it is told to."""


def rates_with(faults: Iterable[str], base: Mapping[str, float] = RATES) -> dict[str, float]:
    """The rates with `NAME=RATE` settings on top.

    Raises:
        ValueError: no such name, or a rate that is not a number in 0..1.
    """
    rates = dict(base)
    for fault in faults:
        name, _, text = fault.partition("=")
        if name not in rates:
            raise ValueError(f"unknown fault {name!r}; known: {', '.join(sorted(rates))}")
        rate = float(text)
        if not 0 <= rate <= 1:
            raise ValueError(f"{fault}: a rate lies in 0..1")
        rates[name] = rate
    return rates
