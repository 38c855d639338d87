"""Publishing a submission's Data Docs, and the link to them on the run."""

from __future__ import annotations

from airflow.sdk import BaseOperator, BaseOperatorLink, Context

from dags.wiring import by_error_tree


class DataDocsLink(BaseOperatorLink):
    """校验结果 / Data Docs: valid for a week; `issuance cohort show` gives a new one."""

    name = "校验结果 / Data Docs"

    def get_link(self, operator: BaseOperator, *, ti_key: object) -> str:
        """The first page of the submission that the run is about; run id = cohort.submission."""
        from issuance.intake.data_docs import docs_link
        from issuance.settings import load_settings

        cohort_id, _, submission = str(getattr(ti_key, "run_id", "")).rpartition(".")
        return docs_link(load_settings(), cohort_id, int(submission)) if submission.isdecimal() else ""


class PublishDataDocs(BaseOperator):
    """Renders the counts of a decided submission; no value of a row is in them."""

    operator_extra_links = (DataDocsLink(),)

    @by_error_tree
    def execute(self, context: Context) -> str:
        """Publish; returns the object key of the first page."""
        from issuance.intake.data_docs import publish_data_docs
        from issuance.intake.session import open_intake
        from issuance.settings import load_settings

        params = context["params"]
        return publish_data_docs(open_intake(load_settings(), params["cohort_id"], int(params["submission"])))
