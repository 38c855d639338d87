"""The bare scripts are frozen, and know nothing of the product that they are compared with."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BARE = Path(__file__).parents[2] / "bench" / "bare"
SCRIPTS = sorted(BARE.glob("*.py"))
LIBRARIES = {"boto3", "botocore", "confluent_kafka", "cryptography", "fastavro", "joserfc", "kafka", "psycopg"}
FROZEN = {
    "__init__.py": "4d04dd8a75b97844da07c947acf1df022748e01def307cfb4a0435a49e58a58d",
    "__main__.py": "0b72912358bbebed1a1d9e243ed31cd2b4d1ea765ce53d6b8091fd73d7357c04",
    "access.py": "5ae14ad6e9ff7c82a8802ebb78b35360fcaebf762722cc51908c588f105ac026",
    "avro.py": "3f3474fc891ba45ed339136b67671949f491a8edaaa6b524375e438dc156f600",
    "block.avsc": "7c6f9ec566c205d6be412c57f6ef64a413272052b7ca23180dd6795ea1df21a7",
    "database.py": "3dc7c6c9c0159d971ee23ab90ba50db48193b5a6eed78b9196736e4ce1f50a09",
    "dispatch.py": "52a23b4d12569c7eb1cdd35464abcfa183cc19537051feae2cc5a3dffaf88d01",
    "envelopes.py": "6d04619016c7d1f9f9347c89b016bd5ae9e7a799fd7e13320259c0bef88e3b52",
    "intake.py": "5fe54e4fa081ec4eefb166406cd4e12437f26531d84b2bfb8469404940802436",
    "keys.py": "38bf8635c5477f789e19a42ba7e1f2fb78f8a12e142295a4c3dd5ccf54f26f68",
    "person.avsc": "2bec2f8fb96a9c8450e2b003da53fe7f2261ffa0dfc083ec97886b4dd4b98bf4",
    "personalization_record.avsc": "666311d163403c80e579b14fae264d1042092210e5af9e6ccc034b80db14afe8",
    "stages.py": "32a4bf6d053693aa4e84ca14124ca49cbb844b7b6a432acce252d4f9db43ca43",
    "store.py": "1268cadc43aa305158d986c7e2a985a632503807fd65121a94bd16a6f2fdda1f",
    "tables.sql": "a11e67f1b9b0aaa08c2915f483a18705cd8c9208d328f4911a45c628565cf1ac",
    "card_report.avsc": "081b9515f4f78546b010bbd02f005a58c7c4de1116830e5e22a6f126d6bcac54",
    "tracking.py": "d627a8dfd1a9995eeafeddf1c9e99e49a07317999d46aa637e67d9234d398a9d",
    "tracking.sql": "e69c4417a8758afdca56045081a774c1204582aad631108015bc68a8121e8e1b",
}
"""The SHA-256 of each file. With another one every ratio means something else: tell in docs/measurements.md."""


def imported(script: Path) -> Iterator[str]:
    """The modules that a script imports, wherever in it."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{script.name}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_bare_script_imports_itself_and_libraries_only(script: Path) -> None:
    own = {name for name in imported(script) if name.startswith("bench.bare.")}
    roots = {name.split(".")[0] for name in set(imported(script)) - own}
    assert roots <= LIBRARIES | sys.stdlib_module_names - {"importlib", "runpy"}


def test_every_file_is_what_was_frozen() -> None:
    files = (file for file in BARE.iterdir() if file.is_file())
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files} == FROZEN
