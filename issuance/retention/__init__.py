"""Personal data is erased when its purpose ends: a cohort's on its day, a person's on request, with a certificate.

Writes alone: certificate, erased_card, erasure.
Writes with others: acceptance, card, changed_card, holder_event, outbox, row_outcome, told_event.
Called by: dags, desk, proof.
"""
