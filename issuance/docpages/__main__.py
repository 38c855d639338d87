"""`python -m issuance.docpages`: write every generated page; with `--check` name those that are out of date."""

from __future__ import annotations

import sys

from issuance.docpages import asyncapi, conformance, desk, intake, lifecycle, partners, policies

MODULES = (lifecycle, intake, policies, partners, conformance, asyncapi, desk)


def main(check: bool) -> int:
    """The number of pages that were out of date; unless only checked, they are written."""
    outdated = 0
    for module in MODULES:
        for path, text in module.pages().items():
            if path.read_text(encoding="utf-8") == text:
                continue
            outdated += 1
            print(f"{path.name}: {'out of date, run make docs' if check else 'written'}")
            if not check:
                path.write_text(text, encoding="utf-8")
    return outdated


if __name__ == "__main__":
    only_check = "--check" in sys.argv[1:]
    found = main(only_check)
    sys.exit(1 if only_check and found else 0)
