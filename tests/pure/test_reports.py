"""The structure of a report, and what its items need; pure."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from ledger_fixture import OPENS, as_read, item, on, report

from issuance.city.partners import Limits
from issuance.clock import end_of, instant_on, milliseconds
from issuance.membership.acts import SUSPENDED
from issuance.tracking.marks import CONTENT_FIELDS, mark_end
from issuance.tracking.reports import Reporter, check_items, check_structure
from issuance.wire.pauses import AT_ONCE, PartnerCount
from issuance.words.lifecycle import PAUSES

HOLDER = [{"role": "HOLDER", "reference": "seen"}]
WITNESSES = [{"role": "WITNESS", "reference": "w1"}, {"role": "WITNESS", "reference": "w2"}]


def structure(items: list[dict[str, Any]], **head: Any) -> str | None:
    """What a report of F-ICBC is refused with as a whole."""
    head = {"reported_at": instant_on(OPENS, 9), **head}
    value = as_read(report("F-ICBC", "r", items, **head).value)
    return check_structure(value, Reporter("F-ICBC", "factory"), milliseconds(end_of(on(2))))


def test_a_job_report_has_exactly_one_item_without_card_ref() -> None:
    job = {"kind": "JOB", "job_id": "J1"}
    accepted = item("JOB_ACCEPTED", None, 1)
    assert structure([accepted], **job) is None
    assert structure([accepted, accepted], **job) == "JOB_INVALID"
    assert structure([item("JOB_ACCEPTED", UUID(int=1), 1)], **job) == "JOB_INVALID"


def test_a_report_has_a_thousand_items_at_most() -> None:
    items = [item("MADE", UUID(int=n), 1) for n in range(1001)]
    assert structure(items[:1000]) is None
    assert structure(items) == "TOO_MANY"


@pytest.mark.parametrize(
    ("milestone", "actors", "code"),
    [
        ("DESTROYED", WITNESSES, None),
        ("DESTROYED", WITNESSES[:1], "FIELD_MISSING"),
        ("DESTROYED", [WITNESSES[0], WITNESSES[0]], "FIELD_MISSING"),
        ("DESTROYED", [WITNESSES[0], HOLDER[0]], "FIELD_MISSING"),
        ("COLLECTED", HOLDER, None),
        ("COLLECTED", [{"role": "NEIGHBOUR", "reference": "n"}], "ROLE_UNKNOWN"),
    ],
)
def test_actors_have_known_roles_and_destruction_two_witnesses(
    milestone: str, actors: list[dict[str, str]], code: str | None
) -> None:
    value = as_read(report("ICBC", "r", [item(milestone, UUID(int=1), 1, place="ICBC-001", actors=actors)]).value)
    _, refused = check_items(value, 0, Reporter("ICBC", "bank"), milliseconds(end_of(on(2))))
    assert [refusal.code for refusal in refused] == ([code] if code else [])


def test_the_codes_of_a_pause_are_a_table() -> None:
    limits = Limits()
    tripped = {
        PartnerCount(0, 0, limits.run).tripped(limits),
        PartnerCount(limits.enough, limits.enough, 0).tripped(limits),
    }
    assert tripped | AT_ONCE | {SUSPENDED} == set(PAUSES)


@pytest.mark.parametrize("actors", [[], HOLDER], ids=["alike", "with actors"])
@pytest.mark.parametrize("place", [None, "P-1", '"\\u0000"', "\\u0000", '\\"'])
def test_a_serial_stands_in_its_mark_as_if_each_item_were_judged_alone(
    place: str | None, actors: list[dict[str, str]]
) -> None:
    serials = ["S1", "S2", '"', "\\", '\\"u0000"', '"\\u0000"', None]
    items = [item("MADE", UUID(int=1), 1, place=place, serial=serial, actors=actors) for serial in serials]
    value = as_read(report("F-ICBC", "r", items).value)
    facts, refused = check_items(value, 0, Reporter("F-ICBC", "factory"), milliseconds(end_of(on(2))))
    assert refused == []
    given = ({name: one[name] for name in CONTENT_FIELDS} for one in value["items"])
    assert [fact.mark[13:] for fact in facts] == [mark_end(None, content) for content in given]
