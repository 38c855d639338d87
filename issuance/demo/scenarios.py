"""Awkward cases of a card's life, each a cohort of its own: what is done on purpose, and the required outcome.

`issuance demo --scenario NAME` (`all`: side by side) plays them on the local stack with the real pipeline. An outcome
holds when the subjects that the partners' truth files name are exactly those that the ledger shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

QUIET: Mapping[str, float] = dict.fromkeys(
    ("refuse", "spoil", "refuse-by-holder", "uncollected", "unactivated", "fail", "lose", "return", "withdraw", "delay",
     "correct"), 0.0,
) | {"finance": 1.0}  # fmt: skip
"""Rates of what happens in every cohort, and here only where the scenario says so."""

OF_COHORT = "card_ref IN (SELECT card_ref FROM card WHERE cohort_no = %(cohort)s)"
PLASTIC = "p.card_ref || '/' || p.attempt"
ANNULLED = "annulled"
"""The plastics of facts that were taken back."""
IN_HAND = "('ACTIVE', 'SUSPENDED', 'COLLECTED', 'NOT_ACTIVATED', 'LOST_BY_HOLDER')"

ONE_LIVE = """
(SELECT count(*) FROM plastic q WHERE q.card_ref = c.card_ref AND q.ss_activated IS NOT NULL AND q.ss_cancelled IS NULL
 AND q.destroyed IS NULL) <= 1
"""
"""Whether a card (c) has one live plastic at the most."""
TAKEN_BEFORE = (
    "coalesce(mark_at(p.collected), (SELECT min(mark_at(l.delivered)) FROM letter_news l"
    " WHERE (l.card_ref, l.attempt) = (p.card_ref, p.attempt))) <= e.occurred_at + interval '1 day'"
)
"""Whether a holder had the plastic (p) by the time of an event (e)."""


@dataclass(frozen=True)
class Outcome:
    """A required outcome: its subjects according to the truth files equal those of a query over the ledger alone."""

    zh: str
    en: str
    found: str
    """SQL of one column, of one cohort (%(cohort)s: its number): the subjects as truth files write them."""
    happening: str = ""
    """What was done, by the line of the truth that names a subject; '' when it is a fact."""
    milestone: str = ""
    """The fact that names a plastic, `card_ref/attempt`, or a letter, by its number."""


@dataclass(frozen=True)
class Scenario:
    """One awkward case."""

    name: str
    zh: str
    en: str
    rates: Mapping[str, float]
    """Rates that lead to re-makes stay near the allowance of a release, beyond which a second person is asked."""
    outcomes: tuple[Outcome, ...]
    methods: tuple[str, ...] = ("outlet",)
    kinds: tuple[str, ...] = ()
    """Kinds of applications, as `issuance generate --kind` takes them."""
    world: Mapping[str, float] = field(default_factory=dict)
    """Rates of what belongs to no cohort."""
    chunk_items: int = 1000
    """Items in a chunk of a statement."""
    alone: bool = False
    """Whether it needs a ledger of its own: what happens concerns every cohort."""


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "death",
            "在途死亡",
            "a holder dies while the card is under way",
            {"die": 0.3},
            (
                Outcome(
                    "制卡取消或按序注销，此后不再通知",
                    "not made, or cancelled in the enforced order; no notice after the death",
                    "SELECT c.card_ref::text FROM holder_event e JOIN card c USING (card_ref)"
                    " WHERE c.cohort_no = %(cohort)s AND e.event = 'DEATH' AND c.withdrawn = 'DEATH'"
                    " AND c.state IN ('CANCELLED', 'CANCELLED_BEFORE_MAKING', 'DESTROYED') AND NOT EXISTS (SELECT FROM"
                    " decision d WHERE d.card_ref = c.card_ref AND d.kind = 'NOTICE'"
                    " AND d.business_day > shanghai_day(e.occurred_at))",
                    happening="DEATH",
                ),
            ),
            methods=("outlet", "mail"),
        ),
        Scenario(
            "bank-switch",
            "在途更换银行",
            "a holder switches banks while the card is under way",
            {"switch-bank": 0.06},
            (
                Outcome(
                    "由新银行的卡生效，或持卡人此前已领卡",
                    "the card of the new bank counts, unless the holder had the old one by then",
                    "SELECT c.card_ref::text FROM holder_event e JOIN card c USING (card_ref) JOIN plastic p"
                    " ON (p.card_ref, p.attempt) = (c.card_ref, c.effective) WHERE c.cohort_no = %(cohort)s"
                    " AND e.event = 'BANK_SWITCHED' AND e.followed_on IS NOT NULL"
                    " AND (p.bank = e.terms ->> 'bank' OR mark_at(p.collected) <= e.occurred_at + interval '1 day')",
                    happening="BANK_SWITCHED",
                ),
            ),
        ),
        Scenario(
            "leftover",
            "单位未发放退回，部分人员二次申领",
            "an employer's uncollected cards go back to the store; some holders apply again",
            {"leave-over": 0.5, "apply-again": 0.5},
            (
                Outcome(
                    "退回在库，最终发放或到期销毁",
                    "back in the store, finally handed out or destroyed",
                    f"SELECT {PLASTIC} FROM plastic_in_consignment a JOIN plastic p USING (card_ref, attempt)"
                    " JOIN card c USING"
                    " (card_ref) WHERE c.cohort_no = %(cohort)s AND a.sent_back IS NOT NULL"
                    f" AND (c.state IN {IN_HAND} OR c.state = 'DESTROYED')",
                    happening="left over",
                ),
                Outcome(
                    "同一张卡再次发放并领取",
                    "the same plastic is handed out again and collected",
                    f"SELECT {PLASTIC} FROM decision d JOIN plastic p USING (card_ref, attempt) WHERE d.kind = 'RESEND'"
                    f" AND d.reason = 'SECOND_APPLICATION' AND p.collected IS NOT NULL AND p.{OF_COHORT}",
                    happening="applied again",
                ),
            ),
            methods=("employer",),
        ),
        Scenario(
            "turned-up",
            "丢失邮件在补制后出现",
            "a lost letter turns up after its re-make",
            {"lose": 0.06, "turn-up": 1.0},
            (
                Outcome(
                    "找到的旧卡在新卡领取后按序注销并销毁",
                    "the old plastic that was found is cancelled in order and destroyed once the new one is taken",
                    f"SELECT {PLASTIC} FROM plastic p JOIN remake r USING (card_ref, attempt) JOIN card c"
                    " USING (card_ref) WHERE c.cohort_no = %(cohort)s AND r.ground = 'LOST' AND r.ending = 'DONE'"
                    f" AND p.ss_cancelled < p.destroyed AND c.state IN {IN_HAND}",
                    happening="turned up",
                ),
                Outcome(
                    "丢失即补制",
                    "a lost letter is re-made",
                    "SELECT tracking_no_of(l.consignment_id) FROM remake d JOIN letter_news l"
                    " USING (card_ref, attempt) WHERE d.ground = 'LOST'"
                    f" AND l.lost IS NOT NULL AND d.{OF_COHORT}",
                    milestone="LOST",
                ),
            ),
            methods=("mail",),
        ),
        Scenario(
            "refused",
            "柜台拒收（姓名、照片或号码有误）",
            "a card is refused at the counter: name, photo or number is wrong",
            {"refuse-by-holder": 0.06},
            (
                Outcome(
                    "按原因补制，旧卡销毁",
                    "re-made for that reason, the first one destroyed",
                    f"SELECT {PLASTIC} FROM remake d JOIN plastic p USING (card_ref, attempt)"
                    f" WHERE d.reason = mark_reason(p.refused_by_holder) AND p.destroyed IS NOT NULL AND p.{OF_COHORT}",
                    milestone="REFUSED_BY_HOLDER",
                ),
            ),
        ),
        Scenario(
            "uncollected",
            "逾期未领",
            "nobody collects a card",
            {"uncollected": 0.2},
            (
                Outcome(
                    "提醒后按“社保、账户、卡片”顺序注销，双人监销",
                    "after reminders cancelled in the order social security, account, plastic, before two witnesses",
                    f"SELECT {PLASTIC} FROM plastic p WHERE p.{OF_COHORT} AND p.ss_cancelled < p.account_cancelled"
                    " AND p.account_cancelled < p.destroyed AND (SELECT count(*) FROM decision d WHERE d.reason ="
                    " 'REMINDER' AND d.card_ref = p.card_ref) > 0",
                    milestone="DESTROYED",
                ),
            ),
        ),
        Scenario(
            "returned",
            "邮件退回并再次投递",
            "a letter comes back and goes out again",
            {"return": 0.4, "fail": 0.2},
            (
                Outcome(
                    "作为新的交接再次投递",
                    "it goes out again as a new consignment",
                    "SELECT DISTINCT tracking_no_of(d.consignment_id) FROM decision d JOIN letter_news l"
                    " USING (card_ref, attempt) WHERE d.kind = 'RESEND' AND l.consignment_id <> d.consignment_id"
                    f" AND l.delivered IS NOT NULL AND d.{OF_COHORT}",
                    milestone="RETURNED",
                ),
            ),
            methods=("mail",),
        ),
        Scenario(
            "left-out",
            "交接清单上的卡未到",
            "a plastic that was signed for is not in the bundle",
            {"leave-out": 0.06},
            (
                Outcome(
                    "差异点名该卡，经办人补制",
                    "a break names it, an operator has it re-made",
                    f"SELECT {PLASTIC} FROM remake d JOIN plastic p USING (card_ref, attempt) JOIN card c USING"
                    " (card_ref) JOIN plastic_in_consignment a USING (card_ref, attempt)"
                    " WHERE d.ground = 'MISSING' AND d.decided_by <> 'policy' AND c.cohort_no = %(cohort)s"
                    f" AND c.state IN {IN_HAND} AND EXISTS (SELECT FROM break b WHERE b.kind = 'HANDOVER_COUNT'"
                    " AND b.reference = a.consignment_id)",
                    happening="left out",
                ),
            ),
        ),
        Scenario(
            "stray",
            "银行误报他行的卡",
            "a bank reports another bank's card",
            {"stray": 0.3},
            (
                Outcome(
                    "该项被拒收并告知，其余照常采用",
                    "the item is refused and answered, the rest is applied",
                    "SELECT partner || ' ' || report_id || '#' || item FROM refused_item WHERE code = 'NO_RELATION'",
                    happening="stray",
                ),
            ),
        ),
        Scenario(
            "loss",
            "领卡后挂失",
            "cards are reported lost after collection",
            {"lose-card": 0.5, "lose-for-good": 0.4},
            (
                Outcome(
                    "临时挂失到期自动失效",
                    "a temporary loss report lapses by itself",
                    f"SELECT {PLASTIC} FROM plastic p JOIN card c USING (card_ref) WHERE c.cohort_no = %(cohort)s"
                    " AND p.loss_reported_temporary IS NOT NULL"
                    " AND c.state IN ('ACTIVE', 'SUSPENDED', 'LOST_BY_HOLDER')",
                    happening="lost for the time being",
                ),
                Outcome(
                    "正式挂失不可撤销",
                    "a formal one is final",
                    f"SELECT {PLASTIC} FROM plastic p JOIN card c USING (card_ref) WHERE c.cohort_no = %(cohort)s"
                    " AND c.state = 'LOST_BY_HOLDER'",
                    happening="lost for good",
                ),
            ),
        ),
        Scenario(
            "old-card",
            "启用新卡后旧卡仍被使用",
            "an old card is used after cut-over",
            {"use-old": 0.3},
            (
                Outcome(
                    "记为差异，须由人说明",
                    "a break that a person has to explain",
                    "SELECT reference FROM break WHERE kind = 'OLD_CARD_USED' AND cohort_no = %(cohort)s"
                    " AND note IS NOT NULL",
                    happening="old card used",
                ),
            ),
        ),
        Scenario(
            "mistake",
            "误报后更正",
            "a collection is reported by mistake and corrected",
            {"correct": 0.5},
            (
                Outcome(
                    "误报的事实作废，正确的事实成立",
                    "the wrong fact is annulled, the right one stands",
                    f"SELECT {PLASTIC} FROM plastic p WHERE p.{OF_COHORT} AND p.corrected AND p.collected IS NOT NULL",
                    happening=ANNULLED,
                ),
            ),
        ),
        Scenario(
            "gap",
            "报送序号有缺口",
            "reports are missing from a partner's sequence",
            {"drop": 0.5},
            (
                Outcome(
                    "按序号索要并补齐",
                    "they are requested by number and sent again",
                    "SELECT partner || '/' || stream || '/' || n FROM partner_stream, unnest(asked) AS gap,"
                    " generate_series(lower(gap), upper(gap) - 1) AS n WHERE seen @> n",
                    happening="gap",
                ),
            ),
        ),
        Scenario(
            "missing-chunk",
            "对账单缺一片",
            "a statement comes without one of its chunks",
            {},
            (
                Outcome(
                    "按片号索要，齐全后才采用",
                    "the chunk is requested by number; the statement counts when it is complete",
                    "SELECT k.partner || ' ' || k.statement_id || '/' || k.chunk FROM statement_chunk k"
                    " JOIN statement s USING (partner, statement_id, revision) JOIN outbox o"
                    " ON o.ce_id LIKE k.partner || '/MISSING/' || k.statement_id || '/%%' AND k.chunk BETWEEN"
                    " split_part(ce_id, '/', 5)::int AND split_part(ce_id, '/', 6)::int",
                    happening="chunk hidden",
                ),
            ),
            world={"hide-chunk": 0.15},
            chunk_items=5,
        ),
        Scenario(
            "late-statement",
            "对账单逾期",
            "a statement does not come on its day",
            {},
            (
                Outcome(
                    "记为差异并索要，到齐后自动关闭",
                    "a break, and a request; the break closes when the statement arrives",
                    "SELECT s.partner || ' ' || s.statement_id FROM statement s JOIN break b"
                    " ON b.kind = 'STATEMENT_LATE'"
                    " AND b.reference = s.partner || '/' || s.function"
                    " JOIN break_event e USING (break_id) WHERE e.event IN ('OPENED', 'REOPENED')"
                    " AND e.actual = 'nothing' AND e.business_day = s.completed_on",
                    happening="statement late",
                ),
            ),
            world={"state-late": 0.1},
        ),
        Scenario(
            "found-again",
            "丢失邮件在补制各环节中投妥",
            "a lost letter is delivered after all, at whatever step its re-make is",
            {"lose": 0.3, "deliver-lost": 1.0},
            (
                Outcome(
                    "持卡人手中只有一张有效卡",
                    "its holder has one live card, whichever came first",
                    f"SELECT {PLASTIC} FROM remake r JOIN plastic p USING (card_ref, attempt) JOIN letter_news l"
                    " USING (card_ref, attempt) JOIN card c USING (card_ref) WHERE c.cohort_no = %(cohort)s"
                    f" AND r.ground = 'LOST' AND l.delivered IS NOT NULL AND c.state IN {IN_HAND} AND {ONE_LIVE}",
                    happening="delivered after all",
                ),
            ),
            methods=("mail",),
        ),
        Scenario(
            "silent-carrier",
            "承运方三周无消息，随后一并补报",
            "the carriers say nothing for three weeks, and then everything",
            {},
            (
                Outcome(
                    "记承运方一条差异，不逐件推定丢失",
                    "a break for the carrier, no letter is presumed lost by the clock",
                    "SELECT reference FROM break WHERE kind = 'FEED_SILENT' AND NOT EXISTS (SELECT FROM remake"
                    " WHERE ground = 'PRESUMED_LOST' AND decided_by = 'policy')",
                    happening="silent",
                ),
                Outcome(
                    "静默期间投妥的卡仍然有效",
                    "a plastic delivered meanwhile stays its holder's card",
                    f"SELECT {PLASTIC} FROM letter_news l JOIN plastic p USING (card_ref, attempt) JOIN card c"
                    " USING (card_ref) JOIN fact f ON f.consignment_id = l.consignment_id WHERE c.cohort_no ="
                    " %(cohort)s AND f.milestone = 'DELIVERED' AND shanghai_day(mark_at(f.mark)) < f.arrived_on"
                    f" AND c.effective = p.attempt AND c.state IN {IN_HAND} AND {ONE_LIVE}",
                    happening="delivered in silence",
                ),
            ),
            methods=("mail",),
            world={"go-silent": 1.0, "clock-ahead": 0.3},
            alone=True,
        ),
        Scenario(
            "bankrupt",
            "制卡厂破产，任务未完成",
            "factories go bankrupt with jobs open",
            {"go-bankrupt": 0.3},
            (
                Outcome(
                    "改派备用厂，持卡人领到卡",
                    "moved to the backup factory or made again, and its holder has a card",
                    f"SELECT {PLASTIC} FROM remake r JOIN plastic p USING (card_ref, attempt) JOIN card c USING"
                    " (card_ref) WHERE r.ground IN ('REASSIGNED', 'DAMAGED') AND c.cohort_no = %(cohort)s"
                    f" AND c.state IN {IN_HAND} AND {ONE_LIVE}",
                    happening="stranded",
                ),
            ),
        ),
        Scenario(
            "never-signs",
            "网点从不签收",
            "an outlet never signs for what it gets",
            {"never-sign": 0.4},
            (
                Outcome(
                    "差异点名该交接，持卡人领到卡",
                    "a break names the hand-over, and its holder has a card",
                    f"SELECT {PLASTIC} FROM plastic_in_consignment a JOIN plastic p USING (card_ref, attempt)"
                    " JOIN card c USING (card_ref) JOIN break b ON b.kind = 'HANDOVER_COUNT'"
                    " AND b.reference = a.consignment_id WHERE c.cohort_no = %(cohort)s"
                    f" AND a.received_at_place IS NULL AND c.state IN {IN_HAND} AND {ONE_LIVE}",
                    happening="not signed for",
                ),
            ),
        ),
        Scenario(
            "mistaken-death",
            "误报死亡后撤销",
            "a living holder is reported dead, and it is taken back",
            {"die-by-mistake": 0.3},
            (
                Outcome(
                    "未答复的注销作废，已注销的补制，持卡人领到卡",
                    "what is unanswered is void, what was cancelled is made again, and the holder has a card",
                    "SELECT c.card_ref::text FROM holder_event e JOIN card c USING (card_ref) WHERE c.cohort_no ="
                    f" %(cohort)s AND e.event = 'DEATH' AND e.annulled AND c.state IN {IN_HAND} AND {ONE_LIVE}",
                    happening="mistaken for dead",
                ),
            ),
            methods=("outlet", "mail"),
        ),
        Scenario(
            "instant",
            "网点即时制卡",
            "a card is made at an outlet while the ordered one is under way",
            {"issue-instantly": 0.3},
            (
                Outcome(
                    "即时卡有效，预制卡不再制作或注销",
                    "that card counts, the ordered one is not made or cancelled",
                    f"SELECT {PLASTIC} FROM plastic p JOIN card c USING (card_ref) WHERE c.cohort_no = %(cohort)s"
                    f" AND p.attempt = 0 AND c.effective = 0 AND c.state IN {IN_HAND} AND {ONE_LIVE}",
                    happening="issued instantly",
                ),
            ),
        ),
        Scenario(
            "late-fee",
            "迟缴工本费",
            "a fee is paid weeks after the opening",
            {"pay-late": 1.0},
            (
                Outcome(
                    "缴费后制卡",
                    "held until it is paid, then made",
                    "SELECT c.card_ref::text FROM holder_event e JOIN card c USING (card_ref) WHERE c.cohort_no ="
                    f" %(cohort)s AND e.event = 'FEE_PAID' AND c.state IN {IN_HAND}",
                    happening="FEE_PAID",
                ),
            ),
            kinds=("renewal", "renewal", "replacement/unpaid"),
        ),
        Scenario(
            "changed",
            "在途变更姓名、号码、地址",
            "a name, an ID number or an address changes while the card is under way",
            {"change-name": 0.06, "correct-id": 0.06, "change-address": 0.1},
            tuple(
                Outcome(
                    zh,
                    en,
                    "SELECT c.card_ref::text FROM holder_event e JOIN card c USING (card_ref) JOIN plastic p"
                    " ON (p.card_ref, p.attempt) = (c.card_ref, c.effective) JOIN job j USING (job_id)"
                    f" WHERE c.cohort_no = %(cohort)s AND e.event = '{event}' AND c.state IN {IN_HAND}"
                    f" AND (e.event_no = ANY (j.carries) OR {unless})",
                    happening=event,
                )
                for event, zh, en, unless in (
                    ("NAME_CHANGED", "手中的卡是新姓名", "the card in hand has the new name", TAKEN_BEFORE),
                    ("ID_CORRECTED", "手中的卡是新号码", "the card in hand has the new number", TAKEN_BEFORE),
                    (
                        "ADDRESS_CHANGED",
                        "未制成的卡寄往新址",
                        "what was not made by then goes to the new address",
                        "mark_at(p.made) <= e.occurred_at + interval '1 day'",
                    ),
                )
            ),
            methods=("outlet", "mail"),
        ),
        Scenario(
            "pension",
            "金融功能未激活，养老金有风险",
            "a retiree's account stays inactive, so the pension is at risk",
            {"finance": 0.4, "uncollected": 0.1},
            (
                Outcome(
                    "提醒本人并作为只关注的差异，不阻碍批次结清",
                    "the holder is reminded; the break is watched and does not hold the cohort open",
                    "SELECT b.card_ref::text FROM break b JOIN decision d ON d.card_ref = b.card_ref"
                    " AND d.reason = 'PENSION_AT_RISK' WHERE b.kind = 'PENSION_AT_RISK' AND b.closed_on IS NULL"
                    " AND b.cohort_no = %(cohort)s",
                    happening="finance never",
                ),
            ),
        ),
    )
}
