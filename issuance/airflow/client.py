"""Airflow's public API, as far as the command line and the demo need it: tokens, runs, and answers to approvals."""

from __future__ import annotations

from typing import Any

import requests

from issuance.errors import Refused, Unavailable

TIMEOUT = 30


def fetch_token(api_url: str, user: str, password: str) -> str:
    """A token of Airflow's own login.

    Raises:
        Refused: wrong user or password.
        Unavailable: Airflow does not answer.
    """
    answer = _send("POST", f"{api_url}/auth/token", json={"username": user, "password": password})
    if answer.status_code in (400, 401, 403):
        raise Refused("LOGIN_REFUSED", "用户名或密码错误。 / wrong user or password.")
    _require(answer)
    return str(answer.json()["access_token"])


class Airflow:
    """One user's session."""

    def __init__(self, api_url: str, token: str) -> None:
        self._url = api_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    @classmethod
    def log_in(cls, api_url: str, user: str, password: str) -> Airflow:
        """A session of a user."""
        return cls(api_url, fetch_token(api_url, user, password))

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """GET under /api/v2."""
        return self._call("GET", path, params=params)

    def start_run(self, dag_id: str, conf: dict[str, Any], run_id: str | None = None) -> str:
        """Start a run by hand; returns its id."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        return str(self._call("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        """The state of a run, None while there is no such run."""
        answer = _send("GET", f"{self._url}/api/v2/dags/{dag_id}/dagRuns/{run_id}", headers=self._headers)
        if answer.status_code == 404:
            return None
        _require(answer)
        return str(answer.json()["state"])

    def pause(self, dag_id: str, paused: bool) -> bool:
        """Pause a DAG or let it run; False while Airflow does not know it yet."""
        path = f"{self._url}/api/v2/dags/{dag_id}"
        answer = _send("PATCH", path, headers=self._headers, json={"is_paused": paused})
        if answer.status_code == 404:
            return False
        _require(answer)
        return True

    def failed_runs(self, dag_id: str) -> list[str]:
        """The runs of a DAG in state failed."""
        return [run["dag_run_id"] for run in self.get(f"dags/{dag_id}/dagRuns", state="failed", limit=100)["dag_runs"]]

    def attempts_of_failed(self, dag_id: str, run_id: str) -> list[tuple[str, int, int]]:
        """(task, tries made, tries allowed) of a run's failed tasks."""
        tasks = self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=1000)["task_instances"]
        return [(t["task_id"], t["try_number"], t["max_tries"] + 1) for t in tasks if t["state"] == "failed"]

    def clear_failed(self, dag_id: str, run_id: str) -> None:
        """Retry a run's failed tasks and everything downstream of them."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": True, "reset_dag_runs": True}
        self._call("POST", f"dags/{dag_id}/clearTaskInstances", json=body)

    def failed_tasks(self, dag_id: str, run_id: str) -> list[str]:
        """The tasks of a run that failed."""
        tasks = self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=1000)["task_instances"]
        return [task["task_id"] for task in tasks if task["state"] in ("failed", "upstream_failed")]

    def pending_approvals(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Approvals of a run that nobody has answered."""
        details = self.get(f"dags/{dag_id}/dagRuns/{run_id}/hitlDetails")["hitl_details"]
        return [detail for detail in details if not detail.get("response_received") and not detail.get("responded_at")]

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, reason: str = "") -> None:
        """Answer an approval as this user.

        Raises:
            Refused: this user may not answer it.
        """
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        body = {"chosen_options": [option], "params_input": {"reason": reason} if reason else {}}
        answer = _send("PATCH", f"{self._url}/api/v2/{path}", json=body, headers=self._headers)
        if answer.status_code == 403:
            raise Refused(
                "NOT_YOURS_TO_RELEASE",
                "您已提交或编制该计划，须由他人放行。 / you submitted or planned this; another person must release it.",
            )
        _require(answer)

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = _send(method, f"{self._url}/api/v2/{path}", headers=self._headers, **options)
        _require(answer)
        body: dict[str, Any] = answer.json()
        return body


def _send(method: str, url: str, **options: Any) -> requests.Response:
    try:
        return requests.request(method, url, timeout=TIMEOUT, **options)
    except requests.RequestException as error:
        raise Unavailable("AIRFLOW_UNAVAILABLE", f"Airflow does not answer: {type(error).__name__}") from error


def _require(answer: requests.Response) -> None:
    if answer.status_code == 401:
        raise Refused("NOT_LOGGED_IN", "请先登录：issuance login 用户名。 / log in first: issuance login USER.")
    if answer.status_code == 403:
        raise Refused("NOT_ALLOWED", "无此权限。 / not allowed.")
    if answer.status_code >= 500:
        raise Unavailable("AIRFLOW_UNAVAILABLE", f"Airflow answered {answer.status_code}")
    if answer.status_code >= 400:
        raise Refused("AIRFLOW_REFUSED", f"Airflow refused: {answer.status_code} {answer.text[:200]}")
