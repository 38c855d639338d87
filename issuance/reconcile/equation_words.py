"""Names of the closing equations and their buckets in Chinese and English, for documents, reports and output."""

from __future__ import annotations

EQUATION_WORDS: dict[str, tuple[str, str]] = {
    # equation: what both sides are
    "intake": (
        "申报的行数 = 受理 + 隔离 + 重复",
        "rows declared by the submitter = what became of each row that was read",
    ),
    "order": ("受理的行 = 各状态的卡", "accepted rows = where each card stands"),
    "job": (
        "放行时冻结的卡数 = 制卡厂对每张卡的答复",
        "plastics frozen at release = what the factory answered to each",
    ),
    "making": ("制卡厂受理的卡 = 制作结果", "plastics that the factory accepted = what became of each in making"),
    "hand-over": ("交出方列明的卡 = 接收方的签收", "plastics that the giver listed = what the receiver acknowledged"),
    "collection": ("接收方签收的卡 = 领取结果", "plastics that the receiver signed for = what became of each"),
    "activation (ss)": (
        "人社最新完整对账单所列 = 账本",
        "listed by HRSS in its latest complete statement = the ledger",
    ),
    "activation (finance)": (
        "银行最新完整对账单所列 = 账本",
        "listed by the banks in their latest complete statements = the ledger",
    ),
}
BUCKET_WORDS: dict[str, str] = {
    # bucket: Chinese
    "accepted": "受理",
    "quarantined": "隔离",
    "duplicate": "重复",
    "waiting": "待处理",
    "held": "待缴费或待处理",
    "in making": "制作中",
    "in custody": "保管或运输中",
    "collected": "已领取",
    "cancelled": "已注销",
    "ended uncollected": "未领办结",
    "withdrawn": "已撤回",
    "accepted by the factory": "制卡厂已受理",
    "refused": "制卡厂拒绝",
    "cancelled in time": "受理前取消",
    "waived": "已豁免",
    "unanswered": "未答复",
    "in production": "生产中",
    "handed over": "已交接",
    "spoiled": "制作失败",
    "destroyed before hand-over": "交接前销毁",
    "acknowledged by the receiver": "接收方已签收",
    "on the way": "在途",
    "missing": "缺失",
    "handed on": "已转交",
    "sent back": "已退回",
    "refused by holder": "持卡人拒收",
    "returned": "邮件退回",
    "lost": "丢失",
    "destroyed": "已销毁",
    "agreed with the ledger": "与账本一致",
    "pending": "待下一份对账单",
    "unknown to us": "我方无",
    "missing from the statement": "对账单中无",
    "none": "无归类",
    "left": "左边",
    "differing": "不符",
}
