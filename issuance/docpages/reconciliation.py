"""The breaks and closing equations of docs/lifecycle.md, generated from their tables."""

from __future__ import annotations

from collections.abc import Iterator

from issuance.breaks.kinds import BREAK_KINDS, BreakKind
from issuance.docpages.markdown import table
from issuance.reconcile.equation_words import BUCKET_WORDS, EQUATION_WORDS
from issuance.reconcile.equations import EQUATIONS, MISSING, Equation
from issuance.reconcile.evidence import MILESTONES_OF

BREAKS_TEXT = """\
差异是必须有人说明的不一致。每条差异有双方的证据（`issuance break show BREAK_ID`）、天数、严重程度、责任人和说明。
自行关闭的，后到的证据一旦说明即关闭，重新出现则重新打开；由人说明的，只要差异原样存在就不再打开，差异变了或消失
后又出现才重新打开。“不影响结清”的只作关注：批次照常结清。证据按什么次序、晚到或重复到达，结果都一样。

A break is a difference that somebody must explain. It has the evidence of both sides (`issuance break show
BREAK_ID`), an age, a severity, an owner and a note. One that closes by itself closes when later evidence explains
it, and is reopened when its difference comes back. What a person has explained stays closed while the difference is
unchanged, and is reopened when it changes, or had gone and comes back. One that does not hold a cohort open is only
watched. The result does not depend on the order of the evidence, nor on late or repeated reports.
"""
EQUATIONS_TEXT = """\
每个等式的左边来自一份记录，右边把其他记录归入各栏，每项恰在一栏。两边逐项相等且标 ✗ 的一栏为空，等式才成立；不
符的逐项列出。每项归须为之答复的一个合作方：`issuance cohort statement ID --partner P` 只列该合作方的部分，各部
分之和即整个批次。每张卡都已办结、没有影响结清的未决差异和未答复请求、全部等式成立时，批次结清。

The left side of an equation comes from one record, the right side puts other records into buckets, each entity
into exactly one. It holds when both sides are equal, entity by entity, and every bucket marked ✗ is empty; what
differs is listed. An entity belongs to the one partner who is responsible for it: `issuance cohort statement
ID --partner P` shows that partner's part, and the parts add up to the cohort. A cohort closes when every card has
ended, no request and no break that holds it is open, and every equation holds.
"""
BREAK_HEAD = (
    "Kind",
    "说明",
    "Meaning",
    "Severity",
    "Closes by itself",
    "Holds a cohort open",
    "怎么办",
    "What to do next",
    "Evidence",
)
KINDS = {"factory": "制卡厂", "bank": "银行", "hrss": "人社", "carrier": "承运方"}
UNITS = {"row": "行", "card": "卡", "plastic": "实体卡", "plastic in a consignment": "交接中的实体卡"}


def _break_row(kind: BreakKind) -> tuple[str, ...]:
    return (
        f"`{kind.name}`",
        kind.zh,
        kind.en,
        {"high": "高 / high", "normal": "一般 / normal"}[kind.severity],
        "是 / yes" if kind.closes_itself else "由人说明 / by an operator",
        "是 / yes" if kind.holds else "否，只作关注 / no, watched",
        *kind.remedy,
        ", ".join(f"`{name}`" for name in MILESTONES_OF.get(kind.name, ())) or "–",
    )


def breaks_section() -> Iterator[str]:
    """Every kind of break."""
    yield from ("## 差异 / Breaks", "", BREAKS_TEXT)
    yield from table(BREAK_HEAD, map(_break_row, BREAK_KINDS.values()))


def _bucket(equation: Equation, bucket: str) -> tuple[str, ...]:
    open_ = "✗" if bucket in equation.open_buckets else ""
    return equation.name, bucket, BUCKET_WORDS[bucket], open_


def _equation_row(equation: Equation) -> tuple[str, ...]:
    zh, en = EQUATION_WORDS[equation.name]
    answers = ", ".join(f"{KINDS[kind]} {kind}" for kind in equation.answers) or "– (报送人 the submitter)"
    return f"**{equation.name}**", zh, en, f"{UNITS[equation.unit]} / {equation.unit}", answers


def equations_section() -> Iterator[str]:
    """Every closing equation with its buckets."""
    yield from ("## 结清等式 / Closing equations", "", EQUATIONS_TEXT)
    yield from table(("Equation", "说明", "Meaning", "Unit", "Responsible"), map(_equation_row, EQUATIONS))
    buckets = [
        _bucket(equation, bucket)
        for equation in EQUATIONS
        for bucket in (*equation.buckets, *([MISSING] if equation.beside else ()))
    ]
    yield from ("### 各栏 / Buckets", "", *table(("Equation", "Bucket", "说明", "Must be empty"), buckets))
