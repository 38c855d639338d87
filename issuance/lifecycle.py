"""The vocabulary of a card's life: one table each for milestones, states, reasons, authority and buckets.

SQL columns, broker ACLs, consumer checks, closing equations and docs/lifecycle.md are generated from these tables; a
new name is added here and nowhere else. Labels for citizens keep the words of the card-progress pages of HRSS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Subject = Literal["job", "plastic", "carriage", "mail"]
"""What a fact is about; `carriage` = a plastic in a consignment, `mail` = a mail item known by its tracking number."""

Relation = Literal["factory_of_job", "bank_of_plastic", "hrss_of_city", "carrier_of_consignment"]

FACTORY: dict[str, Relation] = {"factory": "factory_of_job"}
BANK: dict[str, Relation] = {"bank": "bank_of_plastic"}
HRSS: dict[str, Relation] = {"hrss": "hrss_of_city"}
CARRIER: dict[str, Relation] = {"carrier": "carrier_of_consignment"}


@dataclass(frozen=True)
class Milestone:
    """One kind of fact: its subject, who may report it in which relation, the fields it needs."""

    name: str
    subject: Subject
    reporters: dict[str, Relation]
    zh: str
    en: str
    needs: tuple[str, ...] = ()
    repeatable: bool = False
    witnesses: int = 0
    """Different actors of role WITNESS that it needs."""

    @property
    def column(self) -> str:
        """The ledger column that keeps this milestone's value."""
        return self.name.lower()


_MILESTONES = (
    Milestone(
        "JOB_RECEIVED", "job", FACTORY, "任务已接收", "job received", ("job_id", "card_count", "hash_total", "sha256")
    ),
    Milestone("JOB_ACCEPTED", "job", FACTORY, "任务已受理", "job accepted", ("job_id",)),
    Milestone("JOB_REFUSED", "job", FACTORY, "任务被拒绝", "job refused", ("job_id", "reason")),
    Milestone("ITEM_ACCEPTED", "plastic", FACTORY, "制卡数据已受理", "accepted by the factory"),
    Milestone("ITEM_REFUSED", "plastic", FACTORY, "制卡数据被拒绝", "refused by the factory", ("reason",)),
    Milestone("MADE", "plastic", FACTORY, "已制卡", "made"),
    Milestone("BANK_KEYED", "plastic", FACTORY | BANK, "金融应用已写入", "financial application loaded"),
    Milestone("SS_KEYED", "plastic", HRSS, "社保应用已写入", "social-security application loaded"),
    Milestone("SPOILED", "plastic", FACTORY, "制卡失败", "spoiled in making", ("reason",)),
    Milestone("COLLECTED", "plastic", BANK | HRSS, "已领卡", "collected", ("place", "actors")),
    Milestone("REFUSED_BY_HOLDER", "plastic", BANK | HRSS, "持卡人拒收", "refused by the holder", ("reason",)),
    Milestone("DESTROYED", "plastic", FACTORY | BANK | HRSS, "已销毁", "destroyed", ("actors",), witnesses=2),
    Milestone("ISSUED_INSTANTLY", "plastic", BANK, "即时制卡", "issued instantly at an outlet", ("place",)),
    Milestone("SS_ACTIVATED", "plastic", HRSS, "社保功能已启用", "social-security function activated"),
    Milestone("FINANCE_ACTIVATED", "plastic", BANK, "金融功能已激活", "financial function activated"),
    Milestone("ECARD_SIGNED", "plastic", HRSS, "电子社保卡已签发", "electronic card signed"),
    Milestone("OLD_CARD_LAPSED", "plastic", HRSS, "旧卡已失效", "old card lapsed"),
    Milestone("OLD_CARD_USED", "plastic", HRSS, "旧卡被使用", "old card used", repeatable=True),
    Milestone("LOSS_REPORTED_TEMPORARY", "plastic", HRSS | BANK, "临时挂失", "temporary loss report", repeatable=True),
    Milestone("LOSS_REPORTED", "plastic", HRSS | BANK, "正式挂失", "formal loss report"),
    Milestone("SS_CANCELLED", "plastic", HRSS, "社保功能已注销", "social-security function cancelled"),
    Milestone("ACCOUNT_CANCELLED", "plastic", BANK, "银行账户已注销", "bank account cancelled"),
    Milestone("HANDED_OVER", "carriage", FACTORY | BANK | HRSS, "已交接", "handed over", ("consignment", "to_place")),
    Milestone("RECEIVED_AT_PLACE", "carriage", BANK | HRSS, "网点已签收", "received at the place", ("consignment",)),
    Milestone("SENT_BACK", "carriage", BANK | HRSS, "已退回", "sent back", ("handover_id", "to_place", "reason")),
    Milestone("POSTED", "mail", CARRIER, "已交寄", "posted", ("tracking_no",)),
    Milestone("IN_TRANSIT", "mail", CARRIER, "运输中", "in transit", ("tracking_no",), True),
    Milestone("OUT_FOR_DELIVERY", "mail", CARRIER, "派送中", "out for delivery", ("tracking_no",), True),
    Milestone("AT_PICKUP_POINT", "mail", CARRIER, "待自取", "at a pick-up point", ("tracking_no",), True),
    Milestone(
        "DELIVERY_FAILED", "mail", CARRIER, "投递未成功", "delivery failed", ("tracking_no", "reason", "action"), True
    ),
    Milestone("DELIVERED", "mail", CARRIER, "已妥投", "delivered", ("tracking_no",)),
    Milestone("RETURNED", "mail", CARRIER, "已退件", "returned", ("tracking_no", "reason")),
    Milestone("LOST", "mail", CARRIER, "邮件丢失", "lost", ("tracking_no",)),
)
MILESTONES: dict[str, Milestone] = {milestone.name: milestone for milestone in _MILESTONES}


def milestones_of(subject: Subject) -> list[Milestone]:
    """The milestones of one subject, in the order of a card's way."""
    return [milestone for milestone in _MILESTONES if milestone.subject == subject]


REASONS: dict[str, tuple[str, str]] = {
    "CANCELLED": ("已按要求取消", "cancelled in time, as requested"),
    "DATA_UNREADABLE": ("数据无法读取", "the data cannot be read"),
    "CHARACTER_NOT_PRINTABLE": ("姓名字符无法打印", "a character of the name cannot be printed"),
    "PHOTO_UNUSABLE": ("照片不合格", "the photo cannot be used"),
    "ACCOUNT_NOT_OPENED": ("银行账户未开立", "the bank could not open the account"),
    "CAPACITY": ("产能不足", "no capacity"),
    "REASSIGNED": ("改派其他制卡厂", "moved to another factory"),
    "CHIP_FAULT": ("芯片故障", "chip fault"),
    "PRINT_FAULT": ("印刷缺陷", "print fault"),
    "NAME_WRONG": ("姓名有误", "the name is wrong"),
    "PHOTO_WRONG": ("照片有误", "the photo is wrong"),
    "NUMBER_WRONG": ("号码有误", "the number is wrong"),
    "MOVED": ("收件人已搬迁", "moved"),
    "UNKNOWN_AT_ADDRESS": ("查无此人", "unknown at the address"),
    "REFUSED": ("拒收", "refused"),
    "NOT_COLLECTED_IN_TIME": ("逾期未领", "not collected in time"),
    "DECEASED": ("收件人已故", "deceased"),
    "ADDRESS_INCOMPLETE": ("地址不全", "address incomplete"),
    "CLOSED": ("单位关闭", "closed"),
    "EMPLOYER_LEFTOVER": ("单位未发放", "left over at the employer"),
    "OTHER": ("其他", "other"),
}
ACTIONS: dict[str, tuple[str, str]] = {
    "TRY_AGAIN": ("再次投递", "another attempt"),
    "HOLD_FOR_PICKUP": ("留存待自取", "held for pick-up"),
    "RETURN": ("退回寄件人", "returned to the sender"),
}
MAIL_CODES: dict[str, str] = {
    # a carrier's own code: the milestone that it says. UPU EMSEVT V3, and the words of domestic carriers' pages
    "EMA": "POSTED",
    **dict.fromkeys(("EMB", "EMC", "EMD", "EMF", "EDD", "EDE", "EMJ", "EMK", "EMG"), "IN_TRANSIT"),
    "EDG": "OUT_FOR_DELIVERY",
    "EDH": "AT_PICKUP_POINT",
    "EMH": "DELIVERY_FAILED",
    "EMI": "DELIVERED",
    "收寄": "POSTED",
    "运输中": "IN_TRANSIT",
    "派送中": "OUT_FOR_DELIVERY",
    "待自取": "AT_PICKUP_POINT",
    "未妥投": "DELIVERY_FAILED",
    "妥投": "DELIVERED",
    "退回妥投": "RETURNED",
    "丢失": "LOST",
}
ROLES: dict[str, tuple[str, str]] = {
    "HOLDER": ("本人", "holder"),
    "PROXY": ("代领人", "proxy"),
    "GUARDIAN": ("监护人", "guardian"),
    "EMPLOYER": ("单位经办人", "employer's clerk"),
    "CLERK": ("柜员", "clerk"),
    "WITNESS": ("监销人", "witness"),
}
REQUESTS: dict[str, tuple[tuple[str, ...], str, str]] = {
    # request: (the milestones of which any answers it, zh, en); see tracking.decisions.UNANSWERED
    "CANCEL": (("ITEM_REFUSED", "JOB_REFUSED", "MADE", "SPOILED"), "取消制卡", "cancel before acceptance"),
    "HOLD": (("RECEIVED_AT_PLACE",), "暂存", "hold in store"),
    "HAND_OUT": (("HANDED_OVER", "COLLECTED"), "再次发放", "hand out again"),
    "CANCEL_SS": (("SS_CANCELLED",), "注销社保功能", "cancel the social-security function"),
    "CANCEL_ACCOUNT": (("ACCOUNT_CANCELLED",), "注销银行账户", "cancel the bank account"),
    "DESTROY": (("DESTROYED",), "销毁卡片", "destroy the plastic"),
}
KEEPING = frozenset({"HOLD", "HAND_OUT"})
"""Requests that fall away when the plastic is cancelled."""
PAUSES: dict[str, tuple[str, str]] = {
    # codes of the notice PAUSED; the figures are wire.refusals.Limits
    "RUN": ("连续多条报文未被采用", "too many messages in a row of which nothing was applied"),
    "RATIO": ("被拒收的比例过高", "too large a share of the items was refused"),
    "SUSPENDED": ("已停用", "the partner is suspended"),
}


@dataclass(frozen=True)
class State:
    """A state of a plastic: the SQL condition over its facts that gives it, since when, and its buckets."""

    name: str
    when: str
    since: str
    """SQL of the mark whose time is the state's beginning; NULL: the day of the plan."""
    order: str
    """Bucket of the order equation."""
    zh: str
    en: str
    making: str = "handed over"
    """Bucket of the making equation, of a plastic that the factory accepted."""


PLASTIC_STATES: tuple[State, ...] = (
    # The first condition that holds gives the state. Columns: those of `plastic`, of its job, and (c_) of its newest
    # consignment; see tracking.standing.
    State("DESTROYED", "destroyed IS NOT NULL", "destroyed", "ended uncollected", "已销毁", "destroyed"),
    State("CANCELLED", "ss_cancelled IS NOT NULL", "ss_cancelled", "cancelled", "注销", "cancelled"),
    State("LOST_BY_HOLDER", "loss_reported IS NOT NULL", "loss_reported", "cancelled", "正式挂失", "lost for good"),
    State(
        "SUSPENDED",
        "suspended IS NOT NULL",
        "suspended",
        "collected",
        "临时挂失",
        "reported lost for the time being",
    ),
    State("ACTIVE", "ss_activated IS NOT NULL", "ss_activated", "collected", "正常", "active"),
    State("COLLECTED", "taken IS NOT NULL", "taken", "collected", "领卡未激活", "collected, not activated"),
    State(
        "REFUSED_BY_HOLDER",
        "refused_by_holder IS NOT NULL",
        "refused_by_holder",
        "in custody",
        "持卡人拒收",
        "refused by the holder",
    ),
    State("SPOILED", "spoiled IS NOT NULL", "spoiled", "in making", "制卡失败", "spoiled", "spoiled"),
    State("REFUSED", "refused IS NOT NULL", "refused", "in making", "制卡失败", "refused by the factory", ""),
    State("MAIL_LOST", "c_lost IS NOT NULL", "c_lost", "in custody", "邮件丢失", "lost in the mail"),
    State("MISSING", "missing IS NOT NULL", "missing", "in custody", "交接中遗失", "lost in a hand-over, as decided"),
    State("RETURNED", "c_returned IS NOT NULL", "c_returned", "in custody", "邮件已退回", "returned by the carrier"),
    State("SENT_BACK", "c_sent_back IS NOT NULL", "c_sent_back", "in custody", "社保卡已被退回", "sent back"),
    State("AT_PLACE", "c_received IS NOT NULL", "c_received", "in custody", "银行网点签收", "received at the place"),
    State("POSTED", "c_posted IS NOT NULL", "c_posted", "in custody", "邮寄中", "in the mail"),
    State("HANDED_OVER", "c_handed_over IS NOT NULL", "c_handed_over", "in custody", "市银行签收", "handed over"),
    State(
        "KEYED",
        "made IS NOT NULL AND bank_keyed IS NOT NULL AND ss_keyed IS NOT NULL",
        "greatest(made, bank_keyed, ss_keyed)",
        "in making",
        "制卡完成",
        "made and keyed by both",
        "in production",
    ),
    State("MADE", "made IS NOT NULL", "made", "in making", "制卡中", "made, a key is missing", "in production"),
    State("ACCEPTED", "accepted IS NOT NULL", "accepted", "in making", "制卡中", "in production", "in production"),
    State("ORDERED", "ordered_on IS NOT NULL", "NULL", "in making", "制卡中", "ordered", ""),
    State("PLANNED", "TRUE", "NULL", "waiting", "待制卡", "planned", ""),
)
CARD_STATES: dict[str, tuple[str, str, str]] = {
    # Beside those of the effective plastic: state: (bucket of the order equation, zh, en)
    "WAITING": ("waiting", "数据录入", "waiting"),
    "HELD": ("held", "待缴费或待处理", "held for a fee or an event"),
    "WITHDRAWN": ("withdrawn", "已撤回", "withdrawn"),
    "NOT_ACTIVATED": ("collected", "领卡逾期未激活", "collected and not activated in time"),
    "REPLACED": ("collected", "已换新卡", "replaced by another card of its holder, which is active"),
    "CANCELLED_BEFORE_MAKING": ("cancelled", "制卡前注销", "cancelled before making"),
} | {state.name: (state.order, state.zh, state.en) for state in PLASTIC_STATES}

ENDED_STATES = frozenset(
    {
        "ACTIVE",
        "SUSPENDED",
        "REPLACED",
        "NOT_ACTIVATED",
        "WITHDRAWN",
        "CANCELLED",
        "CANCELLED_BEFORE_MAKING",
        "DESTROYED",
        "LOST_BY_HOLDER",
    }
)

COHORT_STATES: dict[str, tuple[str, str]] = {
    "REGISTERED": ("已登记", "registered: a submission is being taken in"),
    "REFUSED": ("已退回", "refused as a whole; the next whole submission takes its place"),
    "ACCEPTED": ("已受理", "accepted: planned from its opening day on"),
    "DISPATCHED": ("办理中", "dispatched: a wave was released and sent"),
    "WITHDRAWN": ("已撤销", "withdrawn before it opened"),
    "CLOSED": ("已结清", "closed: every card has ended and every equation holds; can be reopened"),
}
DECISIONS: dict[str, tuple[str, str]] = {
    "REMAKE": ("补制", "another plastic is made"),
    "RESEND": ("重新投递", "the same plastic is handed over again"),
    "CANCEL_PLASTIC": ("注销该卡", "a plastic is cancelled in the enforced order"),
    "REQUEST": ("请求", "something is asked of a partner"),
    "NOTICE": ("通知", "the holder is told"),
}
BY_HAND: dict[str, tuple[str, str]] = {
    # why an operator has another plastic made of a card that is in custody
    "LOST_IN_HANDOVER": ("交接中遗失", "lost in a hand-over"),
    "DAMAGED": ("损坏", "damaged in custody"),
}
CANCEL_REASONS: dict[str, tuple[str, str]] = {
    "TWO_PLASTICS": ("另有一张卡", "another plastic of the card is the effective one"),
    "MAIL_LOST": ("邮件丢失", "lost in the mail"),
    "MISSING": ("交接中遗失", "lost in a hand-over"),
    "UNDELIVERABLE": ("无法投递", "cannot be delivered"),
    "EXPIRED": ("逾期未领", "not collected in time"),
    "DEATH": ("死亡", "the holder died"),
    "WITHDRAWN": ("撤回申请", "the application was withdrawn"),
    "REFUSED_BY_HOLDER": ("持卡人拒收", "the holder refused it"),
}
WITHDRAWALS: dict[str, tuple[str, str]] = {
    # why a card is made no more: the values of card.withdrawn
    "DEATH": ("死亡", "the holder died"),
    "WITHDRAWN": ("撤回申请", "the application was withdrawn"),
    "COHORT_WITHDRAWN": ("批次已撤销", "the cohort was withdrawn before it opened"),
}
TEMPLATES: dict[str, tuple[str, str]] = {
    # {place}: code of outlet, employer or service point; {carrier}, {number}: of the letter; {until}: kept until
    "RECEIVED": ("您的社保卡换发申请已受理。", "Your application was received."),
    "READY": (
        "您的社保卡已到 {place}，请本人携带有效身份证件领取，代领须带双方证件。",
        "Your card is ready at {place}; bring your identity document, a proxy both documents.",
    ),
    "POSTED": ("您的社保卡已由 {carrier} 寄出，邮件号 {number}。", "Your card was posted with {carrier}, {number}."),
    "PICKUP": (
        "您的社保卡邮件（{carrier} {number}）待自取，请携带有效身份证件领取。",
        "Your letter ({carrier} {number}) waits at a pick-up point; bring your identity document.",
    ),
    "RETURNED": ("您的社保卡邮件被退回，将再次投递。", "Your card came back and is sent again."),
    "REMADE": ("您的社保卡正在重新制作。", "Your card is made again."),
    "CORRECTION": (
        "您的社保卡资料有误，正在重新制作；如需更正姓名、照片或号码，请在原申请渠道办理。",
        "Your card is made again because data was wrong; correct it where you applied.",
    ),
    "REMINDER": (
        "您的社保卡仍在 {place} 待领，保管至 {until}，逾期将注销。",
        "Your card still waits at {place}; it is kept until {until} and then cancelled.",
    ),
    "ACTIVATE": (
        "您已领卡，请启用社保功能；启用前请使用医保电子凭证。",
        "Activate the card; use the e-credential meanwhile.",
    ),
    "OLD_CARD_STOPS": ("新卡已启用，旧卡同时失效。", "The new card is active, the old one has lapsed."),
    "PENSION_AT_RISK": (
        "您的养老金可能无法按时发放：请携带身份证件和新社保卡到银行网点激活金融功能。",
        "Your pension may not be paid: activate the card's bank account at an outlet of the bank.",
    ),
    "CANCELLED": ("您的社保卡已注销，如需用卡请重新申领。", "Your card was cancelled; apply again for another one."),
}

Severity = Literal["high", "normal"]


@dataclass(frozen=True)
class BreakKind:
    """A kind of difference that somebody must explain, and whether later evidence closes it by itself."""

    name: str
    zh: str
    en: str
    closes_itself: bool = True
    severity: Severity = "normal"
    holds: bool = True
    """Whether a cohort cannot be closed over it; one that does not hold is watched only."""
    remedy: tuple[str, str] = ("", "")
    """What to do next: Chinese, English."""


BREAK_KINDS: dict[str, BreakKind] = {
    kind.name: kind
    for kind in (
        BreakKind(
            "CONFLICT", "同一事实有两种说法", "two values of one fact", closes_itself=False,
            remedy=("问报送方哪个值正确，请其更正另一个，再写明结论",
                    "ask the reporter which value is right; it corrects the other; then resolve"),
        ),
        BreakKind(
            "TWO_PLASTICS", "同一人有两张实体卡", "two plastics of one card exist", severity="high",
            remedy=("多出的卡已按序要求注销、销毁；催对方回报 DESTROYED",
                    "the plastic that is too many is being cancelled in order; press for its DESTROYED"),
        ),
        BreakKind(
            "SECOND_CARD", "更正后的证件号码已有另一张卡", "the corrected identity has another card", severity="high",
            remedy=("查清两张卡哪张属于该证件号码，撤回另一份申请",
                    "find out which card the identity belongs to, and withdraw the other application"),
        ),
        BreakKind(
            "OUT_OF_ORDER", "环节缺失或顺序不符", "a milestone came without the one before it",
            remedy=("请应报送缺失环节的合作方补报", "ask the partner that owes the missing milestone to report it"),
        ),
        BreakKind(
            "AGAINST_DECISION", "与既有决定不符的后到事实", "late evidence against a decision", closes_itself=False,
            remedy=("已按注销处理的卡被领走：核实持卡人手中是哪张卡，必要时请其换领",
                    "a plastic that is being cancelled was collected: find out which one the holder has, then resolve"),
        ),
        BreakKind(
            "ACTIVATED_NOT_COLLECTED", "未领卡已启用", "activated, not collected",
            remedy=("请网点补报领卡；查无领卡即按冒用处理",
                    "ask the outlet for the collection; if there was none, treat it as misuse"),
        ),
        BreakKind(
            "COLLECTED_NOT_ACTIVATED", "领卡逾期未启用", "collected, not activated in time", holds=False,
            remedy=("联系持卡人启用社保功能；不影响批次结清",
                    "remind the holder to activate; it does not hold the cohort open"),
        ),
        BreakKind(
            "FINANCE_ALONE", "仅金融功能已激活", "finance activated, social security not",
            remedy=("激活金融即启用社保：请人社补报 SS_ACTIVATED 或启用",
                    "finance implies social security: ask HRSS to report SS_ACTIVATED, or to activate"),
        ),
        BreakKind(
            "PENSION_AT_RISK", "养老金发放有风险", "the payment of a pension is at risk", severity="high", holds=False,
            remedy=("联系退休人员到银行网点激活金融功能；换银行的核对发放账户；不影响批次结清",
                    "have the retiree activate finance at the bank, or check the account after a switch of banks;"
                    " it does not hold the cohort open"),
        ),
        BreakKind(
            "ACTIVATED_DEAD", "已销毁、挂失或注销的卡被启用", "activation of a destroyed, lost or cancelled plastic",
            False, "high",
            remedy=("立即请人社停用该卡并查明持有人，再写明结论",
                    "have HRSS stop the card at once, find out who holds it, then resolve"),
        ),
        BreakKind(
            "OLD_CARD_USED", "启用新卡后旧卡仍被使用", "old card used after cut-over", False, "high",
            remedy=("请人社核实旧卡是否已失效，查明使用人，再写明结论",
                    "have HRSS check that the old card has lapsed and who used it, then resolve"),
        ),
        BreakKind(
            "MADE_NOT_ORDERED", "工厂制作了未下单的卡", "a factory made a plastic that it had no order for",
            severity="high",
            remedy=("请工厂查明来源，更正误报，或两人监销后报 DESTROYED",
                    "the factory finds out whose it is, and corrects the report or destroys it before two witnesses"),
        ),
        BreakKind(
            "MADE_BEYOND_ORDER", "工厂多制：已拒绝、已取消，或同一张卡两个序列号",
            "a factory made more than ordered: refused, cancelled in time, or two serials of one plastic",
            severity="high",
            remedy=("请工厂更正误报，或将多制的卡两人监销后报 DESTROYED",
                    "the factory corrects the report, or destroys what is too many before two witnesses"),
        ),
        BreakKind(
            "HANDOVER_COUNT", "交接数量不符或逾期未签收",
            "the counts of a hand-over differ, or nobody received it in time",
            remedy=("双方按交接单逐张核对，少的一方补报或更正",
                    "giver and receiver go through the signed list; whoever is wrong reports or corrects"),
        ),
        BreakKind(
            "OVERDUE", "超过时限", "past its due date",
            remedy=("催工厂；产能不足时 issuance job reassign",
                    "press the factory; without capacity: issuance job reassign"),
        ),
        BreakKind(
            "JOB_UNANSWERED", "制卡任务未回应", "a job without an answer",
            remedy=("催工厂；未收到的重发，不能做的改派", "press the factory; send the job again, or reassign it"),
        ),
        BreakKind(
            "REQUEST_OVERDUE", "请求逾期未回应", "a request past its due day without an answer",
            remedy=("催被请求的合作方回报相应环节", "press the partner for the milestone that answers the request"),
        ),
        BreakKind(
            "STATEMENT_UNKNOWN", "对账单中有、我方无", "in the statement and unknown to us", severity="high",
            remedy=("请对账方补报该卡的启用，或在下一份对账单中删去",
                    "the stating partner reports the activation, or leaves it out of the next statement"),
        ),
        BreakKind(
            "STATEMENT_MISSING", "我方有、对账单中无", "ours and missing from the statement",
            remedy=("请对账方核实：已注销的补报注销，否则列入下一份对账单",
                    "the stating partner reports the cancellation, or lists it in the next statement"),
        ),
        BreakKind(
            "STATEMENT_LATE", "对账单逾期", "a statement is late",
            remedy=("已每日催要；联系对账方；其暂停时先恢复",
                    "it is asked for daily; call the partner; resume it if paused"),
        ),
        BreakKind(
            "SEQUENCE_GAP", "报送序号有缺口", "a gap in a partner's sequence",
            remedy=("缺的序号已要求重发；联系报送方", "the missing sequences are asked for; call the partner"),
        ),
        BreakKind(
            "REMAKE_LIMIT", "补制超出放行比例", "re-makes past the released ratio", closes_itself=False,
            remedy=("issuance cohort plan 编制补制批，由第二人放行后写明结论",
                    "issuance cohort plan makes a wave of them, a second person releases it; then resolve"),
        ),
        BreakKind(
            "PIPELINE_FAILED", "流程失败", "a pipeline run failed and needs a person",
            remedy=("在 Airflow 中看失败任务的日志，排除原因后清除任务",
                    "read the failed task's log in Airflow, mend it, clear it"),
        ),
        BreakKind(
            "UNMATCHED_MAIL", "邮件号未对应到卡", "a mail item that matches no plastic",
            remedy=("请寄出方报送该邮件号的交接", "ask the sender for the hand-over with this tracking number"),
        ),
    )
}  # fmt: skip
HOLDING_KINDS = frozenset(kind.name for kind in BREAK_KINDS.values() if kind.holds)
"""Kinds over which a cohort is not closed."""


@dataclass(frozen=True)
class HolderEvent:
    """What may happen to a holder or an application, and the columns of its sealed values (contract: Columns)."""

    name: str
    zh: str
    en: str
    needs: tuple[str, ...] = ()
    """Columns that its sealed values must have."""
    may: tuple[str, ...] = ()
    """Columns that they may have beside."""
    remakes: str = ""
    """SQL over a sealed plastic (standing s) whose file lacks the values: when another one is made."""


_IDENTITY = ("id_type", "birth_date", "sex", "social_security_number")
_DELIVERY = ("outlet_code", "employer_code", "region_code", "address", "postcode")
HOLDER_EVENTS: dict[str, HolderEvent] = {
    event.name: event
    for event in (
        HolderEvent("DEATH", "死亡", "death"),
        HolderEvent("WITHDRAWN", "撤回申请", "application withdrawn"),
        HolderEvent("ID_CORRECTED", "证件号码更正", "ID number corrected", ("id_number",), _IDENTITY, "true"),
        HolderEvent("NAME_CHANGED", "姓名变更", "name changed", ("name",), remakes="true"),
        HolderEvent(
            "ADDRESS_CHANGED", "地址变更", "address changed", ("address", "postcode"),
            remakes="to_holder AND (made IS NULL OR s.state = 'RETURNED')",
        ),
        HolderEvent("PHONE_CHANGED", "手机号变更", "phone changed", ("phone",)),
        HolderEvent("BANK_SWITCHED", "更换银行", "bank switched", ("bank_code",), ("outlet_code",), "true"),
        HolderEvent(
            "COLLECTION_CHANGED", "领取方式变更", "collection method changed", ("collection_method",), _DELIVERY,
            "made IS NULL",
        ),
        HolderEvent("FEE_PAID", "已缴费", "fee paid"),
        HolderEvent("SECOND_APPLICATION", "二次申领", "second application"),
    )
}  # fmt: skip
REFUSAL_CODES: dict[str, tuple[str, str]] = {
    "UNDECODABLE": ("报文无法解码", "the bytes are not a message of this topic's schema"),
    "NOT_YOURS": ("发送方与主题不符", "the partner named is not the owner of the topic"),
    "COUNT_DIFFERS": ("件数与声明或任务不符", "declared_count differs from the items, or card_count from the job"),
    "HASH_DIFFERS": ("校验和不符", "hash_total differs from the items, or hash_total or sha256 from the job"),
    "EMPTY": ("无内容", "a report without items"),
    "TOO_MANY": ("超过一千项", "more than 1,000 items"),
    "JOB_INVALID": ("任务报告须恰有一项且不含卡号", "a report of kind JOB has exactly one item, without card_ref"),
    "ID_REUSED": ("报告编号已用于其他内容", "the report_id stands with other content"),
    "CHUNK_INVALID": ("对账单分片有误", "a chunk number outside 1..m, or chunks that disagree"),
    "MILESTONE_UNKNOWN": ("环节代码未知", "an unknown milestone"),
    "REASON_UNKNOWN": ("原因代码未知", "an unknown reason or action"),
    "ROLE_UNKNOWN": ("参与人角色未知", "an unknown role of an actor"),
    "FIELD_MISSING": ("缺少必填项", "a field that the milestone needs is missing"),
    "NOT_AUTHORISED": ("无权报送该环节", "this kind of partner may not report this milestone"),
    "NO_RELATION": ("与该卡无关", "the partner has no relation to this plastic"),
    "PLASTIC_UNKNOWN": ("卡片未曾下单", "a plastic that was never ordered"),
    "JOB_UNKNOWN": ("任务不存在", "a job that was never sent"),
    "NOT_CORRECTABLE": ("任务环节不可更正", "job milestones are not corrected"),
    "FIELD_INVALID": ("字段值无效", "a field has a value that cannot be"),
    "IN_FUTURE": ("发生时间在未来", "occurred_at lies in the future"),
    "PAUSED": ("报送已暂停", "the message that tripped the partner's limit"),
    "CARD_UNKNOWN": ("卡不存在", "no such card"),
    "SEALED_UNREADABLE": ("密封内容无法打开", "the sealed values are no JWE to our key, or no JSON object of texts"),
    "EVENT_UNKNOWN": ("事件代码未知", "an unknown holder event"),
    "COHORT_WITHDRAWN": ("批次已撤销", "the cohort was withdrawn before it opened"),
    "SUBMISSION_LIVE": ("批次已有有效提交", "the cohort has a live submission with other content"),
    "NOTHING_TO_AMEND": ("批次尚无可更正的提交", "the cohort has no submission to correct"),
    "SUBMISSION_UNDECIDED": ("批次的提交尚未办结", "the intake of the cohort's submission has not ended"),
    "DATA_ERASED": ("个人数据已清除", "the personal data of the card was erased: its values cannot be changed"),
}
ERASURE_GROUNDS: dict[str, tuple[str, str]] = {
    # why personal data is erased: the retention period, or a ground of PIPL, article 47 (1 to 5), that somebody names
    "RETENTION_ENDED": ("保存期限届满", "the retention period has ended"),
    "REQUESTED": ("本人要求，卡已办结", "the person asked, and the card has ended"),
    "PURPOSE_ENDED": ("处理目的已实现或无法实现", "the purpose is reached or out of reach (47.1)"),
    "SERVICE_ENDED": ("停止提供服务", "the service is provided no more (47.2)"),
    "CONSENT_WITHDRAWN": ("个人撤回同意", "consent was withdrawn (47.3)"),
    "UNLAWFUL": ("违法或违约处理", "the data was processed against law or agreement (47.4)"),
    "OTHER_LAW": ("法律、行政法规规定的其他情形", "another law demands it (47.5)"),
}
LEGAL_GROUNDS = tuple(ERASURE_GROUNDS)[2:]
"""The grounds on which a person is erased although the card is under way or live."""
KEPT_REASONS: dict[str, tuple[str, str]] = {
    # why something of an erased person stays, for how long
    "LIVE_CARD": ("卡在使用中，防止重复发卡", "the card is live: the keyed hash guards against a second one"),
    "JOB_NOT_ENDED": ("制卡任务未办结", "the job has not ended: its file goes with the cohort's"),
    "NOTICE_RECENT": ("短信文件刚发出", "the contact file may not be fetched yet: it goes with the cohort's"),
}
