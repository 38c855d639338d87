"""The kinds of breaks: what each means, how severe it is, whether it closes itself or holds a cohort, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
                    "the surplus plastic is being cancelled in order; chase its DESTROYED"),
        ),
        BreakKind(
            "SECOND_CARD", "更正后的证件号码已有另一张卡", "the corrected identity has another card", severity="high",
            remedy=("查清两张卡哪张属于该证件号码，撤回另一份申请",
                    "find out whose card it is, and withdraw the other application"),
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
            "MADE_NOT_ORDERED", "制卡厂制作了未下单的卡", "a factory made a plastic that it had no order for",
            severity="high",
            remedy=("请制卡厂查明来源，更正误报，或两人监销后报 DESTROYED",
                    "the factory finds out whose it is, and corrects the report or destroys it before two witnesses"),
        ),
        BreakKind(
            "MADE_BEYOND_ORDER", "制卡厂多制：已拒绝、已取消，或同一张卡两个序列号",
            "a factory made more than ordered: refused, cancelled in time, or two serials of one plastic",
            severity="high",
            remedy=("请制卡厂更正误报，或将多制的卡两人监销后报 DESTROYED",
                    "the factory corrects the report, or destroys the surplus before two witnesses"),
        ),
        BreakKind(
            "HANDOVER_COUNT", "交接数量不符或逾期未签收",
            "the counts of a hand-over differ, or nobody received it in time",
            remedy=("双方按交接单逐张核对，少的一方补报或更正",
                    "giver and receiver go through the signed list; whoever is wrong reports or corrects"),
        ),
        BreakKind(
            "OVERDUE", "超过时限", "past its due date",
            remedy=("催制卡厂；产能不足时 issuance job reassign",
                    "chase the factory; if it lacks capacity: issuance job reassign"),
        ),
        BreakKind(
            "JOB_UNANSWERED", "制卡任务未回应", "a job without an answer",
            remedy=("催制卡厂；未收到的重发，不能做的改派", "chase the factory; resend the job, or reassign it"),
        ),
        BreakKind(
            "REQUEST_OVERDUE", "请求逾期未回应", "a request past its due day without an answer",
            remedy=("催被请求的合作方回报相应环节", "chase the partner for the milestone that answers the request"),
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
                    "it is requested daily; call the partner; resume it if paused"),
        ),
        BreakKind(
            "SEQUENCE_GAP", "报送序号有缺口", "a gap in a partner's sequence",
            remedy=("缺的序号已要求重发；联系报送方", "the missing sequences have been requested; call the partner"),
        ),
        BreakKind(
            "REMAKE_LIMIT", "补制超出放行比例", "re-makes past the released ratio", closes_itself=False,
            remedy=("issuance cohort plan 将补制编为制卡批，由第二人放行后写明结论",
                    "issuance cohort plan puts them into a wave, a second person releases it; then resolve"),
        ),
        BreakKind(
            "PIPELINE_FAILED", "流程失败", "a pipeline run failed and needs a person",
            remedy=("在 Airflow 中看失败任务的日志，排除原因后重跑任务（Clear）",
                    "read the failed task's log in Airflow, fix the cause, clear the task"),
        ),
        BreakKind(
            "CORRECTION_UNMET", "更正未对应到事实", "a correction that meets no fact of its reporter", holds=False,
            remedy=("请报送方核对环节与 occurred_at，另报正确的更正",
                    "the reporter checks milestone and occurred_at, and reports the correction that it meant"),
        ),
        BreakKind(
            "UNPROCESSABLE", "我方无法处理的报文", "a message within its bounds that we can't process",
            severity="high", holds=False,
            remedy=("我方排除原因后 issuance dlq replay --code UNPROCESSABLE",
                    "ours to mend; then issuance dlq replay --code UNPROCESSABLE"),
        ),
        BreakKind(
            "TOPIC_CHANGED", "主题已非原来的主题",
            "a topic that is another one, or whose log does not reach to our position",
            severity="high", holds=False,
            remedy=("核实是否换了 Kafka 或重建了主题、报送方补报缺失后：issuance topics goon TOPIC",
                    "find out whether Kafka or the topic was made anew, have what is missing sent again; then"
                    " issuance topics goon TOPIC"),
        ),
        BreakKind(
            "PARTNER_HELD", "合作方的报文多条无法处理，已停读",
            "too many messages of a partner can't be processed: it is not read",
            severity="high", holds=False,
            remedy=("我方排除原因后 issuance topics goon TOPIC", "ours to mend; then issuance topics goon TOPIC"),
        ),
        BreakKind(
            "STAGE_STOPPED", "一个环节停止", "a stage stopped: the fault is ours", severity="high", holds=False,
            remedy=("看该环节的日志，排除原因；其自行重试", "read the stage's log, mend it; it tries again by itself"),
        ),
        BreakKind(
            "WATCH_FAILED", "定时检查失败", "a timed watch failed; the others run", severity="high", holds=False,
            remedy=("看 clocks 的日志，排除原因；下次运行成功即关闭",
                    "read the log of clocks and mend it; it closes with the next run that succeeds"),
        ),
        BreakKind(
            "NOT_SENT", "消息无法发出，已搁置", "a message that Kafka does not take, set aside", severity="high",
            holds=False,
            remedy=("排除原因（如主题的消息上限）后重启 relay，将再次发送",
                    "mend it (the topic's limit, for example) and restart the relay, which tries again"),
        ),
        BreakKind(
            "DECISION_FAILED", "一张卡无法作出决定", "the decisions about a card fail; those about others go on",
            severity="high",
            remedy=("看 clocks 的日志，排除原因；下次运行成功即关闭",
                    "read the log of clocks and mend it; it closes with the next pass that succeeds"),
        ),
        BreakKind(
            "EVENT_UNMATCHED", "持卡人事项未对应到申请", "a holder event of an application that was never accepted",
            closes_itself=False, holds=False,
            remedy=("已退回来源方；查明该申请是否漏报，再写明结论",
                    "its source was told; find out whether the application is missing, then resolve"),
        ),
        BreakKind(
            "ITEM_UNMATCHED", "网点即时制卡未对应到申请", "a card made at an outlet for an application never accepted",
            closes_itself=False, holds=False,
            remedy=("已退回报送方；查明该申请是否漏报，再写明结论",
                    "its reporter was told; find out whether the application is missing, then resolve"),
        ),
        BreakKind(
            "LETTER_SILENT", "邮件久无消息", "a letter without news",
            remedy=("向承运方查询该邮件；到期无消息则推定丢失并补制",
                    "ask the carrier about it; without news it is presumed lost and re-made"),
        ),
        BreakKind(
            "FEED_SILENT", "承运方停报", "a carrier without news of any letter", severity="high", holds=False,
            remedy=("联系承运方恢复报送；停报期间其邮件不推定丢失",
                    "call the carrier; while it is silent none of its letters is presumed lost"),
        ),
        BreakKind(
            "UNMATCHED_MAIL", "邮件号未对应到卡", "a mail item that matches no plastic",
            remedy=("请寄出方报送该邮件号的交接", "ask the sender for the hand-over with this tracking number"),
        ),
    )
}  # fmt: skip
HOLDING_KINDS = frozenset(kind.name for kind in BREAK_KINDS.values() if kind.holds)
"""Kinds over which a cohort is not closed."""
