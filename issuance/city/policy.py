"""A city's policy: every number that differs between cities, read from `policies/CITY.yaml` and validated once.

Each figure carries its source as data (`sources`): where a city or a newspaper says it, or that it is our own choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from issuance.city.calendar import Calendar
from issuance.city.marked_yaml import Marked, read_marked
from issuance.errors import Misconfigured
from issuance.words.collection import CollectionMethod

Sex = Literal["male", "female"]
Days = Annotated[StrictInt, Field(ge=0, le=3650)]
Fen = Annotated[StrictInt, Field(ge=0, le=100_000)]
"""Money, in fen (1/100 yuan)."""
Ratio = Annotated[float, Field(ge=0, le=1)]
Source = Annotated[str, Field(pattern=r"^\[(press|std|rule)\] \S")]
"""[press] a city's or a newspaper's notice, [std] a published standard, [rule] our own choice, and what it says."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DueDays(_Entry):
    """A clock: so many calendar days, or working days of the State Council's calendar."""

    count: Days
    unit: Literal["calendar", "working"]

    def after(self, start: date, calendar: Calendar) -> date:
        """The last day of a clock that starts on `start`; the day after it is day 1.

        Raises:
            Misconfigured: it ends in a year whose working days are not known yet.
        """
        if self.unit == "working":
            return calendar.add_working_days(start, self.count)
        return start + timedelta(days=self.count)


class RetirementAges(_Entry):
    """Completed years of age: below `earliest` a proof is needed, below `statutory` there is a warning."""

    earliest: int = Field(ge=30, le=80)
    statutory: int = Field(ge=30, le=80)

    @field_validator("statutory")
    @classmethod
    def _ordered(cls, statutory: int, info: ValidationInfo) -> int:
        if statutory < info.data.get("earliest", 0):
            raise ValueError("不得低于 earliest / must not be below earliest")
        return statutory


class TransitDays(_Entry):
    """Calendar days a mail item takes; they come on top of `due_days`."""

    local: Days
    elsewhere: Days


class CardFees(_Entry):
    """What a card costs that is not the first: fen by kind of application, and who is exempt."""

    replacement: Fen
    exchange: Fen
    exempt: tuple[Literal["low_income", "disabled", "pensioned_veteran", "quality_fault"], ...]


class Postage(_Entry):
    """Who pays for mailing a card, and how much is asked with the application (fen; 0: nothing)."""

    payer: Literal["applicant", "city", "bank"]
    fee: Fen

    @field_validator("fee")
    @classmethod
    def _only_of_applicants(cls, fee: int, info: ValidationInfo) -> int:
        if fee and info.data.get("payer") != "applicant":
            raise ValueError("只有由申请人付费时才有邮费 / only an applicant pays postage")
        return fee


class GraceDays(_Entry):
    """Days after which a difference that time may explain (an online HRSS, a nightly bank) is a break, by kind."""

    OUT_OF_ORDER: Days
    ACTIVATED_NOT_COLLECTED: Days
    FINANCE_ALONE: Days


class BrakeRatios(_Entry):
    """The share of what could fall due that may be decided in a day: cancelled uncollected, presumed lost, re-made."""

    EXPIRY: Ratio
    LOSS: Ratio
    REMAKE: Ratio


class Policy(_Entry):
    """The rules of one city; days are calendar days unless the field says otherwise. Titles: Chinese / English."""

    city: str = Field(pattern=r"^[0-9]{6}$", title="城市代码 / city (GB/T 2260)")
    due_days: DueDays = Field(
        title="申请（或启动日）至制卡完成，不含邮寄 / application or opening to card made, no transit"
    )
    collection_methods: tuple[CollectionMethod, ...] = Field(min_length=1, title="领取方式 / ways to collect")
    warn_ratio: Ratio = Field(title="隔离行占比，超过则由人决定 / quarantined rows above which a person decides")
    refuse_ratio: Ratio = Field(title="隔离行占比，超过则整批退回 / quarantined rows above which it is refused")
    job_size: int = Field(ge=1, le=5000, title="每个制卡任务最多卡数 / plastics of a job at most")
    wave_days: Days = Field(
        title="每个制卡批最多相当于制卡厂几个工作日的产量，0 为一次全放 / working days of production in a wave, 0: all"
    )
    plan_ahead_days: Days = Field(
        title="已放行余量不足几个工作日时编制下一制卡批 / working days left when the next wave is planned"
    )
    remake_ratio: Ratio = Field(title="一次放行包含的补制占比 / re-makes that one release covers")
    answer_days: Days = Field(title="任务未回应几个工作日后记差异 / working days until an unanswered job is a break")
    handover_days: Days = Field(title="交接未签收几日后记差异 / days until an unreceived hand-over is a break")
    letter_days: Days = Field(title="邮件无消息几日后记差异 / days without news until a letter is a break")
    feed_days: Days = Field(
        title="承运方全无消息几日后视为停报，其邮件不推定丢失 / days until a carrier without any news is silent"
    )
    lost_after_days: Days = Field(title="邮件无消息几日后视为丢失 / days without news until mail is lost")
    grace_days: GraceDays = Field(
        title="时间差可能解释的差异，几日后记差异 / days until what time may explain is a break"
    )
    brake_ratio: BrakeRatios = Field(
        title="一天内到期占比，超过则由人决定 / share falling due a day past which a person decides"
    )
    reminder_days: tuple[Days, ...] = Field(title="未领卡提醒日 / days after which an uncollected card is reminded of")
    keep_days: Days = Field(title="未领卡保管期 / days an uncollected card is kept")
    not_activated_days: Days = Field(title="领卡未启用几日后办结 / days until a card not activated ends as such")
    pension_days: Days = Field(
        title="退休人员金融功能几日未激活即提醒 / days until a retiree's inactive finance puts the pension at risk"
    )
    temporary_loss_days: Days = Field(title="临时挂失有效期 / days until a temporary loss report lapses")
    event_days: Days = Field(title="持卡人事项等待其申请受理几日 / days that a holder event waits for its application")
    told_hours: int = Field(
        ge=0,
        le=720,
        title="登记的死亡、撤回几小时后生效，除非第二人确认 / hours until a told death acts",
    )
    old_card_stop: dict[int, date] = Field(title="旧卡停用日（代次） / last day of old cards by generation")
    retirement_ages: dict[Sex, RetirementAges] = Field(title="退休年龄：最早、法定 / retirement ages")
    transit_days: TransitDays = Field(title="邮寄天数：本市、外地 / days in the mail")
    card_fees: CardFees = Field(title="补换卡工本费（分）与免收对象 / card fees in fen, and who is exempt")
    postage: Postage = Field(title="邮费由谁付、金额（分） / postage: payer, fen")
    keep_account: bool = Field(title="补换卡沿用原账户（换卡不换号） / replacement and exchange keep the account")
    hold_until_paid: bool = Field(title="缴费后才制卡 / made only when paid")
    retention_days: Days = Field(title="结清后几日清除个人数据 / days after closing until personal data is erased")
    waived_rules: tuple[str, ...] = Field((), title="本市豁免的行规则，只警示不隔离 / row rules waived: they only warn")
    sources: dict[str, Source] = Field(title="出处 / sources")

    @field_validator("refuse_ratio")
    @classmethod
    def _after_warning(cls, ratio: float, info: ValidationInfo) -> float:
        if ratio < info.data.get("warn_ratio", 0):
            raise ValueError("不得小于 warn_ratio / must not be below warn_ratio")
        return ratio

    @field_validator("reminder_days")
    @classmethod
    def _ascending(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if list(days) != sorted(set(days)):
            raise ValueError("须由小到大 / must ascend")
        return days

    @field_validator("keep_days")
    @classmethod
    def _after_reminders(cls, days: int, info: ValidationInfo) -> int:
        if days <= max(info.data.get("reminder_days", ()), default=-1):
            raise ValueError("须长于最后一次提醒 / must be longer than the last of reminder_days")
        return days

    @field_validator("plan_ahead_days")
    @classmethod
    def _within_wave(cls, days: int, info: ValidationInfo) -> int:
        if 0 < info.data.get("wave_days", 0) <= days:
            raise ValueError("须小于 wave_days / must be below wave_days")
        return days

    @field_validator("retirement_ages")
    @classmethod
    def _both_sexes(cls, ages: dict[Sex, RetirementAges]) -> dict[Sex, RetirementAges]:
        if missing := {"male", "female"} - set(ages):
            raise ValueError(f"缺少 / lacks {', '.join(sorted(missing))}")
        return ages

    def charge(self, kind: str, method: str) -> int:
        """What an application costs its holder before its card is made, in fen: the card's fee, postage in advance.

        The exempt say so in the application (fee_status exempt).
        """
        fee = {"replacement": self.card_fees.replacement, "exchange": self.card_fees.exchange}.get(kind, 0)
        return fee + (self.postage.fee if method == "mail" else 0)

    def postage_of(self, method: str) -> str | None:
        """How a letter's postage is paid: `collect` by the holder on delivery, otherwise `prepaid`; None: no letter."""
        if method != "mail":
            return None
        return "collect" if self.postage.payer == "applicant" and not self.postage.fee else "prepaid"

    def unsourced(self) -> list[str]:
        """The figures without a source."""
        return sorted(self.model_fields_set - {"city", "sources"} - set(self.sources))

    def idle_sources(self) -> list[str]:
        """Sources that belong to no figure."""
        return sorted(set(self.sources) - self.model_fields_set | set(self.sources) & {"city", "sources"})


def load_policy(policies_dir: Path, city: str) -> Policy:
    """The policy of a city (six digits of GB/T 2260).

    Raises:
        Misconfigured: there is no file for the city, it is not YAML, or values are wrong; names the file and, all at
            once, line, field and error (details: `fields` and `lines` by field).
    """
    path = policies_dir / f"{city}.yaml"
    if not re.fullmatch(r"[0-9]{6}", city) or not path.is_file():
        known = sorted(entry.stem for entry in policies_dir.glob("[0-9]*.yaml"))
        raise Misconfigured(
            "POLICY_MISSING",
            f"{policies_dir} 中没有城市 {city!r} 的参数文件。 / no policy for city {city!r} in {policies_dir}",
            city=city,
            known=known,
        )
    return _read_policy(path, city, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _read_policy(path: Path, city: str, changed: int) -> Policy:
    """The same, reloaded when the file has changed."""
    try:
        marked = read_marked(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Misconfigured(
            "POLICY_UNREADABLE", f"无法读取 {path}。 / {path} cannot be read: {error}", file=str(path)
        ) from error
    policy, mistakes = check_policy(marked, city)
    if policy is None or mistakes:
        raise _invalid(path, marked, mistakes)
    return policy


def check_policy(marked: Marked, city: str) -> tuple[Policy | None, dict[tuple[str, ...], str]]:
    """The policy of a document, and its errors by field (Chinese / English); pure."""
    mistakes = {key: "重复 / is repeated" for key in marked.repeated}
    try:
        policy = Policy.model_validate(marked.data)
    except ValidationError as error:
        return None, dict(_mistakes_of(error)) | mistakes
    if policy.city != city:
        mistakes["city",] = f"是 {policy.city}，文件名是 {city} / is {policy.city}, the file name says {city}"
    mistakes |= {(name,): "没有出处（sources） / has no entry in sources" for name in policy.unsourced()}
    mistakes |= {("sources", name): "没有这一项 / is not a field of a policy" for name in policy.idle_sources()}
    return policy, mistakes


CHINESE: Mapping[str, str] = {
    # pydantic's kind of mistake: what it asks for; {…} are its own values
    "missing": "缺少此项",
    "extra_forbidden": "未知的项",
    "model_type": "须是若干“项: 值”",
    "dict_type": "须是若干“项: 值”",
    "tuple_type": "须是列表",
    "int_type": "须是整数",
    "int_parsing": "须是整数",
    "float_type": "须是数",
    "float_parsing": "须是数",
    "bool_type": "须是 true 或 false",
    "bool_parsing": "须是 true 或 false",
    "string_type": "须是文字（数字请加引号）",
    "string_pattern_mismatch": "格式不符：{pattern}",
    "literal_error": "只能是 {expected}",
    "greater_than_equal": "不得小于 {ge}",
    "less_than_equal": "不得大于 {le}",
    "too_short": "至少 {min_length} 个",
    "date_type": "须是日期（年-月-日）",
    "date_from_datetime_parsing": "须是日期（年-月-日）",
    "date_parsing": "须是日期（年-月-日）",
}


def _mistakes_of(error: ValidationError) -> Iterator[tuple[tuple[str, ...], str]]:
    for entry in error.errors():
        yield tuple(map(str, entry["loc"])), _in_both_languages(entry)


def _in_both_languages(entry: ErrorDetails) -> str:
    context: dict[str, Any] = entry.get("ctx", {})
    if entry["type"] == "value_error":
        return str(context["error"])
    return f"{CHINESE.get(entry['type'], '不正确').format(**context)} / {entry['msg']}"


def _invalid(path: Path, marked: Marked, mistakes: Mapping[tuple[str, ...], str]) -> Misconfigured:
    found = sorted(
        (marked.repeated.get(way) or marked.line_of(way), ".".join(way) or "(whole)", text)
        for way, text in mistakes.items()
    )
    listed = "\n".join(f"  {path.name}:{line} {field}: {text}" for line, field, text in found)
    return Misconfigured(
        "POLICY_INVALID",
        f"{path} 有 {len(found)} 处错误。 / {path} has {len(found)} errors:\n{listed}",
        file=str(path),
        fields={field: text for _, field, text in found},
        lines={field: line for line, field, _ in found},
    )
