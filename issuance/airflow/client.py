"""Airflow's public API, as far as the desk, the DAGs and the demo need it: users, runs, answers to approvals."""

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

    def me(self) -> tuple[str, str]:
        """(id, name) of this user, as Airflow knows it whatever spelling was used to log in."""
        answer = _send("GET", f"{self._url}/ui/auth/me", headers=self._headers)
        if answer.status_code == 403:  # a user whom Airflow does not know any more, or who was disabled
            raise not_logged_in()
        _require(answer)
        return str(answer.json()["id"]), str(answer.json()["username"])

    def variable(self, name: str) -> str | None:
        """The value of a variable; None if there is none."""
        answer = _send("GET", f"{self._url}/api/v2/variables/{name}", headers=self._headers)
        if answer.status_code == 404:
            return None
        _require(answer)
        return str(answer.json()["value"])

    def set_variable(self, name: str, value: str) -> None:
        """Make a variable; one that exists is left as it is."""
        answer = _send(
            "POST", f"{self._url}/api/v2/variables", headers=self._headers, json={"key": name, "value": value}
        )
        if answer.status_code != 409:
            _require(answer)

    def start_run(self, dag_id: str, conf: dict[str, Any], run_id: str | None = None) -> str:
        """Start a run by hand; returns its id. A run of this id that exists already is left alone."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        answer = _send("POST", f"{self._url}/api/v2/dags/{dag_id}/dagRuns", headers=self._headers, json=body)
        if answer.status_code == 409 and run_id:
            return run_id
        _require(answer)
        return str(answer.json()["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        """The state of a run, None while there is no such run."""
        answer = _send("GET", f"{self._url}/api/v2/dags/{dag_id}/dagRuns/{run_id}", headers=self._headers)
        if answer.status_code == 404:
            return None
        _require(answer)
        return str(answer.json()["state"])

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Delete a run; one that is not there is fine."""
        answer = _send("DELETE", f"{self._url}/api/v2/dags/{dag_id}/dagRuns/{run_id}", headers=self._headers)
        if answer.status_code != 404:
            _require(answer)

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

    def clear_all(self, dag_id: str, run_id: str) -> None:
        """Run all tasks of a run again."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
        self._call("POST", f"dags/{dag_id}/clearTaskInstances", json=body)

    def failed_tasks(self, dag_id: str, run_id: str) -> list[str]:
        """The tasks of a run that failed."""
        tasks = self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=1000)["task_instances"]
        return [task["task_id"] for task in tasks if task["state"] in ("failed", "upstream_failed")]

    def pending_approvals(self, dag_id: str, run_id: str = "~") -> list[tuple[str, str]]:
        """(run, task) of the approvals that nobody has answered: of one run, by default of the newest 100 of any."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/hitlDetails"
        details = self.get(path, response_received=False, limit=100)["hitl_details"]
        return [(one["task_instance"]["dag_run_id"], one["task_instance"]["task_id"]) for one in details]

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> bool:
        """Answer an approval as this user; False if it was answered meanwhile.

        Raises:
            Refused: this user may not answer it.
        """
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        body = {"chosen_options": [option], "params_input": {}}
        answer = _send("PATCH", f"{self._url}/api/v2/{path}", json=body, headers=self._headers)
        if answer.status_code == 409:
            return False
        _require(answer)
        return True

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


def not_logged_in() -> Refused:
    """The error for a token that is not valid, or not any more."""
    return Refused("NOT_LOGGED_IN", "请先登录：issuance login 用户名。 / log in first: issuance login USER.")


def _require(answer: requests.Response) -> None:
    if answer.status_code == 401:
        raise not_logged_in()
    if answer.status_code == 403:
        raise Refused("NOT_ALLOWED", "无此权限。 / not allowed.")
    if answer.status_code >= 500:
        raise Unavailable("AIRFLOW_UNAVAILABLE", f"Airflow answered {answer.status_code}")
    if answer.status_code >= 400:
        raise Refused("AIRFLOW_REFUSED", f"Airflow refused: {answer.status_code} {answer.text[:200]}")
