"""docs/lifecycle.md, generated from words.lifecycle and the closing equations: `make docs`.

A test keeps the file in step with the tables; the texts in this module are for the reader only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from issuance.city.partners import PARTNER_TOPICS
from issuance.dispatch.jobs import ENDED as JOBS_ENDED
from issuance.dispatch.jobs import JOB_STATES
from issuance.docpages.markdown import table
from issuance.docpages.reconciliation import breaks_section, equations_section
from issuance.settings import ROOT
from issuance.words.codes import HOLDER_EVENTS, REFUSAL_CODES, TEMPLATES
from issuance.words.lifecycle import (
    ACTIONS,
    BRAKES,
    CANCEL_REASONS,
    CARD_STATES,
    COHORT_STATES,
    DECISIONS,
    ENDED_STATES,
    ENDINGS,
    FLAGS,
    GROUNDS,
    MILESTONES,
    PAUSES,
    PLASTIC_STATES,
    REASONS,
    REQUESTS,
    ROLES,
    VOIDS,
    WITHDRAWALS,
    Milestone,
    Relation,
    State,
    Subject,
    milestones_of,
)

FILE = ROOT / "docs" / "lifecycle.md"

SUBJECTS: dict[Subject, tuple[str, str, str]] = {
    # subject: (zh, en, how an item names it)
    "job": ("任务", "job", "`job_id` of a report of kind JOB"),
    "plastic": ("实体卡", "plastic", "`card_ref` and `attempt`"),
    "plastic_in_consignment": (
        "交接中的实体卡",
        "plastic in a consignment",
        "`card_ref`, `attempt`, and `handover_id`, or `tracking_no` with the carrier as `to_place`",
    ),
    "mail": ("邮件", "mail item", "`tracking_no` of the reporting carrier; no `card_ref`"),
}
RELATIONS: dict[Relation, tuple[str, str]] = {
    "factory_of_job": ("承制该任务的制卡厂", "factory of the job"),
    "bank_of_plastic": ("该卡的发卡银行", "bank of the plastic"),
    "hrss_of_city": ("本市人社", "HRSS of the city"),
    "carrier_of_consignment": ("该邮件的承运方", "carrier of the consignment"),
}
NEEDS = {"consignment": "handover_id or tracking_no"}
"""The fields behind a requirement that is not itself a field."""

SENT = "job sent"
DECIDED_LOST = "decided: lost in a hand-over"
WAIVED = "a step of its cancel order is waived"
COLUMN_OF = {
    # what happens: the column of `plastic_snapshot` that it fills, if not the milestone's own
    SENT: "ordered_on",
    "JOB_ACCEPTED": "accepted",
    "ITEM_ACCEPTED": "accepted",
    "ITEM_REFUSED": "refused",
    "JOB_REFUSED": "refused",
    "HANDED_OVER": "c_handed_over",
    "RECEIVED_AT_PLACE": "c_received",
    "SENT_BACK": "c_sent_back",
    "POSTED": "c_posted",
    "RETURNED": "c_returned",
    "LOST": "c_lost",
    "COLLECTED": "taken",
    "DELIVERED": "taken",
    "ISSUED_INSTANTLY": "taken",
    "LOSS_REPORTED_TEMPORARY": "suspended",
    DECIDED_LOST: "missing",
    WAIVED: "unproven",
}
OPENS_CONSIGNMENT = ("HANDED_OVER", "SENT_BACK")
_MADE = (SENT, "JOB_ACCEPTED", "MADE", "BANK_KEYED", "SS_KEYED", "HANDED_OVER")
_CANCELLED = ("SS_CANCELLED", "ACCOUNT_CANCELLED", "DESTROYED")
WAYS: tuple[tuple[str, ...], ...] = (
    # Usual ways of a plastic; the states on the way are worked out from the conditions of PLASTIC_STATES.
    (*_MADE, "RECEIVED_AT_PLACE", "COLLECTED", "SS_ACTIVATED", "LOSS_REPORTED", *_CANCELLED),
    (*_MADE, "POSTED", "DELIVERED", "SS_ACTIVATED", *_CANCELLED),
    (*_MADE, "POSTED", "RETURNED", "HANDED_OVER"),
    (*_MADE, "POSTED", "RETURNED", *_CANCELLED),
    (*_MADE, "POSTED", "LOST", *_CANCELLED),
    (*_MADE, DECIDED_LOST, "RECEIVED_AT_PLACE"),
    (*_MADE, "RECEIVED_AT_PLACE", "REFUSED_BY_HOLDER", *_CANCELLED),
    (*_MADE, "RECEIVED_AT_PLACE", "SENT_BACK", *_CANCELLED),
    (*_MADE, "RECEIVED_AT_PLACE", *_CANCELLED),
    (SENT, "ITEM_ACCEPTED", "SPOILED", "DESTROYED"),
    (SENT, "ITEM_REFUSED"),
    (SENT, "JOB_REFUSED"),
    (SENT, WAIVED),
    (*_MADE, "RECEIVED_AT_PLACE", WAIVED),
    ("ISSUED_INSTANTLY", "SS_ACTIVATED", "LOSS_REPORTED_TEMPORARY", "LOSS_REPORTED"),
)
CARD_MOVES: dict[tuple[str, str], list[str]] = {
    # (state, next state) of a card in addition to those of its effective plastic: what leads there
    ("[*]", "WAITING"): ["row accepted"],
    ("[*]", "HELD"): ["fee not paid"],
    ("HELD", "WAITING"): ["FEE_PAID"],
    ("WAITING", "PLANNED"): ["wave planned"],
    ("WAITING", "WITHDRAWN"): ["WITHDRAWN, COHORT_WITHDRAWN"],
    ("HELD", "WITHDRAWN"): ["WITHDRAWN"],
    ("WAITING", "CANCELLED_BEFORE_MAKING"): ["DEATH"],
    ("COLLECTED", "NOT_ACTIVATED"): ["not activated in time"],
    ("NOT_ACTIVATED", "ACTIVE"): ["SS_ACTIVATED"],
    ("ACTIVE", "REPLACED"): ["the replacing card is active"],
}
TERM = re.compile(r"(\w+) IS (NOT )?NULL")


def plastic_state(columns: Iterable[str]) -> str:
    """The state of a plastic with exactly these columns of `plastic_snapshot` filled."""
    filled = set(columns)
    return next(state.name for state in PLASTIC_STATES if _holds(state.when, filled))


def _holds(condition: str, filled: set[str]) -> bool:
    if condition == "TRUE":
        return True
    terms = [(TERM.fullmatch(term), term) for term in condition.split(" AND ")]
    unread = [term for match, term in terms if match is None]
    if unread:
        raise ValueError(f"the picture of states cannot read the condition {unread[0]!r}")
    return all((match[1] in filled) == bool(match[2]) for match, _ in terms if match)


def moves() -> dict[tuple[str, str], list[str]]:
    """(state, next state): what brings a plastic from one to the other on the usual ways; '[*]' is the beginning."""
    found: dict[tuple[str, str], list[str]] = {("[*]", plastic_state(())): []}
    for way in WAYS:
        columns: set[str] = set()
        state = "[*]" if way[0] == "ISSUED_INSTANTLY" else plastic_state(())
        for step in way:
            if step in OPENS_CONSIGNMENT:
                columns = {column for column in columns if not column.startswith("c_")}
            columns.add(COLUMN_OF.get(step, step.lower()))
            columns -= {"missing"} if step == "RECEIVED_AT_PLACE" else set()
            following = plastic_state(columns)
            if following != state:
                by = found.setdefault((state, following), [])
                by.extend({step} - set(by))
            state = following
    return found


def _picture() -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield from (f"    {name}: {state.zh} {name}" for name, state in CARD_STATES.items())
    edges = moves()
    for (state, following), steps in {**edges, **CARD_MOVES}.items():
        yield f"    {state} --> {following}" + (f": {', '.join(steps)}" if steps else "")
    left = {state for state, _ in (*edges, *CARD_MOVES)}
    states = [*(state.name for state in PLASTIC_STATES), *(name for name in CARD_STATES if name in ENDED_STATES)]
    yield from (f"    {name} --> [*]" for name in dict.fromkeys(states) if name not in left)
    yield from ("```", "")


def _codes(codes: Mapping[Any, tuple[str, str]]) -> list[str]:
    return table(("Code", "说明", "Meaning"), ((f"`{code}`", zh, en) for code, (zh, en) in codes.items()))


def _reporters(milestone: Milestone) -> str:
    return ", ".join(f"{kind} ({relation})" for kind, relation in milestone.reporters.items())


def _milestones(subject: Subject) -> Iterator[str]:
    zh, en, named = SUBJECTS[subject]
    yield from (f"### {zh} / {en}", "", f"Named by {named}.", "")
    yield from table(
        ("Milestone", "说明", "Meaning", "Reported by", "Needs", "Repeatable"),
        (
            (
                f"`{m.name}`",
                m.zh,
                m.en,
                _reporters(m),
                ", ".join(NEEDS.get(need, need) for need in m.needs)
                + (f" ({m.witnesses} different of role WITNESS)" if m.witnesses else ""),
                "yes" if m.repeatable else "",
            )
            for m in milestones_of(subject)
        ),
    )


def _state_row(state: State) -> tuple[str, ...]:
    since = "the day it is found" if state.since == "NULL" else f"`{state.since}`"
    buckets = (state.order, state.making or "–", ", ".join(state.flags))
    return f"`{state.name}`", state.zh, state.en, f"`{state.when}`", since, *buckets


STATES_TEXT = """\
实体卡的状态由自上而下第一个成立的条件决定。条件中的列是 `plastic` 的列，`c_` 开头的列属于其最近一次交接或邮寄；
`taken` 表示已领取、即时制卡，或邮件已妥投本人。后几列是其在 order 和 making 等式中的归类（交接前作废、销毁的卡另列）；
最后一列是该状态所属的组（见下）。

The first condition that holds gives a plastic's state. Columns are those of `plastic`, `c_…` those of its newest
consignment; `taken` means collected, issued instantly, or delivered to the holder. The next columns are its buckets in
the order and making equations (what is cancelled or destroyed before a hand-over has buckets of its own there), the
last one its groups (below).
"""
CARD_STATES_TEXT = """\
卡取其有效实体卡的状态：先看最早启用社保功能的，其次最早领取的，再次最新的一张。此外还有：

A card has the state of its effective plastic: the first with social security active, else the first collected, else
the newest. In addition:
"""


def _states() -> Iterator[str]:
    yield from ("## 状态 / States", "", STATES_TEXT)
    yield from _picture()
    head = ("State", "说明", "Meaning", "When", "Since", "Order bucket", "Making bucket", "Groups")
    yield from (*table(head, map(_state_row, PLASTIC_STATES)), CARD_STATES_TEXT)
    plastic = {state.name for state in PLASTIC_STATES}
    yield from table(
        ("State", "说明", "Meaning", "Order bucket", "Groups"),
        (
            (f"`{name}`", state.zh, state.en, state.order, ", ".join(state.flags))
            for name, state in CARD_STATES.items()
            if name not in plastic
        ),
    )
    yield from ("### 状态的组 / Groups of states", "", *_codes(FLAGS))


def _cohorts() -> Iterator[str]:
    yield from ("## 批次状态 / States of a cohort", "", *_codes(COHORT_STATES))


def _requests() -> list[str]:
    rows = []
    for request, (answers, zh, en) in REQUESTS.items():
        ways = [f"`{answer}` by {', '.join(MILESTONES[answer].reporters)}" for answer in answers]
        rows.append((f"`{request}`", zh, en, "; or ".join(ways) or "–"))
    return table(("Request", "说明", "Meaning", "Answered with"), rows)


def _jobs() -> Iterator[str]:
    yield from ("## 任务状态 / States of a job", "", "The first condition that holds gives a job's state.", "")
    rows = ((f"`{s.name}`", s.zh, s.en, "yes" if s.name in JOBS_ENDED else "") for s in JOB_STATES)
    yield from table(("State", "说明", "Meaning", "Ended"), rows)


def _holder_events() -> list[str]:
    """Codes, and the columns of each event's sealed values."""
    rows = (
        (f"`{e.name}`", e.zh, e.en, ", ".join(e.needs), ", ".join(e.may), "yes" if e.remakes else "")
        for e in HOLDER_EVENTS.values()
    )
    return table(("Code", "说明", "Meaning", "Sealed values", "Optional", "May cause a re-make"), rows)


def _topics() -> list[str]:
    rows = []
    for kind, entries in PARTNER_TOPICS.items():
        may = {verb: [entry["family"] for entry in entries if entry["may"] == verb] for verb in ("write", "read")}
        rows.append((kind, ", ".join(may["write"]) or "–", ", ".join([*may["read"], "partner-notices"])))
    return table(("Kind", "Writes", "Reads"), rows)


MILESTONES_TEXT = """\
谁可以报送哪个环节只在此处规定，接收校验由此表生成；Kafka 权限由下面的主题表生成。单次环节有两个值时取最小者
（先比发生时间，再比内容），并记一条差异；可重复环节取最后一次。

Who may report what is defined here only, and the consumers' checks are generated from it; broker ACLs from the table
of topics below. Of two values of a single milestone the least (occurred_at, then content) counts and the difference
is a break; of a repeatable one the last counts.
"""


def _of_reports() -> Iterator[str]:
    yield from ("## 环节 / Milestones", "", MILESTONES_TEXT, *_codes(RELATIONS))
    for subject in SUBJECTS:
        yield from _milestones(subject)
    yield from ("## 合作方主题 / Topics of a partner", "", *_topics())
    yield from ("## 原因 / Reasons", "", *_codes(REASONS))
    yield from ("## 承运方措施 / Actions", "", *_codes(ACTIONS))
    yield from ("## 参与人 / Roles of actors", "", *_codes(ROLES))
    yield from ("## 拒收代码 / Refusals of reports and items", "", *_codes(REFUSAL_CODES))
    yield from ("## 暂停原因 / Why a partner is paused", "", *_codes(PAUSES))


REQUESTS_TEXT = """\
请求由环节回应，所列任一环节即可；`HANDED_OVER` 须是比退回的那次更新的一次交接。逾期未回应即记差异 `REQUEST_OVERDUE`。
请求或被回应，或因理由不再而作废，或由人豁免（`issuance request waive`）：
注销次序中的一步被豁免，以后各步作废，该卡以“注销，未证实”办结。

A request is answered by any of the milestones listed, `HANDED_OVER` only by a newer consignment than the one that came
back. Unanswered past its due day it is a break, `REQUEST_OVERDUE`. A request is answered, void because its ground is
gone, or waived by a person (`issuance request waive`): waiving a step of the cancel order voids the later ones, and the
plastic is cancelled, unproven.
"""


REMAKES_TEXT = """\
补制是一个过程：新卡代替旧卡。旧卡在新卡被领取（或妥投本人）时按序注销；持卡人拒收、损坏和改派的立即注销。旧卡只是找不到
（丢失、推定丢失、交接中遗失）而在新卡领取之前出现的，补制结束，新卡作废：未下单的不再制作，已下单的请制卡厂取消，已制成的按序注销。
其余情况，旧卡了结（或从未制成）时补制结束。一天之内到期过多的，由人决定是否继续（见刹车）。

A re-make is a process in which a plastic takes the place of an earlier one. The old one is cancelled, in the enforced
order, when the new one is collected or delivered to its holder; at once if its holder refused it, it is damaged, or it
was moved to another factory. An old one that is only missed and turns up before the new one is taken ends the re-make,
and the new one is cancelled by how far it is: not made any more, cancelled at the factory, or in the enforced order.
Otherwise a re-make ends when the old plastic is dealt with. What falls due in numbers waits for a person (brakes).
"""
REMAKES_PICTURE = """\
```mermaid
stateDiagram-v2
    open: 进行中 open
    [*] --> open: a ground
    open --> DONE: the old plastic was never made, or its cancel order has ended
    open --> FOUND: missed, and turned up before the new one was taken
    open --> WITHDRAWN: the card is withdrawn
    DONE --> [*]
    FOUND --> [*]
    WITHDRAWN --> [*]
```
"""


def _remakes() -> Iterator[str]:
    yield from ("## 补制 / Re-makes", "", REMAKES_TEXT, REMAKES_PICTURE)
    rows = (
        (f"`{g.name}`", g.zh, g.en, "at once" if g.at_once else "when the new one is taken", "yes" if g.loss else "")
        for g in GROUNDS.values()
    )
    yield from table(("Ground", "说明", "Meaning", "The old plastic is cancelled", "Ends if it turns up"), rows)
    yield from ("### 补制的结束 / How a re-make ends", "", *_codes(ENDINGS))
    yield from ("### 刹车 / Brakes", "", *_codes(BRAKES))


def _of_decisions() -> Iterator[str]:
    yield from ("## 决定 / Decisions", "", *_codes(DECISIONS))
    yield from _remakes()
    yield from ("### 注销原因 / Why a plastic is cancelled", "", *_codes(CANCEL_REASONS))
    yield from ("### 撤回原因 / Why a card is withdrawn", "", *_codes(WITHDRAWALS))
    yield from ("## 请求 / Requests to partners", "", REQUESTS_TEXT, *_requests())
    yield from ("### 请求作废的原因 / Why a request is void", "", *_codes(VOIDS))
    yield from ("## 通知 / Notices to holders", "", *_codes(TEMPLATES))
    yield from _jobs()
    yield from ("## 持卡人事件 / Holder events", "", *_holder_events())
    yield from breaks_section()
    yield from equations_section()


def lifecycle_markdown() -> str:
    """The whole of docs/lifecycle.md."""
    head = (
        "# 卡的生命周期 / The life of a card",
        "",
        "由 `issuance/words/lifecycle.py` 生成（`make docs`），请勿手改。",
        "Generated from `issuance/words/lifecycle.py` and the closing equations by `make docs`; do not edit.",
        "",
    )
    return "\n".join([*head, *_states(), *_cohorts(), *_of_reports(), *_of_decisions()]).rstrip("\n") + "\n"


def pages() -> dict[Path, str]:
    """docs/lifecycle.md as it has to be."""
    return {FILE: lifecycle_markdown()}
