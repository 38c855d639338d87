"""The conformance kit: plays our side against a partner's real client on a running stack, case by case.

It judges the client only by what it does: messages on its topics, facts in the ledger. What in reality reaches a
partner by hand (a bundle of plastics, a letter, a holder at the counter) is put as a slip into the partner's box
(`box`); what other partners would report, the kit reports with their own credentials (`roles`).

Writes with others: card, changed_card, cohort, job, partner_key, wave.
Makes for one transaction: planned.
Called by: desk, docpages.
"""
