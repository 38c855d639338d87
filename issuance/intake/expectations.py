"""The row rules as a Great Expectations suite: one expectation class, parameterised by the rule's id.

Importing this module imports Great Expectations (5 s): import it inside functions only, as `validate.py` does.
"""

from __future__ import annotations

import json
from datetime import date
from functools import lru_cache
from typing import Any, ClassVar, Literal

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import MulticolumnMapExpectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.expectations.metrics.map_metric_provider.multicolumn_condition_partial import (
    multicolumn_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.multicolumn_map_metric_provider import (
    MulticolumnMapMetricProvider,
)

from issuance.city.policy import Policy
from issuance.intake.rules import ROW_RULES, RULES, Rule, RuleContext, severity_in

METRIC = "multicolumn_values.pass_issuance_rule"


def context_to_text(context: RuleContext) -> str:
    """The context as canonical JSON, so that a suite carries everything its result depends on."""
    return json.dumps(
        {
            "policy": context.policy.model_dump(mode="json"),
            "banks": sorted(context.banks),
            "business_day": context.business_day.isoformat(),
        },
        sort_keys=True,
    )


@lru_cache(maxsize=8)
def context_of_text(text: str) -> RuleContext:
    """The context that `context_to_text` wrote."""
    data = json.loads(text)
    day = date.fromisoformat(data["business_day"])
    return RuleContext(Policy.model_validate(data["policy"]), frozenset(data["banks"]), day)


class RowsPassRule(MulticolumnMapMetricProvider):
    """Whether each row passes the rule named by `rule`."""

    condition_metric_name = METRIC
    condition_value_keys = ("rule", "context")
    condition_domain_keys = ("batch_id", "table", "column_list", "row_condition", "condition_parser", "ignore_row_if")

    @multicolumn_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_list: pd.DataFrame, rule: str, context: str, **kwargs: Any) -> pd.Series:  # noqa: N805
        passes = RULES[rule].passes
        assert passes is not None, rule
        return pd.Series(passes(column_list, context_of_text(context)), index=column_list.index)


class ExpectRowsToPassRule(MulticolumnMapExpectation):
    """Expect every row to pass one rule of `issuance/intake/rules.py`."""

    rule: str
    context: str
    # map expectations skip rows with nulls by default; an empty field must be judged too
    ignore_row_if: Literal["all_values_are_missing", "any_value_is_missing", "never"] = "never"

    map_metric: ClassVar[str] = METRIC
    success_keys: ClassVar[tuple[str, ...]] = ("mostly", "rule", "context")


def expectation_of(rule: Rule, context: str, severity: str) -> ExpectRowsToPassRule:
    """One rule as an expectation; `line` is added because a multicolumn expectation needs two columns."""
    return ExpectRowsToPassRule(
        column_list=[*(rule.columns or ("file",)), "line"],
        rule=rule.id,
        context=context,
        meta={"rule": rule.id},
        severity=FailureSeverity.CRITICAL if severity == "error" else FailureSeverity.WARNING,
    )


def described_expectation(rule: Rule, severity: str) -> ExpectRowsToPassRule:
    """One rule as Data Docs show it: its code and texts, without its evaluation context."""
    shown = expectation_of(rule, "", severity)
    shown.description = f"{rule.id} ({severity}): {rule.zh} / {rule.en}"
    return shown


def suite_of(context: RuleContext) -> gx.ExpectationSuite:
    """All row rules as a suite."""
    text = context_to_text(context)
    expectations = [expectation_of(rule, text, severity_in(rule, context.policy)) for rule in ROW_RULES]
    return gx.ExpectationSuite("cohort_rows", expectations=expectations)


def run_suite(frame: pd.DataFrame, context: RuleContext) -> dict[str, list[int]]:
    """The labels of the rows that fail each rule that could be evaluated; values never leave the frame.

    COMPLETE gives every label; `unexpected_index_column_names` is not used because it also returns the failing values.
    """
    gx_context = gx.get_context(mode="ephemeral")
    gx_context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = gx_context.data_sources.add_pandas("part").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    outcome = batch.validate(
        suite_of(context),
        result_format={
            "result_format": "COMPLETE",
            "exclude_unexpected_values": True,
            "partial_unexpected_count": 0,
            "return_unexpected_index_query": False,
        },
    )
    found: dict[str, list[int]] = {}
    for result in outcome.results:
        assert isinstance(result.expectation_config, ExpectationConfiguration)
        if "unexpected_index_list" in result.result:
            found[result.expectation_config.meta["rule"]] = result.result["unexpected_index_list"]
    return found
