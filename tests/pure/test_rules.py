"""Every row rule: rows that pass all rules, and for each rule rows that fail it and nothing else."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from issuance.city.policy import load_policy
from issuance.docpages.intake import rules_markdown
from issuance.errors import Broken, Misconfigured
from issuance.intake.columns import ALWAYS, CODES, CONDITIONS, NAMES
from issuance.intake.identifiers import check_characters
from issuance.intake.photos import FINDING
from issuance.intake.refusals import PACKAGE_REFUSALS, REFUSALS
from issuance.intake.rules import ROW_RULES, RULES, SET_RULES, RuleContext
from issuance.intake.validate import check_waivers, validate_frame
from issuance.words.regions import abolished_regions, known_regions

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = RuleContext(load_policy(ROOT / "policies", "110000"), frozenset({"ICBC", "BOB"}), date(2025, 10, 9))


def number(first17: str) -> str:
    """A number with its check digit."""
    digits = np.array([[int(digit) for digit in first17]])
    return first17 + chr(check_characters(digits)[0])


RETIREE = {
    "application_id": "A7-1", "applied_at": "2025-10-01", "channel": "bank_outlet", "category": "retiree",
    "id_type": "resident_id", "id_number": "11010519491231002X", "name": "王小明", "sex": "female",
    "birth_date": "1949-12-31", "phone": "15400000000", "region_code": "110105", "bank_code": "ICBC",
    "collection_method": "outlet", "outlet_code": "ICBC-0101", "kind": "renewal", "old_card_generation": "1",
}  # fmt: skip
MINOR = RETIREE | {
    "category": "minor", "id_number": number("11010520180101001"), "sex": "male", "birth_date": "2018-01-01",
    "guardian_name": "王大明", "guardian_id_number": "11010519491231002X",
}  # fmt: skip
FOREIGNER = RETIREE | {
    "category": "foreigner", "id_type": "passport", "id_number": "E12345678", "name": "Anne-Marie O'Neil Jr.",
    "nationality": "IRL", "social_security_number": "IRLE1234567890",
}  # fmt: skip
MAIL = RETIREE | {
    "collection_method": "mail", "outlet_code": "", "address": "海南省三亚市1号,\n2室", "postcode": "572000",
}  # fmt: skip
HMT = RETIREE | {
    "id_type": "hmt_permit", "id_number": number("81000019491231002"), "social_security_number": "H1", "name": "陳大文",
}  # fmt: skip
EMPLOYEE = RETIREE | {
    "category": "employee", "id_number": number("11010519900101001"), "birth_date": "1990-01-01", "sex": "male",
}  # fmt: skip
FLEXIBLE = EMPLOYEE | {"category": "flexible"}
WOMAN_OF_44 = RETIREE | {"id_number": number("11010419801231002"), "birth_date": "1980-12-31"}
WOMAN_OF_48 = RETIREE | {"id_number": number("11010419770101002"), "birth_date": "1977-01-01"}

PASSING = {
    "retiree": RETIREE,
    "abolished county": RETIREE | {"id_number": number("11010319491231002")},
    "county that was abolished before 1993": RETIREE | {"id_number": number("44052419491231002")},
    "sixteen today": EMPLOYEE | {"id_number": number("11010520091009001"), "birth_date": "2009-10-09"},
    "employee": EMPLOYEE,
    "flexible": FLEXIBLE,
    "resident of any age": EMPLOYEE
    | {
        "category": "resident",
        "id_number": number("11010520180101001"),
        "birth_date": "2018-01-01",
    },
    "seventeen": MINOR | {"id_number": number("11010520071010001"), "birth_date": "2007-10-10"},
    "number that truly ends in 000": EMPLOYEE
    | {
        "id_number": number("11010519900101100"),
        "sex": "female",
        "birth_date": "1990-01-01",
    },
    "first": RETIREE | {"kind": "first", "old_card_generation": ""},
    "postcode of Hohhot": MAIL | {"postcode": "010010"},
    "rare characters": RETIREE | {"name": "㼆𠮷𬭚"},
    "dotted name": RETIREE | {"name": "阿依古丽·买买提"},
    "compatibility ideograph": RETIREE | {"name": "王\ufa0e"},
    "minor": MINOR,
    "guardian with a passport": MINOR | {"guardian_id_number": "E7654321"},
    "foreigner with passport": FOREIGNER,
    "foreign permanent card": FOREIGNER | {"id_type": "foreign_permanent", "id_number": number("91103719491231002")},
    "HMT permit": HMT,
    "HMT Latin name": HMT | {"id_number": number("82000019491231002"), "name": "Ana Sá"},
    "mail elsewhere": MAIL,
    "employer": RETIREE | {"collection_method": "employer", "outlet_code": "", "employer_code": "E1"},
    "fee": RETIREE | {"kind": "replacement", "fee_status": "unpaid"},
    "own number as social security number": RETIREE | {"social_security_number": "11010519491231002X"},
    "photo": RETIREE | {"photo_ref": "p/1.jpg", "photo_sha256": "ab" * 32},
    "timestamp in the application id": RETIREE | {"application_id": "20251009138000011110007"},
}

FAILING: list[tuple[str, dict[str, str]]] = [
    ("APPLICATION_ID_SHAPE", RETIREE | {"application_id": "A 1"}),
    ("APPLICATION_ID_SHAPE", RETIREE | {"application_id": "A" * 65}),
    ("APPLICATION_ID_PERSONAL", RETIREE | {"application_id": "A-11010519491231002x"}),
    ("APPLICATION_ID_PERSONAL", RETIREE | {"application_id": "A15400000000B"}),
    ("APPLICATION_ID_PERSONAL", RETIREE | {"application_id": "of-13800001111"}),
    ("APPLICATION_ID_PERSONAL", RETIREE | {"application_id": "440524188001010014"}),
    ("APPLICATION_ID_PERSONAL", FOREIGNER | {"application_id": "X.E12345678"}),
    ("APPLIED_AT_INVALID", RETIREE | {"applied_at": "2025-02-30"}),
    ("APPLIED_AT_INVALID", RETIREE | {"applied_at": "yesterday"}),
    ("APPLIED_AT_FUTURE", RETIREE | {"applied_at": "2025-10-10"}),
    ("NUMBER_DAMAGED", RETIREE | {"id_number": "1.10105E+17"}),
    ("NUMBER_DAMAGED", RETIREE | {"phone": "1.54E+10"}),
    ("NUMBER_DAMAGED", RETIREE | {"id_number": "110105194912310000"}),
    ("NUMBER_DAMAGED", MINOR | {"guardian_id_number": "110105194912310000"}),
    ("ID_OLD_15", RETIREE | {"id_number": "110105491231002"}),
    ("ID_SHAPE", RETIREE | {"id_number": "11010519491231002"}),
    ("ID_SHAPE", RETIREE | {"id_type": "foreign_permanent", "name": "Ann Li", "social_security_number": "X1"}),
    ("ID_SHAPE", FOREIGNER | {"id_number": "E 1"}),
    ("ID_REGION", RETIREE | {"id_number": number("99010519491231002")}),
    ("ID_REGION", RETIREE | {"id_number": number("81000019491231002")}),
    ("ID_COUNTY_UNKNOWN", RETIREE | {"id_number": number("11999919491231002")}),
    ("ID_CHECK_DIGIT", RETIREE | {"id_number": "110105194912310021"}),
    ("ID_BIRTH_DATE", RETIREE | {"id_number": number("11010519490230002")}),
    ("ID_BIRTH_DATE", MINOR | {"id_number": number("11010520261231001"), "birth_date": ""}),
    ("SEX_DIFFERS", RETIREE | {"sex": "male"}),
    ("BIRTH_DATE_INVALID", RETIREE | {"birth_date": "1949-02-29"}),
    ("BIRTH_DATE_FUTURE", FOREIGNER | {"birth_date": "2025-10-10"}),
    ("BIRTH_DATE_DIFFERS", RETIREE | {"birth_date": "1949-12-30"}),
    ("SOCIAL_SECURITY_NUMBER_DIFFERS", RETIREE | {"social_security_number": "440524188001010014"}),
    ("NAME_SHAPE", RETIREE | {"name": "王?明"}),
    ("NAME_SHAPE", RETIREE | {"name": "王 明"}),
    ("NAME_SHAPE", RETIREE | {"name": "Wang Ming"}),
    ("NAME_SHAPE", RETIREE | {"name": "王\ue000"}),
    ("NAME_SHAPE", RETIREE | {"name": "王明·"}),
    ("NAME_SHAPE", RETIREE | {"name": "王"}),
    ("NAME_SHAPE", FOREIGNER | {"name": "安娜"}),
    ("PHONE_SHAPE", RETIREE | {"phone": "12000000000"}),
    ("PHONE_SHAPE", RETIREE | {"phone": "1540000000"}),
    ("POSTCODE_SHAPE", MAIL | {"postcode": "5720"}),
    ("LEADING_ZERO_LOST", MAIL | {"postcode": "10010"}),
    ("REGION_CODE_UNKNOWN", RETIREE | {"region_code": "990105"}),
    ("REGION_CODE_UNKNOWN", RETIREE | {"region_code": "110199"}),
    ("REGION_CODE_ABOLISHED", RETIREE | {"region_code": "110103"}),
    ("REGION_CODE_UNKNOWN", RETIREE | {"region_code": "1101"}),
    ("BANK_UNKNOWN", RETIREE | {"bank_code": "XBANK", "outlet_code": "XBANK-1"}),
    ("OUTLET_CODE_SHAPE", RETIREE | {"outlet_code": "ICBC0101"}),
    ("OUTLET_OTHER_BANK", RETIREE | {"outlet_code": "BOB-0101"}),
    ("MINOR_OUTLET_ONLY", MINOR | {"collection_method": "service_point", "outlet_code": ""}),
    ("MINOR_TOO_OLD", MINOR | {"id_number": number("11010520071009001"), "birth_date": "2007-10-09"}),
    ("WORKER_TOO_YOUNG", EMPLOYEE | {"id_number": number("11010520091010001"), "birth_date": "2009-10-10"}),
    ("WORKER_TOO_YOUNG", FLEXIBLE | {"id_number": number("11010520180101001"), "birth_date": "2018-01-01"}),
    ("NATIONALITY_CHINESE", FOREIGNER | {"nationality": "CHN"}),
    ("FIRST_WITH_OLD_CARD", RETIREE | {"kind": "first"}),
    ("GUARDIAN_ID_CHECK_DIGIT", MINOR | {"guardian_id_number": "110105194912310021"}),
    ("GUARDIAN_IS_HOLDER", MINOR | {"guardian_id_number": MINOR["id_number"]}),
    ("FOREIGNER_ID_TYPE", RETIREE | {"category": "foreigner", "nationality": "IRL", "name": "Ann Li"}),
    ("PHOTO_SHA256_SHAPE", RETIREE | {"photo_sha256": "12"}),
    *(
        (code, RETIREE | {"photo_ref": "1.jpg", "photo_sha256": "ab" * 32, FINDING: code})
        for code in ("PHOTO_MISSING", "PHOTO_DIFFERS", "PHOTO_FORMAT", "PHOTO_SIZE", "PHOTO_BACKGROUND")
    ),
    ("RETIREMENT_TOO_EARLY", WOMAN_OF_44),
    ("RETIREMENT_EARLY", WOMAN_OF_48),
    ("RETIREMENT_EARLY", WOMAN_OF_44 | {"proof_ref": "P-1"}),
    ("AGE_IMPLAUSIBLE", RETIREE | {"id_number": "440524188001010014", "birth_date": "1880-01-01", "sex": "male"}),
    ("TEXT_UNPRINTABLE", MAIL | {"address": "北京\x07"}),
    ("TEXT_UNPRINTABLE", MAIL | {"address": "北京\ufffd"}),
    ("TEXT_TOO_LONG", MAIL | {"address": "京" * 501}),
    *((f"CODE_{column.upper()}", RETIREE | {column: "pigeon"}) for column in CODES if column != "collection_method"),
    ("CODE_COLLECTION_METHOD", RETIREE | {"collection_method": "pigeon"}),
    *((f"REQUIRED_{column.upper()}", RETIREE | {column: ""}) for column in ALWAYS),
    ("REQUIRED_ADDRESS", MAIL | {"address": ""}),
    ("REQUIRED_POSTCODE", MAIL | {"collection_method": "home_delivery", "postcode": ""}),
    ("REQUIRED_OUTLET_CODE", RETIREE | {"outlet_code": ""}),
    ("REQUIRED_EMPLOYER_CODE", RETIREE | {"collection_method": "employer"}),
    ("REQUIRED_GUARDIAN_NAME", MINOR | {"guardian_name": ""}),
    ("REQUIRED_GUARDIAN_ID_NUMBER", MINOR | {"guardian_id_number": ""}),
    ("REQUIRED_NATIONALITY", FOREIGNER | {"nationality": ""}),
    ("REQUIRED_SOCIAL_SECURITY_NUMBER", FOREIGNER | {"social_security_number": ""}),
    ("REQUIRED_FEE_STATUS", RETIREE | {"kind": "exchange"}),
    ("REQUIRED_PHOTO_SHA256", RETIREE | {"photo_ref": "p/1.jpg"}),
]
# what follows from a row's defect beside the reason it is about
ALSO = {"REQUIRED_BIRTH_DATE"}


def frame_of(rows: list[dict[str, str]]) -> pd.DataFrame:
    """Rows as `read_rows` gives them."""
    names = (*NAMES, FINDING)
    frame = pd.DataFrame({name: [row.get(name, "") for row in rows] for name in names}, dtype="str")
    return frame.assign(line=range(2, len(rows) + 2))


def failures(rows: list[dict[str, str]], context: RuleContext = CONTEXT) -> list[set[str]]:
    """The rules each row fails, by the predicates alone."""
    failed: list[set[str]] = [set() for _ in rows]
    frame = frame_of(rows)
    for rule in ROW_RULES:
        assert rule.passes is not None
        for position in np.flatnonzero(~rule.passes(frame, context)):
            failed[position].add(rule.id)
    return failed


@pytest.mark.parametrize("case", PASSING)
def test_a_good_row_passes_every_rule(case: str) -> None:
    assert failures([PASSING[case]]) == [set()]


@pytest.mark.parametrize(("rule", "row"), FAILING, ids=[f"{index}-{rule}" for index, (rule, _) in enumerate(FAILING)])
def test_a_bad_row_gets_the_reason_that_names_the_cause(rule: str, row: dict[str, str]) -> None:
    (failed,) = failures([row])
    assert rule in failed
    assert failed - ALSO <= {rule}


def test_every_rule_has_a_row_that_fails_it() -> None:
    tested = {rule for rule, _ in FAILING} | {"COLLECTION_NOT_OFFERED"}
    assert tested == {rule.id for rule in ROW_RULES}


def test_a_method_that_the_city_does_not_offer() -> None:
    policy = CONTEXT.policy.model_copy(update={"collection_methods": ("outlet",)})
    context = RuleContext(policy, CONTEXT.banks, CONTEXT.business_day)
    assert failures([RETIREE, MAIL], context) == [set(), {"COLLECTION_NOT_OFFERED"}]


def test_retirement_age_counts_completed_years_on_the_business_day() -> None:
    man = RETIREE | {"sex": "male"}
    on_birthday = man | {"id_number": number("11010419751009001"), "birth_date": "1975-10-09"}
    day_before = man | {"id_number": number("11010419751010001"), "birth_date": "1975-10-10"}
    assert failures([on_birthday, day_before]) == [{"RETIREMENT_EARLY"}, {"RETIREMENT_TOO_EARLY"}]


def test_great_expectations_finds_what_the_predicates_find() -> None:
    rows = [RETIREE, *(row for _, row in FAILING), *PASSING.values()]
    validation = validate_frame(frame_of(rows), CONTEXT)
    for position, failed in enumerate(failures(rows)):
        warned = {rule for rule in failed if RULES[rule].severity == "warning"}
        assert set(validation.warnings.get(position, [])) == warned
        assert set(validation.reasons.get(position, [])) == failed - warned
    assert validation.rows == validation.summary["rows"] == len(rows)
    assert validation.summary["rows_with_errors"] == len(validation.reasons)
    assert set(validation.summary["errors"]) | set(validation.summary["warnings"]) == {rule.id for rule in ROW_RULES}


def test_the_summary_holds_no_value_of_a_row() -> None:
    secret = RETIREE | {"name": "金丝雀?", "phone": "99999999999", "address": "CANARY"}
    text = json.dumps(validate_frame(frame_of([secret]), CONTEXT).summary, ensure_ascii=False)
    assert not [value for value in ("金丝雀", "99999999999", "CANARY", RETIREE["id_number"]) if value in text]


def test_positions_do_not_depend_on_the_index() -> None:
    frame = frame_of([RETIREE, RETIREE | {"phone": ""}])
    frame.index = pd.Index([70, 70])
    assert validate_frame(frame, CONTEXT).reasons == {1: ["REQUIRED_PHONE"]}


def test_slices_and_concatenations_are_judged_like_whole_frames() -> None:
    rows = [row for _, row in FAILING]
    frame = frame_of(rows)
    pieces = pd.concat([frame.iloc[10:20], frame.iloc[:5]])
    for rule in ROW_RULES:
        assert rule.passes is not None
        whole = rule.passes(frame, CONTEXT)
        assert rule.passes(pieces, CONTEXT).tolist() == [*whole[10:20], *whole[:5]]
        assert rule.passes(frame.iloc[7:30], CONTEXT).tolist() == whole[7:30].tolist()


def test_a_frame_that_rules_would_wrongly_pass_is_stopped() -> None:
    frame = frame_of([RETIREE])
    for broken, code in (
        (frame.drop(columns="phone"), "FRAME_INCOMPLETE"),
        (frame.head(0), "FRAME_EMPTY"),
        (frame.assign(name=pd.Series([None], dtype="str")), "FRAME_NULLS"),
    ):
        with pytest.raises(Broken) as caught:
            validate_frame(broken, CONTEXT)
        assert caught.value.code == code


def test_a_city_waives_what_it_may_and_the_rule_warns() -> None:
    policy = CONTEXT.policy.model_copy(update={"waived_rules": ("RETIREMENT_TOO_EARLY",)})
    validation = validate_frame(frame_of([WOMAN_OF_44, RETIREE]), RuleContext(policy, CONTEXT.banks, date(2025, 10, 9)))
    assert (validation.reasons, validation.warnings) == ({}, {0: ["RETIREMENT_TOO_EARLY"]})
    check_waivers(policy)


@pytest.mark.parametrize("rule", ["ID_CHECK_DIGIT", "NO_SUCH_RULE", "RETIREMENT_EARLY", "DUPLICATE_PERSON"])
def test_what_no_city_may_waive_is_a_clear_error(rule: str) -> None:
    policy = CONTEXT.policy.model_copy(update={"waived_rules": ("MINOR_OUTLET_ONLY", rule)})
    with pytest.raises(Misconfigured) as caught:
        check_waivers(policy)
    assert (caught.value.code, caught.value.details["rules"]) == ("WAIVER_UNKNOWN", [rule])


def test_historic_codes_are_known_as_abolished() -> None:
    assert {"110103", "110104", "440524", "510200"} <= abolished_regions()
    assert {"110105", "330113", "500157", "820000"} <= set(known_regions()) - abolished_regions()
    assert not {"110199", "990000"} & set(known_regions())


def test_importing_the_rules_does_not_import_great_expectations() -> None:
    code = "import sys, issuance.intake.validate; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_great_expectations_is_imported_without_what_nobody_uses() -> None:
    code = (
        "import sys; from issuance.intake.imports import prepare_great_expectations as p; p(); p();"
        "import issuance.intake.expectations; sys.exit('scipy.stats._stats_py' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False, cwd=ROOT).returncode == 0


def test_conditions_name_columns_and_codes_that_exist() -> None:
    for condition in CONDITIONS:
        assert {condition.column, condition.when} <= set(NAMES)
        assert set(condition.values) <= set(CODES.get(condition.when, ()))


def test_rule_table_is_complete() -> None:
    assert len(RULES) == len(ROW_RULES) + len(SET_RULES)
    for rule in RULES.values():
        assert all((rule.zh, rule.en, rule.remedy_zh, rule.remedy_en))
        assert set(rule.columns) <= {*NAMES, FINDING}
    assert all(rule.passes is None for rule in SET_RULES)


def codes_raised(path: Path) -> set[str]:
    """The codes that a module refuses with, as literals."""
    raises = ("Refused", "Misconfigured", "refuse", "_refuse")
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    firsts = [
        call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id in raises and call.args
    ]
    return {first.value for first in firsts if isinstance(first, ast.Constant) and isinstance(first.value, str)}


def test_every_refusal_stands_on_the_page_of_rules() -> None:
    room = ROOT / "issuance"
    commands = [room / "commands" / name for name in ("submit.py", "quarantine.py", "output.py")]
    modules = [*(room / "intake").glob("*.py"), *commands, room / "errors.py", room / "desk" / "uploads.py"]
    raised = set().union(*map(codes_raised, modules))
    assert len(raised) > 20
    assert raised <= {*REFUSALS, *PACKAGE_REFUSALS}
    by_name = {"SUBMISSION_LIVE", "SUBMISSION_UNDECIDED", "NOTHING_TO_AMEND", "LAST_ROW_INCOMPLETE", "FIELD_COUNT"}
    told = {"TOTALS_DIFFER", "TOO_MANY_QUARANTINED", "REFUSED_BY_OPERATOR"}
    assert {*REFUSALS, *PACKAGE_REFUSALS} <= raised | by_name | told


def test_the_page_of_rules_is_in_step() -> None:
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == rules_markdown()
