"""The decision rules in order: a later one may read what an earlier one decided."""

from __future__ import annotations

from issuance.tracking.cancellations import CANCEL_PLASTIC
from issuance.tracking.remakes import REMAKE
from issuance.tracking.requests import REQUEST
from issuance.tracking.resends import RESEND

PLASTIC_RULES = (REMAKE, RESEND, CANCEL_PLASTIC, REQUEST)
"""Rules about plastics; notices (tracking.notice_rules) come after new plastics are planned."""
