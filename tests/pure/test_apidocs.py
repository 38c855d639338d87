"""/docs loads nothing from outside, and shows an OpenAPI 3.1 document."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from issuance.desk.apidocs import add_docs

AT = "http://desk.test"


class Sources(HTMLParser):
    """What a page loads, and the scripts that stand in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "data-document")]
        self.inline += tag == "script" and "src" not in dict(attrs)
        self.inline += sum(name.startswith("on") for name, _ in attrs)


@pytest.fixture
def client() -> TestClient:
    app = FastAPI(title="Desk <1>", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    add_docs(app)

    @app.get("/cards/{card}")
    def card(card: str) -> str:
        return card

    return TestClient(app, base_url=AT)


def test_the_page_and_all_that_it_loads_come_from_the_desk(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200 and "Desk &lt;1&gt;" in page.text
    sources = Sources(page.text)
    assert len(sources.loaded) == 5 and sources.inline == 0
    assert "//" not in page.text.replace("</", "")
    kinds = {}
    for source in sources.loaded:
        answer = client.get(urljoin(f"{AT}/docs", source))
        assert answer.status_code == 200 and answer.content
        kinds[source.rsplit(".", 1)[1]] = answer.headers["content-type"].split(";")[0]
    assert kinds.pop("js").endswith("/javascript")
    assert kinds == {"css": "text/css", "png": "image/png", "json": "application/json"}


def test_style_sheet_and_start_load_nothing(client: TestClient) -> None:
    style = client.get("/docs/assets/swagger-ui.css").text
    assert set(re.findall(r"url\(['\"]?([a-z]+:|//)", style)) <= {"data:"} and "@import" not in style
    start = client.get("/docs/start.js").text
    assert "//" not in start and "validatorUrl: null" in start


def test_the_policy_of_the_page(client: TestClient) -> None:
    policy = client.get("/docs").headers["content-security-policy"].split("; ")
    assert "default-src 'self'" in policy and not [rule for rule in policy if rule.startswith("script-src")]
    assert not [word for rule in policy for word in rule.split() if "eval" in word or "*" in word or "//" in word]


def test_swagger_ui_can_show_the_document(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1.") and list(document["paths"]) == ["/cards/{card}"]
    bundle = client.get("/docs/assets/swagger-ui-bundle.js").text
    version = re.search(r'PACKAGE_VERSION:"(\d+)\.', bundle)
    assert version and int(version[1]) >= 5  # 5 is the first to know OpenAPI 3.1
