"""The simulators: they play factories, banks, HRSS, carriers, platform and notifier, each by its own credential.

They know the public contract and nothing of the ledger. What passes between partners by hand in life — plastics,
letters, "the holder was here" — passes over `street`, which `issuance/` knows nothing of. The logic (`company` and the
actors) is pure: a day, messages and parcels in, messages, parcels and truth out; Kafka, S3 and SQLite are at the edge.

What is given on day D is there on D+1, and what is asked of a partner on day D is done on D+1 or later. So all that a
partner does on a day is fixed before the day begins, and neither batches nor polling order change it.
"""
