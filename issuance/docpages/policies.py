"""docs/policies.md, generated from the policies of all cities: `make docs`.

A test keeps the file in step with `policies/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from issuance.city.policy import DueDays, Policy, load_policy
from issuance.docpages.markdown import table
from issuance.settings import ROOT

FILE = ROOT / "docs" / "policies.md"
CITIES = {
    # GB/T 2260: Chinese, English
    "110000": ("北京", "Beijing"),
    "310000": ("上海", "Shanghai"),
    "440100": ("广州", "Guangzhou"),
    "440300": ("深圳", "Shenzhen"),
    "500000": ("重庆", "Chongqing"),
    "510100": ("成都", "Chengdu"),
}
HEAD = """\
# 各城市参数 / City policies

由 `policies/` 生成（`make docs`），请勿手改。
Generated from `policies/` by `make docs`; do not edit.

天数除另有说明外为自然日，金额单位为分。出处：[press] 城市或媒体公告，[std] 标准，[rule] 自行设定、须由城市确认。
Days are calendar days unless stated otherwise, money is in fen. Sources: [press] a city's or a newspaper's notice,
[std] a published standard, [rule] our own choice, to be confirmed by the city.
"""


def policies_markdown(policies: Sequence[Policy]) -> str:
    """The whole of docs/policies.md: every figure by city, then each city's sources."""
    lines = [HEAD, "## 数值 / Figures", "", *_figures(policies)]
    for policy in policies:
        lines += [f"## {' / '.join(names_of(policy.city))} ({policy.city})", "", *_sources(policy)]
    return "\n".join(lines)


def names_of(city: str) -> tuple[str, str]:
    """A city's names, Chinese and English; its code where it has none here."""
    return CITIES.get(city, (city, city))


def _figures(policies: Sequence[Policy]) -> list[str]:
    head = ("Field", "说明 / Meaning", *(" ".join(names_of(policy.city)) for policy in policies))
    return table(
        head,
        (
            (f"`{name}`", field.title or "", *(value_text(getattr(one, name)) for one in policies))
            for name, field in Policy.model_fields.items()
            if name not in ("city", "sources")
        ),
    )


def _sources(policy: Policy) -> list[str]:
    return table(
        ("Field", "值 / Value", "出处 / Source"),
        ((f"`{name}`", value_text(getattr(policy, name)), source) for name, source in policy.sources.items()),
    )


def value_text(value: Any) -> str:
    """A value as text."""
    if isinstance(value, DueDays):
        return f"{value.count} {'工作日 / working' if value.unit == 'working' else '自然日 / calendar'}"
    if isinstance(value, BaseModel):
        return value_text(dict(value))
    if isinstance(value, dict):
        return "; ".join(f"{key}: {value_text(one)}" for key, one in value.items()) or "–"
    if isinstance(value, tuple):
        return ", ".join(map(value_text, value)) or "–"
    if isinstance(value, bool):
        return "是 / yes" if value else "否 / no"
    return str(value)


def all_policies(directory: Path) -> list[Policy]:
    """The policies of a directory, by city code."""
    return [load_policy(directory, path.stem) for path in sorted(directory.glob("[0-9]*.yaml"))]


def pages() -> dict[Path, str]:
    """docs/policies.md as it has to be."""
    return {FILE: policies_markdown(all_policies(ROOT / "policies"))}
