"""What the stack costs while nobody asks anything of it: each program's share of a core, with its children.

`python -m bench.rest [--settle SECONDS] [--seconds SECONDS]`, the stack up (with Airflow, if that is what is asked).
Children that ended meanwhile count: their parent's times hold them once it has waited for them.
"""

from __future__ import annotations

import argparse
import time

import psutil

from issuance.stack import run


def programs() -> dict[str, int]:
    """The process id of each program of the stack that runs here."""
    return {row["name"]: row["pid"] for row in run.status() if row["pid"]}


def cpu_seconds(pid: int) -> float:
    """CPU seconds so far of a process, of its living descendants, and of those that they have waited for.

    Raises:
        psutil.NoSuchProcess: the process itself has ended.
    """
    root = psutil.Process(pid)
    spent = float(sum(root.cpu_times()[:4]))
    for child in root.children(recursive=True):
        try:
            spent += float(sum(child.cpu_times()[:4]))
        except psutil.NoSuchProcess:  # it has ended since it was listed: its parent's times hold it
            continue
    return spent


def shares(pids: dict[str, int], seconds: float) -> dict[str, float]:
    """The share of a core that each program takes over so many seconds from now."""
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    began = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return {name: (cpu_seconds(pid) - before[name]) / passed for name, pid in pids.items()}


def main() -> None:
    """Print each program's share of a core, the largest first, and that of all together."""
    given = argparse.ArgumentParser(description=main.__doc__)
    given.add_argument(
        "--settle", type=float, default=90.0, help="seconds to wait first: what has just started is busy"
    )
    given.add_argument("--seconds", type=float, default=120.0, help="how long to measure")
    options = given.parse_args()
    pids = programs()
    if not pids:
        raise SystemExit("the stack is not running; start it with `issuance stack up`")
    time.sleep(options.settle)
    found = shares(pids, options.seconds)
    print(f"at rest over {options.seconds:g} s, share of one core:")
    for name, share in sorted(found.items(), key=lambda entry: -entry[1]):
        print(f"{name:<24}{100 * share:7.1f} %")
    print(f"{'all':<24}{100 * sum(found.values()):7.1f} %")


if __name__ == "__main__":
    main()
