"""Preparation before Great Expectations is imported; call it first, inside the function that imports it."""

from __future__ import annotations

import importlib.util
import os
import sys

PACKAGE, MODULE = "scipy", "stats"
"""Imported by Great Expectations for expectations that we do not use; a third of the seconds of its import."""


def prepare_great_expectations() -> None:
    """Switch its analytics off and let `scipy.stats` be loaded when somebody first uses it, which here nobody does."""
    name = f"{PACKAGE}.{MODULE}"
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read at import; nothing about a cohort leaves this machine
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    setattr(sys.modules[PACKAGE], MODULE, module)  # else `from scipy import stats` would look into it
    spec.loader.exec_module(module)
