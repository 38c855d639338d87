"""`python -m bench.bare SCRIPT`: what it is told comes in as JSON, seconds by stage go out as JSON.

A process of its own, in which nothing of the product is loaded, whatever the caller has loaded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench.bare import dispatch, intake
from bench.bare.access import Access
from bench.bare.stages import Stages

SCRIPTS: dict[str, Callable[..., Stages]] = {"intake": intake.run, "dispatch": dispatch.run}


def main() -> None:
    """Run one script: `access` has the fields of Access, the rest is the script's own."""
    told = json.load(sys.stdin)
    access = told.pop("access")
    access["keys"] = Path(access["keys"])
    stages = SCRIPTS[sys.argv[1]](Access(**access), **told)
    json.dump(stages.seconds, sys.stdout)


if __name__ == "__main__":
    main()
