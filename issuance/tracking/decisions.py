"""The decision rules in order: a later one may read what an earlier one decided."""

from __future__ import annotations

from issuance.tracking.cancellations import CANCEL_PLASTIC
from issuance.tracking.notice_rules import NOTICE
from issuance.tracking.remakes import REMAKE
from issuance.tracking.requests import REQUEST
from issuance.tracking.resends import RESEND

RECORDED_RULES = (RESEND, CANCEL_PLASTIC)
"""Rules about plastics whose decisions stand in `decision`; a re-make and a request have tables of their own."""
RULES = (REMAKE, *RECORDED_RULES, REQUEST, NOTICE)
"""All of them, as `card why` shows them; notices come last."""
