"""The inbound consumers: which stage reads which topics. `issuance consume STAGE` runs one of them as a process."""

from __future__ import annotations

from issuance.intake import register
from issuance.reconcile import statements
from issuance.tracking import holder_events, stages
from issuance.wire.consumer import Stage

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        register.STAGE,
        stages.PRODUCTION,
        stages.MAIL,
        stages.COLLECTION,
        stages.ACTIVATION,
        statements.STAGE,
        holder_events.STAGE,
    )
}
