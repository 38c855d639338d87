"""The examples and tables in docs/partners.md and docs/partners.zh-CN.md: `make docs`.

They are between `<!-- made: NAME -->` and `<!-- end -->` and regenerated from the code; the prose is by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from issuance.city.partners import GRANTABLE, PARTNER_TOPICS, load_registry, topic_of
from issuance.docpages import markdown
from issuance.docpages import partner_examples as examples
from issuance.docpages.lifecycle import NEEDS, RELATIONS
from issuance.settings import ROOT
from issuance.tracking.reports import MOST_ITEMS
from issuance.vault.envelopes import ALGORITHMS
from issuance.wire.bounds import bounds_of, shown
from issuance.words.codes import REFUSAL_CODES
from issuance.words.lifecycle import MILESTONES, PAUSES, REASONS, REQUESTS, Milestone
from issuance.words.references import hash_total

Language = Literal["en", "zh"]
FILES: dict[Language, Path] = {"en": ROOT / "docs" / "partners.md", "zh": ROOT / "docs" / "partners.zh-CN.md"}
BLOCK = re.compile(r"(<!-- made: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
REGISTRY = ROOT / "policies" / "partners.demo.yaml"
WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}
Mistake = tuple[str, str, Callable[[examples.Json], object]]
MISTAKES: tuple[Mistake, ...] = (
    # zh, en, the change made to a valid report of the bank
    ("partner 写成别家", "another partner's name", lambda r: r.update(partner="ICBC")),
    ("没有任何一项", "no items", lambda r: r.update(items=[], declared_count=0)),
    ("declared_count 少报一项", "declared_count is one too many", lambda r: r.update(declared_count=2)),
    ("1,001 项", "1,001 items", lambda r: r.update(items=r["items"] * (MOST_ITEMS + 1), declared_count=MOST_ITEMS + 1)),
    ("hash_total 不符", "another hash_total", lambda r: r.update(hash_total=hash_total([]))),
    ("JOB 报告的项带有 card_ref", "a report of kind JOB about a plastic", lambda r: r.update(kind="JOB", job_id="j")),
    ("没有该环节", "an unknown milestone", lambda r: r["items"][0].update(milestone="UNKNOWN")),
    ("银行报送制卡", "a bank reports MADE", lambda r: r["items"][0].update(milestone="MADE")),
    ("COLLECTED 缺少 place", "COLLECTED without place", lambda r: r["items"][0].pop("place")),
    (
        "销毁只有一名监销人", "a destruction with one witness",
        lambda r: r["items"][0].update(milestone="DESTROYED", actors=[{"role": "WITNESS", "reference": "clerk-17"}]),
    ),
    ("原因代码不存在", "an unknown reason", lambda r: r["items"][0].update(reason="BECAUSE")),
    (
        "角色代码不存在", "an unknown role",
        lambda r: r["items"][0].update(actors=[{"role": "FRIEND", "reference": "visit-8841"}]),
    ),
    (
        "occurred_at 超前两天", "occurred_at two days ahead",
        lambda r: r["items"][0].update(occurred_at=examples.NOW + timedelta(days=2)),
    ),
    (
        "occurred_at 超前两小时", "occurred_at two hours ahead",
        lambda r: r["items"][0].update(occurred_at=examples.NOW + timedelta(hours=2)),
    ),
    (
        "occurred_at 以秒代毫秒", "occurred_at in seconds",
        lambda r: r["items"][0].update(occurred_at=datetime.fromtimestamp(examples.NOW.timestamp() / 1000, UTC)),
    ),
    ("place 中有 U+0000", "U+0000 in place", lambda r: r["items"][0].update(place="ICBC\0")),
    ("report_id 有 200 位", "a report_id of 200 characters", lambda r: r.update(report_id="R" * 200)),
    (
        "参与人写姓名", "a name for an actor's reference",
        lambda r: r["items"][0].update(actors=[{"role": "HOLDER", "reference": "\u5f20\u4e09"}]),
    ),
    ("S10 邮件号校验位有误", "an S10 number with a wrong check digit",
     lambda r: r["items"][0].update(tracking_no="EJ473124820CN")),
)  # fmt: skip

SEND_ANEW = ("改正后以新的 report_id 发送", "correct it and send it under a new report_id")
REPORT_ANEW = ("改正该项，放进下一份报告", "correct the item and send it in another report")
REMEDIES: dict[str, tuple[str, str]] = {
    # refusal code: (zh, en) what the partner does about it
    "UNDECODABLE": ("检查帧与模式编号，重发", "check frame and schema id, and send it again"),
    "NOT_YOURS": ("检查凭证与 `partner` 是否属于同一家", "check that credentials and `partner` belong together"),
    "COUNT_DIFFERS": SEND_ANEW,
    "HASH_DIFFERS": (
        "改正后以新的 report_id 发送；回执不符则重新取文件",
        "the same; for a receipt: fetch the file again",
    ),
    "EMPTY": ("不发空报告", "do not send empty reports"),
    "TOO_MANY": ("拆成多份", "split it"),
    "JOB_INVALID": SEND_ANEW,
    "ID_REUSED": ("新内容用新的编号；原内容已在案", "use another id for other content; what was sent first counts"),
    "CHUNK_INVALID": (
        "重发该片；别片有误则整份作为下一修订",
        "send the chunk again, or the whole as the next revision",
    ),
    "MILESTONE_UNKNOWN": REPORT_ANEW,
    "REASON_UNKNOWN": REPORT_ANEW,
    "ROLE_UNKNOWN": REPORT_ANEW,
    "FIELD_MISSING": REPORT_ANEW,
    "FIELD_INVALID": REPORT_ANEW,
    "NOT_AUTHORISED": ("由有权的一方报送", "leave it to the kind of partner that may report it"),
    "NO_RELATION": ("核对是否本行、本厂的卡", "check whether the plastic is yours"),
    "PLASTIC_UNKNOWN": ("核对 card_ref 与 attempt", "check card_ref and attempt"),
    "JOB_UNKNOWN": ("核对 job_id", "check the job_id"),
    "NOT_CORRECTABLE": ("联系经办人员", "contact the operators"),
    "BEFORE_ORDER": ("检查单位：毫秒，不是秒", "check the unit: milliseconds, not seconds"),
    "TIME_AHEAD": (
        "校准时钟，以原 report_id 重发；`seconds` 为超前秒数",
        "correct your clock and send it again under the same report_id; `seconds` says by how many",
    ),
    "HANDOVER_GIVER_NEEDED": ("填 `handover_giver`，一份报告一个交出方", "give `handover_giver`, one giver a report"),
    "BATCH_TOO_LARGE": ("减小生产者的批，再请经办人员恢复", "send smaller batches, and ask the operators to resume"),
    "UNPROCESSABLE": ("无需处理，我方重放", "nothing: we replay it"),
    "PAUSED": ("排除原因后请经办人员恢复", "remove the cause and ask the operators to resume"),
    "CARD_UNKNOWN": ("核对 cohort_id 与 application_id", "check cohort_id and application_id"),
    "SEALED_UNREADABLE": ("以我方现用公钥重新密封", "seal the values again to our current key"),
    "EVENT_UNKNOWN": ("用表中的事件代码", "use a code of the table of holder events"),
    "EVENT_NOT_FOUND": ("填写本方先前事项的来源与编号", "name the source and event_id of an earlier event of your own"),
    "COHORT_WITHDRAWN": ("无需再报", "stop reporting on it"),
    "DATA_ERASED": ("由持卡人重新申领", "the holder applies again"),
}
SUBMITTERS = frozenset(
    {"SUBMISSION_LIVE", "NOTHING_TO_AMEND", "SUBMISSION_UNDECIDED", "CITY_NOT_SERVED", "CALENDAR_UNKNOWN"}
)
"""Refusals that only submitters of cohorts get."""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown, without the empty line after it."""
    return "\n".join(markdown.table(tuple(head), map(tuple, rows))).rstrip("\n")


def said(language: Language, zh: str, en: str) -> str:
    """One of two texts."""
    return zh if language == "zh" else en


def milestones(language: Language, kind: str) -> str:
    """What a kind of partner may report, and the fields that it needs."""

    def row(m: Milestone) -> list[str]:
        needs = ", ".join(NEEDS.get(need, need) for need in m.needs)
        if m.witnesses:
            needs += said(
                language, f"（{m.witnesses} 名不同的 WITNESS）", f" ({m.witnesses} different of role WITNESS)"
            )
        relation = RELATIONS[m.reporters[kind]][0 if language == "zh" else 1]
        return [f"`{m.name}`", said(language, m.zh, m.en), m.subject, needs, relation,
                said(language, "是", "yes") if m.repeatable else ""]  # fmt: skip

    head = said(language, "环节 说明 对象 须填 须为 可重复", "Milestone Meaning About Needs As Repeatable").split()
    return table(head, (row(m) for m in MILESTONES.values() if kind in m.reporters))


def topics(language: Language) -> str:
    """Which topics a kind of partner writes and reads."""
    rows = []
    for kind, entries in PARTNER_TOPICS.items():
        names = {
            may: [f"`{topic_of(e['family'], 'ID')}`" for e in entries if e["may"] == may] for may in ("write", "read")
        }
        reads = [*names["read"], f"`{topic_of('partner-notices', 'ID')}`"]
        rows.append([kind, ", ".join(names["write"]) or "–", ", ".join(reads)])
    return table(said(language, "类别 写 读", "Kind Writes Reads").split(), rows)


def mistakes(language: Language) -> str:
    """Errors in a report and their codes, each tried on the pipeline's own checks."""
    rows = []
    for zh, en, spoil in MISTAKES:
        report = examples.collected()
        spoil(report)
        codes = examples.refusals(report, examples.BANK)
        rows.append([said(language, zh, en), ", ".join(f"`{code}`" for code in codes)])
    return table(said(language, "错误 代码", "Mistake Code").split(), rows)


def bounds(language: Language, record: str) -> str:
    """What each field of a record, or each sealed value, may be."""
    rows = ([f"`{path}`", shown(bound, language == "zh")] for path, bound in bounds_of(record).items())
    return table(said(language, "字段|界限", "Field|Bound").split("|"), rows)


def codes(language: Language, entries: dict[str, tuple[str, str]]) -> str:
    """Codes and what they mean."""
    rows = ([f"`{code}`", said(language, zh, en)] for code, (zh, en) in entries.items())
    return table(said(language, "代码 含义", "Code Meaning").split(), rows)


def remedies(language: Language) -> str:
    """What each refusal means, and what to do."""
    column = 0 if language == "zh" else 1
    rows = ([f"`{code}`", REFUSAL_CODES[code][column], remedy[column]] for code, remedy in REMEDIES.items())
    return table(said(language, "代码|含义|怎么办", "Code|Meaning|What to do").split("|"), rows)


def requests(language: Language) -> str:
    """What may be asked, and the milestones that answer it."""
    rows = []
    for request, (milestones_, zh, en) in REQUESTS.items():
        ways = [f"`{name}` ({', '.join(MILESTONES[name].reporters)})" for name in milestones_]
        rows.append([f"`{request}`", said(language, zh, en), "; ".join(ways) or "–"])
    return table(said(language, "请求|含义|以何回应", "Request|Meaning|Answered with").split("|"), rows)


def schedule(language: Language) -> str:
    """When statements are due, and other entries of the demo registry that a partner has to know."""
    registry = load_registry(REGISTRY)
    rows = [
        [f"`{function}`", rule["partner_kind"], WEEKDAYS[language][rule["weekday"]], f"{rule['hour']}:00"]
        for function, rule in registry.statements.items()
    ]
    head = said(language, "职能|由谁|哪天|几点（Asia/Shanghai）", "Function|By|Day|Hour (Asia/Shanghai)")
    return table(head.split("|"), rows)


def carriers() -> str:
    """The ids of carriers, for `to_place`."""
    return ", ".join(f"`{carrier.id}`" for carrier in load_registry(REGISTRY).of_kind("carrier"))


def fenced(text: str, kind: str = "") -> str:
    """A block of code."""
    return f"```{kind}\n{text}\n```"


def block(name: str, language: Language) -> str:
    """The content of a block.

    Raises:
        KeyError: there is no such block.
    """
    if name.startswith("bounds-"):
        return bounds(language, name.removeprefix("bounds-"))
    if name.startswith("milestones-"):
        return milestones(language, name.removeprefix("milestones-"))
    tables: dict[str, Callable[[], str]] = {
        "topics": lambda: topics(language),
        "mistakes": lambda: mistakes(language),
        "refusals": lambda: remedies(language),
        "reasons": lambda: codes(language, REASONS),
        "pauses": lambda: codes(language, PAUSES),
        "requests": lambda: requests(language),
        "schedule": lambda: schedule(language),
        "carriers": carriers,
        "algorithms": lambda: ", ".join(f"`{name}`" for name in ALGORITHMS),
        "fields": lambda: ", ".join(f"`{name}`" for name in GRANTABLE),
        "env": lambda: fenced(examples.env()),
        "headers": lambda: fenced(examples.headers()),
        "frame": lambda: fenced(examples.frame()),
        "job-header": lambda: fenced(examples.shown(examples.job_header()), "json"),
        "hash-total": lambda: fenced("\n".join([*examples.CARDS, f"-> {hash_total([*examples.CARDS])}"])),
        "answers": lambda: fenced("\n".join(examples.shown(one) for one in examples.answers()), "json"),
    }
    return tables[name]() if name in tables else fenced(examples.shown(EXAMPLES[name]()), "json")


EXAMPLES: dict[str, Callable[[], examples.Json]] = {
    "order": examples.order,
    "receipt": examples.receipt,
    "bundle": examples.bundle,
    "letter": examples.letter,
    "received": examples.received,
    "collected": examples.collected,
    "correction": examples.correction,
    "destroyed": examples.destroyed,
    "statement": examples.statement,
}


def written(text: str, language: Language) -> str:
    """A document with its blocks regenerated."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{block(found[2], language)}\n\n{found[3]}", text)


def pages() -> dict[Path, str]:
    """Both guides as they have to be: the text around the blocks is written by hand."""
    return {file: written(file.read_text(encoding="utf-8"), language) for language, file in FILES.items()}
