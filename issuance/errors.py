"""The exceptions of the product, one tree, split first by what a caller may do.

IssuanceError
├── Retryable      the same call may succeed later: a broker unavailable, a deadlock
│   └── Unavailable    a component of the stack does not answer (exit code 3)
└── Permanent      the same call fails again: somebody has to change something first
    ├── Refused        the input or the action is refused, with a code
    ├── Misconfigured  a setting, a policy or a registry entry is wrong or missing
    └── Broken         an invariant of our own code or store is violated

Bad input that is to be expected (a row, an item of a report) is returned as a value, never raised.
"""

from __future__ import annotations

from typing import Any


class IssuanceError(Exception):
    """Any error of the product: a code for programs, a message for people, details for both."""

    exit_code = 1

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the contract: error, message, details."""
        return {"error": self.code, "message": self.message, "details": self.details}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Retryable(IssuanceError):
    """The same call may succeed later."""


class Unavailable(Retryable):
    """A component does not answer."""

    exit_code = 3


class Permanent(IssuanceError):
    """The same call fails again."""


class Refused(Permanent):
    """The input or the action is refused."""


def unknown_cohort(cohort_id: str) -> Refused:
    """The error for an unknown cohort."""
    return Refused("COHORT_UNKNOWN", f"没有批次 {cohort_id}。 / there is no cohort {cohort_id}.")


class Misconfigured(Permanent):
    """A setting, a policy or a registry entry is wrong or missing."""

    exit_code = 2


class Broken(Permanent):
    """An invariant of our own code or store is violated."""
