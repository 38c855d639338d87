"""Where a cohort's personal data lies on S3: every object that belongs to it, by kind."""

from __future__ import annotations

import re
from collections.abc import Iterator

from issuance.city.partners import Registry
from issuance.ledger.connection import Connection
from issuance.vault.objects import ObjectStore
from issuance.words.codes import TEMPLATES

KINDS = {
    # kind: Chinese, English
    "part": ("收件分片", "inbox parts, as submitted"),
    "validated": ("校验后的分片", "validated parts"),
    "manifest": ("收件清单", "manifests"),
    "photo": ("照片", "photos"),
    "block": ("个人信息密封块", "blocks of persons"),
    "overlay": ("变更值", "changed values"),
    "data_docs": ("校验结果页面", "pages of Data Docs"),
    "job_file": ("制卡文件", "job files"),
    "job_photo": ("制卡照片", "photos beside job files"),
    "pack_list": ("单位领卡清单", "pack lists"),
    "contact_file": ("通知联系文件", "contact files"),
}
FOLDERS = {
    # folder of a cohort: the kind of each object in it, by the start of its name there
    "inbox": {"validated/": "validated", "": "part"},
    "photos": {"": "photo"},
    "vault": {"overlay-": "overlay", "": "block"},
    "data-docs": {"": "data_docs"},
}


def cohort_objects(
    connection: Connection, store: ObjectStore, registry: Registry, cohort_id: str
) -> Iterator[tuple[str, str]]:
    """(kind, object key) of a cohort's objects on S3."""
    for folder, kinds in FOLDERS.items():
        prefix = f"{folder}/{cohort_id}/"
        for key in store.list(prefix):
            name = key.removeprefix(prefix)
            kind = next(kind for start, kind in kinds.items() if name.startswith(start))
            yield ("manifest" if name.endswith("/manifest.json") else kind), key
    jobs = connection.execute(
        "SELECT factory, job_id FROM job JOIN cohort USING (cohort_no) WHERE cohort_id = %s ORDER BY job_id",
        (cohort_id,),
    ).fetchall()
    for factory, job_id in jobs:
        yield from job_objects(store, factory, job_id)
    for notifier in registry.of_kind("notifier"):
        yield from _contact_files(store, notifier.id, cohort_id)


def job_objects(store: ObjectStore, factory: str, job_id: str) -> Iterator[tuple[str, str]]:
    """(kind, object key) of a job's file and the objects beside it."""
    prefix = f"factories/{factory}/jobs/{job_id}."
    kinds = {"jwe": "job_file", "packs.jwe": "pack_list"}
    for key in store.list(prefix):
        name = key.removeprefix(prefix)
        kind = "job_photo" if name.startswith("photos/") else kinds.get(name)
        if kind:  # otherwise of a job whose longer id has the same prefix
            yield kind, key


def _contact_files(store: ObjectStore, notifier: str, cohort_id: str) -> Iterator[tuple[str, str]]:
    prefix = f"notices/{notifier}/{cohort_id}."
    templates = "|".join(TEMPLATES)
    batch = re.compile(rf"({templates})\.\d{{4}}-\d\d-\d\d\.\d+\.jwe")
    for key in store.list(prefix):
        if batch.fullmatch(key.removeprefix(prefix)):
            yield "contact_file", key
