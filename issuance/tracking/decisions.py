"""The decisions as data: each a SELECT over the standing of cards that says who gets which decision and why.

Columns of every SELECT: card_ref, attempt, kind, occasion, reason, partner, due_on. A decision's identity is
(card_ref, kind, attempt, occasion); it is recorded once and no evidence undoes it.
"""

from __future__ import annotations

from issuance.tracking.cancellations import CANCEL_PLASTIC
from issuance.tracking.remakes import REMAKE
from issuance.tracking.requests import REQUESTS
from issuance.tracking.resends import RESEND

PLASTIC_RULES = (("REMAKE", REMAKE), ("RESEND", RESEND), ("CANCEL_PLASTIC", CANCEL_PLASTIC), ("REQUEST", REQUESTS))
"""In order: a later rule may read what an earlier one decided."""
