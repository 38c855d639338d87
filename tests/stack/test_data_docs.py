"""Data Docs of a submission: what each rule found, readable by a link, without any value of a row or another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from intake_fixture import Intakes, Row, number, person

from issuance.intake.data_docs import docs_key, docs_link, publish_data_docs, with_links
from issuance.intake.rules import ROW_RULES, SET_RULES
from issuance.ledger import queries
from issuance.ledger.connection import connect
from issuance.settings import ROOT, Settings
from issuance.vault.objects import ObjectStore

CANARY: Row = {
    "name": "金丝雀", "phone": "19912345678", "address": "金丝雀路一号", "postcode": "100001",
    "collection_method": "mail", "outlet_code": "", "id_number": number("11010519491231999"),
    "guardian_name": "金丝雀二", "old_card_number": "CANARYCARD7",
}  # fmt: skip


@pytest.fixture(scope="module")
def intakes(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intakes]:
    """A ledger of this module's own, with one cohort of 300 rows in two parts."""
    made = Intakes(stack, "data_docs", tmp_path_factory.mktemp("data_docs"))
    bad = [
        person(998, **CANARY | {"id_number": CANARY["id_number"][:-1] + "?"}),
        person(997, **CANARY | {"phone": "19912345678金"}, application_id="A-CANARY-19912345678"),
        person(996),
        person(996, application_id="A-996b"),
    ]
    made.take_in("docs", [person(999, **CANARY), *(person(n) for n in range(600, 895)), *bad])
    yield made
    made.close()


def test_pages_tell_what_each_rule_found_and_no_value(intakes: Intakes) -> None:
    intake = intakes.validate("docs")
    assert publish_data_docs(intake) == docs_key("docs", 0)
    store = ObjectStore.of(intakes.settings)
    pages = {page: store.get(docs_key("docs", 0, page)) for page in
             ("index.html", "part-00001.html", "part-00002.html")}  # fmt: skip
    personal = ("name", "phone", "address", "postcode", "id_number", "guardian_name", "old_card_number")
    values = [
        *(CANARY[name] for name in personal),
        "王小明",
        "15400000000",
        "A-600",
        "A-CANARY",
        number("11010519491231600"),
    ]
    for page, content in pages.items():
        assert not [value for value in values if value.encode() in content], page
        assert b"http" not in content, "a page refers to no other host"
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", pages["index.html"].decode()))
    assert all(f"{rule.id} (" in text for rule in (*ROW_RULES, *SET_RULES))
    assert re.search(r"DUPLICATE_PERSON \(error\)[^%]*1 unexpected values found\. ≈?0\.3333", text)
    assert re.search(r"PHONE_SHAPE \(error\)[^%]*1 unexpected values found\.", text)


LINK = (
    "from types import SimpleNamespace as S; from dags.data_docs import DataDocsLink as L;"
    "print(L().get_link(None, ti_key=S(run_id='docs.0'))); print(L().get_link(None, ti_key=S(run_id='by hand')))"
)


def test_the_runs_link_leads_to_its_submission(intakes: Intakes, tmp_path: Path) -> None:
    publish_data_docs(intakes.validate("docs"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    env |= {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW_API_URL": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", LINK], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    *_, link, nothing = done.stdout.split("\n")[:-1]
    assert requests.get(link, timeout=30).status_code == 200
    assert nothing == "", "a run whose id is not cohort.submission has no link"


def test_the_link_opens_and_cohort_show_names_it(intakes: Intakes) -> None:
    publish_data_docs(intakes.validate("docs"))
    answer = requests.get(docs_link(intakes.settings, "docs", 0), timeout=30)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    with connect(intakes.url) as connection:
        shown = with_links(intakes.settings, queries.show_cohort(connection, "docs"))
    (link,) = [entry["data_docs"] for entry in shown["submissions"]]
    assert requests.get(link, timeout=30).content == answer.content
    plain = link.split("?")[0]
    assert requests.get(plain, timeout=30).status_code == 403, "without the signature nobody reads it"
