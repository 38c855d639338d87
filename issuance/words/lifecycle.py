"""The vocabulary of a card's life: one table each for milestones, states, reasons, requests and decisions.

Consumer checks, broker ACLs, the fold, buckets of the equations and docs/lifecycle.md are made from these tables. The
ledger's columns, the Avro enums and the rules in SQL name them again, and tests hold them against the tables
(tests/pure/test_contract.py). Labels for citizens keep the words of the card-progress pages of HRSS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Subject = Literal["job", "plastic", "plastic_in_consignment", "mail"]
"""What a fact is about; `mail` is a mail item, known by its tracking number alone."""

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
    Milestone(
        "HANDED_OVER",
        "plastic_in_consignment",
        FACTORY | BANK | HRSS,
        "已交接",
        "handed over",
        ("consignment", "to_place"),
    ),
    Milestone(
        "RECEIVED_AT_PLACE",
        "plastic_in_consignment",
        FACTORY | BANK | HRSS,
        "网点已签收",
        "received at the place",
        ("consignment",),
    ),
    Milestone(
        "SENT_BACK", "plastic_in_consignment", BANK | HRSS, "已退回", "sent back", ("handover_id", "to_place", "reason")
    ),
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
    # request: (the milestones of which any answers it, zh, en); see tracking.requests
    "CANCEL": (("ITEM_REFUSED", "JOB_REFUSED", "MADE", "SPOILED"), "取消制卡", "cancel before acceptance"),
    "HOLD": ((), "暂存", "hold in store: it has no answer, and never holds a cohort"),
    "HAND_OUT": (("HANDED_OVER", "COLLECTED"), "再次发放", "hand out again"),
    "CANCEL_SS": (("SS_CANCELLED",), "注销社保功能", "cancel the social-security function"),
    "CANCEL_ACCOUNT": (("ACCOUNT_CANCELLED",), "注销银行账户", "cancel the bank account"),
    "DESTROY": (("DESTROYED",), "销毁卡片", "destroy the plastic"),
}
CANCEL_ORDER = ("CANCEL", "CANCEL_SS", "CANCEL_ACCOUNT", "DESTROY")
"""The steps in which a plastic is cancelled; waiving one voids the later ones."""
VOIDS: dict[str, tuple[str, str]] = {
    # why a request is void: its ground is gone
    "CANCELLED": ("该卡已注销", "the plastic is being cancelled"),
    "ACCOUNT_KEPT": ("账户仍由另一张卡使用", "another plastic lives on the account"),
    "NO_KEEPER": ("无人持有该卡", "nobody who could be asked has the plastic"),
    "GROUND_GONE": ("请求的理由已不存在", "what it was asked for is gone"),
    "WAIVED_BEFORE": ("前一步已豁免", "an earlier step was waived"),
}
PAUSES: dict[str, tuple[str, str]] = {
    # codes of the notice PAUSED; the figures are those of the registry (partners.Limits)
    "RUN": ("连续多条报文未被采用", "too many messages in a row with nothing applied"),
    "RATIO": ("被拒收的比例过高", "too many of the items were refused"),
    "BATCH_TOO_LARGE": ("一批报文解压后过大", "a batch of messages unpacks to more than the bound"),
    "SUSPENDED": ("已停用", "the partner is suspended"),
}


Flag = Literal["due_runs", "in_custody", "in_store", "kept", "in_hand", "ended"]
FLAGS: dict[Flag, tuple[str, str]] = {
    "due_runs": ("制卡期限在计时", "the day by which the card is made is still ahead of it, or missed"),
    "in_custody": ("已制成、未领取", "its plastic exists and nobody has collected it yet"),
    "in_store": ("退回在库", "it came back uncollected and lies in store"),
    "kept": ("保管期在计时", "it waits for its holder, and is cancelled when its keeping period ends"),
    "in_hand": ("在持卡人手中", "its holder has it"),
    "ended": ("已办结", "its cohort can close without anything more happening to it"),
}


@dataclass(frozen=True)
class State:
    """A state of a card: its buckets and groups; of a plastic also the SQL condition that gives it, and since when."""

    name: str
    order: str
    """Bucket of the order equation."""
    zh: str
    en: str
    flags: tuple[Flag, ...] = ()
    """The groups it belongs to; whoever asks for a group asks `states_with` or `in_states`."""
    when: str = ""
    """SQL over `plastic_snapshot` (tracking.snapshot); empty: no state of a plastic."""
    since: str = "NULL"
    """SQL of the mark whose time is the state's beginning; NULL: the day of the plan."""
    making: str = "handed over"
    """Bucket of the making equation, of a plastic that the factory accepted."""


PLASTIC_STATES: tuple[State, ...] = (
    # The first condition that holds gives the state. Columns: those of `plastic`, of its job, and (c_) of its newest
    # consignment.
    State("DESTROYED", "ended uncollected", "已销毁", "destroyed", ("ended",), "destroyed IS NOT NULL", "destroyed"),
    State("CANCELLED", "cancelled", "注销", "cancelled", ("ended",), "ss_cancelled IS NOT NULL", "ss_cancelled"),
    State(
        "CANCELLED_UNPROVEN", "cancelled", "注销，未证实", "cancelled, unproven: a step was waived",
        ("ended",),
        "unproven IS NOT NULL", "unproven", "waived",
    ),
    State(
        "LOST_BY_HOLDER", "cancelled", "正式挂失", "formally reported lost", ("ended",), "loss_reported IS NOT NULL",
        "loss_reported",
    ),
    State(
        "SUSPENDED", "collected", "临时挂失", "reported lost temporarily", ("in_hand", "ended"),
        "suspended IS NOT NULL", "suspended",
    ),
    State("ACTIVE", "collected", "正常", "active", ("in_hand", "ended"), "ss_activated IS NOT NULL", "ss_activated"),
    State(
        "COLLECTED", "collected", "领卡未激活", "collected, not activated", ("in_hand",), "taken IS NOT NULL", "taken",
    ),
    State(
        "REFUSED_BY_HOLDER", "in custody", "持卡人拒收", "refused by the holder", ("in_store",),
        "refused_by_holder IS NOT NULL", "refused_by_holder",
    ),
    State("SPOILED", "in making", "制卡失败", "spoiled", ("due_runs",), "spoiled IS NOT NULL", "spoiled", "spoiled"),
    State(
        "REFUSED", "in making", "制卡失败", "refused by the factory", ("due_runs",), "refused IS NOT NULL", "refused",
        "",
    ),
    State("MAIL_LOST", "in custody", "邮件丢失", "lost in the mail", (), "c_lost IS NOT NULL", "c_lost"),
    State(
        "MISSING", "in custody", "交接中遗失", "lost in a hand-over, as decided", (), "missing IS NOT NULL", "missing",
    ),
    State(
        "RETURNED", "in custody", "邮件已退回", "returned by the carrier", ("in_custody", "in_store"),
        "c_returned IS NOT NULL", "c_returned",
    ),
    State(
        "SENT_BACK", "in custody", "社保卡已被退回", "sent back", ("in_custody", "in_store", "kept"),
        "c_sent_back IS NOT NULL", "c_sent_back",
    ),
    State(
        "AT_PLACE", "in custody", "银行网点签收", "received at the place", ("in_custody", "kept"),
        "c_received IS NOT NULL", "c_received",
    ),
    State("POSTED", "in custody", "邮寄中", "in the mail", ("in_custody",), "c_posted IS NOT NULL", "c_posted"),
    State(
        "HANDED_OVER", "in custody", "市银行签收", "handed over", ("in_custody",), "c_handed_over IS NOT NULL",
        "c_handed_over",
    ),
    State(
        "KEYED", "in making", "制卡完成", "made and keyed by both", ("due_runs", "in_custody"),
        "made IS NOT NULL AND bank_keyed IS NOT NULL AND ss_keyed IS NOT NULL",
        "greatest(made, bank_keyed, ss_keyed)", "in production",
    ),
    State(
        "MADE", "in making", "制卡中", "made, a key is missing", ("due_runs", "in_custody"), "made IS NOT NULL", "made",
        "in production",
    ),
    State(
        "ACCEPTED", "in making", "制卡中", "in production", ("due_runs",), "accepted IS NOT NULL", "accepted",
        "in production",
    ),
    State("ORDERED", "in making", "制卡中", "ordered", ("due_runs",), "ordered_on IS NOT NULL", making=""),
    State("PLANNED", "waiting", "待制卡", "planned", ("due_runs",), "TRUE", making=""),
)  # fmt: skip
CARD_STATES: dict[str, State] = {
    # beside those of the effective plastic
    state.name: state
    for state in (
        State("WAITING", "waiting", "数据录入", "waiting", ("due_runs",)),
        State("HELD", "held", "待缴费或待处理", "held for a fee or an event"),
        State("WITHDRAWN", "withdrawn", "已撤回", "withdrawn", ("ended",)),
        State(
            "NOT_ACTIVATED", "collected", "领卡逾期未激活", "collected and not activated in time", ("in_hand", "ended")
        ),
        State(
            "REPLACED", "collected", "已换新卡", "replaced by another card of its holder, which is active",
            ("in_hand", "ended"),
        ),
        State("CANCELLED_BEFORE_MAKING", "cancelled", "制卡前注销", "cancelled before making", ("ended",)),
        *PLASTIC_STATES,
    )
}  # fmt: skip


def states_with(flag: Flag) -> tuple[str, ...]:
    """The states of a group, in the order of CARD_STATES."""
    return tuple(name for name, state in CARD_STATES.items() if flag in state.flags)


def in_states(column: str, *flags: Flag) -> str:
    """SQL: whether the state in a column belongs to one of these groups."""
    names = [name for name, state in CARD_STATES.items() if set(flags) & set(state.flags)]
    return f"{column} IN ({', '.join(repr(name) for name in names)})"


ENDED_STATES = frozenset(states_with("ended"))

COHORT_STATES: dict[str, tuple[str, str]] = {
    "REGISTERED": ("已登记", "registered: a submission is being taken in"),
    "REFUSED": ("已退回", "refused as a whole; the next whole submission takes its place"),
    "ACCEPTED": ("已受理", "accepted: planned from its opening day on"),
    "DISPATCHED": ("办理中", "dispatched: a wave was released and sent"),
    "WITHDRAWN": ("已撤销", "withdrawn before it opened"),
    "CLOSED": ("已结清", "closed: every card has ended and every equation holds; can be reopened"),
}
DECISIONS: dict[str, tuple[str, str]] = {
    "RESEND": ("重新投递", "the same plastic is handed over again"),
    "CANCEL_PLASTIC": ("注销该卡", "a plastic is cancelled in the enforced order"),
    "NOTICE": ("通知", "the holder is told"),
}


@dataclass(frozen=True)
class Ground:
    """Why a plastic takes the place of an earlier one: a way into a re-make."""

    name: str
    zh: str
    en: str
    loss: bool = False
    """The old plastic is only missed: if it turns up before the new one is taken, the re-make ends."""
    at_once: bool = False
    """The old plastic is cancelled at once; otherwise when the new one is taken, if it was made at all."""


GROUNDS: dict[str, Ground] = {
    ground.name: ground
    for ground in (
        Ground("SPOILED", "制卡失败", "spoiled in making"),
        Ground("REFUSED", "制卡厂拒绝", "refused by the factory"),
        Ground("DESTROYED", "交接前销毁", "destroyed before it was handed over"),
        Ground("LOST", "邮件丢失", "lost in the mail, as the carrier says", loss=True),
        Ground("PRESUMED_LOST", "邮件久无消息，推定丢失", "a letter without news, presumed lost", loss=True),
        Ground("MISSING", "交接中遗失", "lost in a hand-over, as a person decided", loss=True),
        Ground("DAMAGED", "损坏", "damaged in custody, as a person decided", at_once=True),
        Ground("REFUSED_BY_HOLDER", "持卡人拒收", "refused by its holder", at_once=True),
        Ground("BANK_SWITCHED", "更换合作银行", "the holder has switched to another bank"),
        Ground("CHANGED", "在途变更", "its file lacks a change that came later"),
        Ground("ANNULLED", "因撤销的事项而注销", "cancelled for an event that did not happen"),
        Ground("REASSIGNED", "改派其他制卡厂", "moved to another factory", at_once=True),
    )
}
BY_HAND: dict[str, tuple[str, str, str]] = {
    # why an operator has another plastic made of a card that is in custody: ground, zh, en
    "LOST_IN_HANDOVER": ("MISSING", "交接中遗失", "lost in a hand-over"),
    "LOST_IN_MAIL": (
        "PRESUMED_LOST",
        "邮件久无消息",
        "a letter without any news",
    ),
    "DAMAGED": ("DAMAGED", "损坏", "damaged in custody"),
}
ENDINGS: dict[str, tuple[str, str]] = {
    # how a re-make ends
    "DONE": ("已换新卡，旧卡已了结", "the new plastic was taken, and the old one is dealt with"),
    "FOUND": ("旧卡已找到，新卡作废", "the old plastic turned up first, and the new one is cancelled"),
    "WITHDRAWN": ("申请已撤回", "the card was withdrawn, and both plastics are cancelled"),
}
BRAKES: dict[str, tuple[str, str]] = {
    # what does harm when done in numbers, and of what its share is taken
    "EXPIRY": ("逾期未领注销", "cards that are cancelled uncollected, of those kept"),
    "LOSS": ("邮件推定丢失", "letters of a carrier presumed lost, of those under way"),
    "REMAKE": ("补制", "plastics re-made, of those not yet taken"),
}
CANCEL_REASONS: dict[str, tuple[str, str]] = {
    "TWO_PLASTICS": ("另有一张卡", "another plastic of the card is the effective one"),
    "REPLACED": ("新卡已领取", "the plastic made in its place was taken"),
    "FOUND": ("旧卡已找到", "the plastic in whose place it was made turned up"),
    "DAMAGED": ("损坏", "damaged in custody"),
    "REASSIGNED": ("改派其他制卡厂", "moved to another factory"),
    "UNDELIVERABLE": ("无法投递", "cannot be delivered"),
    "EXPIRED": ("逾期未领", "not collected in time"),
    "DEATH": ("死亡", "the holder died"),
    "WITHDRAWN": ("撤回申请", "the application was withdrawn"),
    "REFUSED_BY_HOLDER": ("持卡人拒收", "the holder refused it"),
}
WITHDRAWALS: dict[str, tuple[str, str]] = {
    # why a card is not made: the values of card.withdrawn
    "DEATH": ("死亡", "the holder died"),
    "WITHDRAWN": ("撤回申请", "the application was withdrawn"),
    "COHORT_WITHDRAWN": ("批次已撤销", "the cohort was withdrawn before it opened"),
}
