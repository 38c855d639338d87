"""The decisions as data: each a SELECT over the standing of cards that says who gets which decision and why.

Columns of every SELECT: card_ref, attempt, kind, occasion, reason, partner, due_on. A decision's identity is
(card_ref, kind, attempt, occasion); it is recorded once and no evidence undoes it.
"""

from __future__ import annotations

from issuance.wire.pauses import paused
from issuance.words.codes import HOLDER_EVENTS
from issuance.words.lifecycle import KEEPING, MILESTONES
from issuance.words.lifecycle import REQUESTS as ANSWERS


def clock_runs(kind: str, *partners: str) -> str:
    """SQL: whether a break of this kind about card c may open by time: not while one of these partners is paused, but
    what is open stays open."""
    return (
        f"(NOT {paused(*partners)} OR EXISTS (SELECT FROM break b WHERE b.card_ref = c.card_ref"
        f" AND b.kind = '{kind}' AND coalesce(b.closed_by, '') <> 'evidence'))"
    )


def answered(request: str) -> str:
    """SQL: whether a milestone has answered this request (decision d) about plastic p.

    A hand-over answers only when it is newer than the consignment that the request names.
    """
    named = f"b.consignment_id = substr(d.occasion, {len(request) + 2})"
    of_plastic = "(a.card_ref, a.attempt) = (d.card_ref, d.attempt)"
    begun = f"SELECT coalesce(b.handed_over, b.sent_back) FROM carriage b WHERE {of_plastic.replace('a.', 'b.')}"
    newer = f"a.{{0}} > coalesce(({begun} AND {named}), '')"
    ways = {
        "plastic": "p.{0} IS NOT NULL",
        "job": "EXISTS (SELECT FROM job j WHERE j.job_id = p.job_id AND j.{0} IS NOT NULL)",
        "carriage": f"EXISTS (SELECT FROM carriage a WHERE {of_plastic} AND {newer})",
    }
    milestones = [MILESTONES[name] for name in ANSWERS[request][0]]
    found = [ways[milestone.subject].format(milestone.column) for milestone in milestones]
    if request in KEEPING:
        found.append(
            "EXISTS (SELECT FROM decision k WHERE (k.card_ref, k.attempt) = (d.card_ref, d.attempt)"
            " AND k.kind = 'CANCEL_PLASTIC')"
        )
    return "(" + " OR ".join(found) + ")"


UNANSWERED = (
    "NOT CASE split_part(d.occasion, ':', 1) "
    + " ".join(f"WHEN '{request}' THEN {answered(request)}" for request in ANSWERS)
    + " ELSE true END"
)
"""Whether a request (decision d) about plastic p stands without an answer."""

LACKED = " OR ".join(f"e.event = '{e.name}' AND ({e.remakes})" for e in HOLDER_EVENTS.values() if e.remakes)
"""Whether a holder event (e) that the file of plastic s lacks is a reason to make another one."""

REMAKE = (
    """
-- another plastic, when the newest cannot become a card in somebody's hands, is another bank's, or lacks a change
SELECT s.card_ref, s.attempt, 'REMAKE', '', coalesce(nullif(CASE s.state
           WHEN 'SPOILED' THEN mark_reason(spoiled) WHEN 'REFUSED' THEN mark_reason(refused)
           WHEN 'REFUSED_BY_HOLDER' THEN mark_reason(refused_by_holder) END, ''), lack.event, s.state),
       NULL, NULL::date
FROM standing s JOIN card c USING (card_ref)
CROSS JOIN LATERAL (SELECT CASE WHEN s.attempt > 0 AND taken IS NULL AND s.bank <> bank_wanted THEN 'BANK_SWITCHED'
    WHEN s.ordered_on IS NOT NULL AND taken IS NULL THEN (
        SELECT e.event FROM holder_event e WHERE e.card_ref = s.card_ref AND e.followed_on IS NOT NULL
        AND NOT e.event_no = ANY (coalesce(s.carries, '{}')) AND ("""
    + LACKED
    + """)
        ORDER BY e.occurred_at DESC, e.event_no DESC LIMIT 1) END AS event) lack
WHERE s.newest AND s.effective AND c.withdrawn IS NULL
  AND (s.state IN ('SPOILED', 'REFUSED_BY_HOLDER', 'MAIL_LOST') OR lack.event IS NOT NULL
       OR s.state = 'REFUSED' AND mark_reason(refused) <> 'CANCELLED'
       OR s.state = 'DESTROYED' AND c_id IS NULL
       OR s.state = 'POSTED' AND shanghai_day(mark_at(c_last_news)) + %(lost_after_days)s <= %(day)s
          AND NOT """
    + paused("split_part(c_id, ':', 2)")
    + """)
  AND NOT EXISTS (SELECT FROM decision d WHERE d.card_ref = s.card_ref AND d.attempt = s.attempt
                  AND d.kind = 'CANCEL_PLASTIC' AND d.reason IN ('EXPIRED', 'UNDELIVERABLE', 'DEATH', 'WITHDRAWN'))
"""
)

RESEND = """
-- a returned letter goes out again, twice at the most; what was sent back to the store, on a second application
SELECT card_ref, attempt, 'RESEND', c_id,
       CASE state WHEN 'SENT_BACK' THEN 'SECOND_APPLICATION' ELSE mark_reason(c_returned) END, NULL, NULL::date
FROM standing
WHERE effective AND (state = 'RETURNED' AND c_trips < 3 AND mark_reason(c_returned) NOT IN ('REFUSED', 'DECEASED')
       OR state = 'SENT_BACK' AND EXISTS (SELECT FROM holder_event e WHERE e.card_ref = standing.card_ref
           AND e.event = 'SECOND_APPLICATION' AND e.occurred_at > mark_at(c_sent_back)))
  AND NOT EXISTS (SELECT FROM decision d WHERE d.card_ref = standing.card_ref AND d.attempt = standing.attempt
                  AND d.kind IN ('CANCEL_PLASTIC', 'REMAKE'))
"""

CANCEL_PLASTIC = (
    """
-- what may not live on: beside the effective plastic, lost, undeliverable, expired, or of a withdrawn application
SELECT s.card_ref, s.attempt, 'CANCEL_PLASTIC', '', CASE
           WHEN c.withdrawn IS NOT NULL THEN c.withdrawn
           WHEN s.state = 'REFUSED_BY_HOLDER' THEN 'REFUSED_BY_HOLDER'
           WHEN s.state = 'MAIL_LOST' THEN 'MAIL_LOST'
           WHEN s.state = 'MISSING' THEN 'MISSING'
           WHEN NOT s.effective THEN 'TWO_PLASTICS'
           WHEN s.state = 'RETURNED' THEN 'UNDELIVERABLE'
           ELSE 'EXPIRED' END, NULL, NULL::date
FROM standing s JOIN card c USING (card_ref)
WHERE s.state NOT IN ('DESTROYED', 'SPOILED', 'REFUSED')
  AND (c.withdrawn IS NOT NULL
       OR NOT s.effective AND (s.exists_now OR s.state <> 'PLANNED')
       OR s.state IN ('REFUSED_BY_HOLDER', 'MAIL_LOST', 'MISSING')
       OR s.state = 'RETURNED' AND (c_trips >= 3 OR mark_reason(c_returned) IN ('REFUSED', 'DECEASED'))
       OR s.state IN ('AT_PLACE', 'SENT_BACK')
          AND shanghai_day(mark_at(s.since_mark)) + %(keep_days)s <= %(day)s
          AND NOT """
    + paused("s.bank", "s.factory", "%(hrss)s")
    + """)
"""
)

REQUESTS = """
-- the enforced order: social security, then the account, then the plastic; the next is asked when one is reported
SELECT s.card_ref, s.attempt, 'REQUEST', step.request, d.reason, step.partner, %(day)s + 7
FROM standing s
JOIN decision d ON d.card_ref = s.card_ref AND d.attempt = s.attempt AND d.kind = 'CANCEL_PLASTIC'
CROSS JOIN LATERAL (SELECT
    CASE WHEN made IS NULL AND issued_instantly IS NULL THEN
              CASE WHEN ordered_on IS NOT NULL AND refused IS NULL AND spoiled IS NULL THEN 'CANCEL' END
         WHEN ss_cancelled IS NULL THEN 'CANCEL_SS'
         WHEN account_cancelled IS NULL THEN 'CANCEL_ACCOUNT'
         WHEN destroyed IS NULL AND taken IS NULL AND exists_now THEN 'DESTROY' END AS request) asked
CROSS JOIN LATERAL (SELECT request, CASE request
    WHEN 'CANCEL' THEN s.factory WHEN 'CANCEL_SS' THEN %(hrss)s WHEN 'CANCEL_ACCOUNT' THEN s.bank
    WHEN 'DESTROY' THEN CASE
        WHEN c_returned IS NOT NULL OR c_id IS NULL OR c_sent_back IS NOT NULL THEN coalesce(s.factory, s.bank)
        WHEN s.collection_method IN ('employer', 'service_point') THEN %(hrss)s ELSE s.bank END END AS partner) step
WHERE step.request IS NOT NULL
UNION ALL
SELECT s.card_ref, s.attempt, 'REQUEST', 'HAND_OUT:' || d.occasion, d.reason,
       coalesce(s.factory, s.bank), %(day)s + 7
FROM standing s JOIN decision d ON d.card_ref = s.card_ref AND d.attempt = s.attempt AND d.kind = 'RESEND'
WHERE s.state IN ('RETURNED', 'SENT_BACK') AND d.occasion = s.c_id
"""

NOTICES = (
    """
-- what the holder expects to hear; nothing after a death, nor of a plastic that is to be cancelled
SELECT k.card_ref, CASE said.template WHEN 'RECEIVED' THEN 0 ELSE coalesce(k.effective, 0) END, 'NOTICE',
       said.template || said.occasion, said.template, NULL, NULL::date
FROM card_standing k JOIN card c ON c.card_ref = k.card_ref
LEFT JOIN standing s ON s.card_ref = k.card_ref AND s.effective
LEFT JOIN decision ended ON (ended.card_ref, ended.attempt, ended.kind) = (s.card_ref, s.attempt, 'CANCEL_PLASTIC')
CROSS JOIN LATERAL (
    SELECT 'RECEIVED' AS template, '' AS occasion WHERE k.state IN ('WAITING', 'PLANNED', 'ORDERED')
        AND coalesce(k.effective, 1) = 1
    UNION ALL SELECT 'READY', ':' || s.c_id WHERE k.state = 'AT_PLACE'
    UNION ALL SELECT 'POSTED', ':' || s.c_id WHERE k.state = 'POSTED'
    UNION ALL SELECT 'PICKUP', ':' || s.c_id WHERE k.state = 'POSTED' AND s.c_last_news = s.c_at_pickup_point
    UNION ALL SELECT 'RETURNED', ':' || s.c_id WHERE k.state = 'RETURNED'
    UNION ALL SELECT CASE WHEN m.reason IN ('NAME_WRONG', 'PHOTO_WRONG', 'NUMBER_WRONG', 'PHOTO_UNUSABLE',
            'CHARACTER_NOT_PRINTABLE') THEN 'CORRECTION' ELSE 'REMADE' END, ''
        FROM decision m WHERE k.state = 'PLANNED' AND m.card_ref = k.card_ref AND m.kind = 'REMAKE'
        AND m.attempt = k.effective - 1
    UNION ALL SELECT 'REMINDER', ':' || s.c_id || ':' || days FROM unnest(%(reminder_days)s::int[]) days
        WHERE k.state = 'AT_PLACE' AND shanghai_day(mark_at(k.since_mark)) + days = (
            SELECT max(shanghai_day(mark_at(k.since_mark)) + d) FROM unnest(%(reminder_days)s::int[]) d
            WHERE shanghai_day(mark_at(k.since_mark)) + d <= %(day)s)
    UNION ALL SELECT 'ACTIVATE', '' WHERE k.state = 'COLLECTED'
    UNION ALL SELECT 'OLD_CARD_STOPS', '' WHERE k.state = 'ACTIVE' AND c.kind <> 'first'
    UNION ALL SELECT 'CANCELLED', '' WHERE k.state IN ('CANCELLED', 'DESTROYED')
    UNION ALL SELECT 'PENSION_AT_RISK', ':' || k.pension_risk
        WHERE k.pension_risk IS NOT NULL AND k.state IN ('COLLECTED', 'NOT_ACTIVATED', 'ACTIVE', 'SUSPENDED')
        AND (k.pension_risk <> 'FINANCE_INACTIVE' OR NOT """
    + paused("s.bank")
    + """)
) said
WHERE c.withdrawn IS DISTINCT FROM 'DEATH' AND (said.template = 'CANCELLED') = (ended.card_ref IS NOT NULL)
"""
)

PLASTIC_RULES = (("REMAKE", REMAKE), ("RESEND", RESEND), ("CANCEL_PLASTIC", CANCEL_PLASTIC), ("REQUEST", REQUESTS))
"""In order: a later rule may read what an earlier one decided."""

LACKING = {
    # milestone: over a plastic (standing s), whether a later one came without it
    "ITEM_ACCEPTED": "s.attempt > 0 AND s.accepted IS NULL AND s.refused IS NULL AND s.made IS NOT NULL",
    "MADE": "s.attempt > 0 AND s.made IS NULL AND coalesce(s.c_handed_over, s.ss_keyed, s.bank_keyed, s.taken)"
    " IS NOT NULL",
    "BANK_KEYED": "s.attempt > 0 AND s.c_handed_over IS NOT NULL AND s.bank_keyed IS NULL",
    "SS_KEYED": "s.attempt > 0 AND s.c_handed_over IS NOT NULL AND s.ss_keyed IS NULL",
    "RECEIVED_AT_PLACE": "s.attempt > 0 AND s.taken IS NOT NULL"
    " AND coalesce(s.c_received, s.c_posted, s.issued_instantly) IS NULL",
    "SS_CANCELLED": "s.attempt > 0 AND s.account_cancelled IS NOT NULL AND s.ss_cancelled IS NULL",
    "SS_ACTIVATED": "s.old_card_lapsed IS NOT NULL AND s.ss_activated IS NULL",
}
LACKED_MILESTONES = (
    "concat_ws(', ', " + ", ".join(f"CASE WHEN {when} THEN '{name}' END" for name, when in LACKING.items()) + ")"
)

ENDINGS = {"destroyed": "DESTROYED", "loss_reported": "LOSS_REPORTED", "ss_cancelled": "SS_CANCELLED"}
DEAD_BEFORE = (
    "concat_ws(', ', "
    + ", ".join(f"CASE WHEN s.ss_activated > s.{column} THEN '{name}' END" for column, name in ENDINGS.items())
    + ")"
)
"""After which milestones a plastic (standing s) was activated that must not be."""

SERIALS = (
    "(SELECT count(DISTINCT mark_content(f.mark) ->> 'serial') FROM fact f WHERE (f.card_ref, f.attempt) ="
    " (s.card_ref, s.attempt) AND f.milestone = 'MADE' AND NOT f.corrects AND NOT EXISTS (SELECT FROM fact k"
    " WHERE (k.card_ref, k.attempt) = (f.card_ref, f.attempt) AND k.milestone = 'MADE' AND k.corrects"
    " AND left(k.mark, 13) = left(f.mark, 13)))"
)
"""How many serials the standing reports of MADE name for a plastic (standing s)."""

BEYOND_ORDER = (
    "CASE WHEN s.conflict AND " + SERIALS + " > 1 THEN 'made twice, under ' || " + SERIALS + " || ' serials'"
    " WHEN s.made IS NULL OR s.destroyed IS NOT NULL OR s.attempt = 0 THEN NULL"
    " WHEN mark_reason(s.refused) = 'CANCELLED' THEN 'made after it was cancelled in time'"
    " WHEN s.refused IS NOT NULL THEN 'made after it was refused'"
    " WHEN s.ordered_on IS NULL THEN 'made before it was ordered' END"
)
"""What a factory made beyond its order of a plastic (standing s); NULL: nothing."""

BREAKS: tuple[tuple[str, str, str, str], ...] = (
    # (kind, condition over standing s and card_standing k, expected, actual); the texts say what differs and nothing
    # that moves on by itself, since another difference opens an explained break again
    ("CONFLICT", "s.any_conflict", "'one value'", "'two values'"),
    (
        "TWO_PLASTICS",
        "NOT s.effective AND s.exists_now",
        "'destroyed'",
        "'plastic ' || s.attempt || ' exists, ' || k.effective || ' is effective'",
    ),
    ("OUT_OF_ORDER", LACKED_MILESTONES + " <> ''", "'every milestone before it'", "'without ' || " + LACKED_MILESTONES),
    ("ACTIVATED_NOT_COLLECTED", "ss_activated IS NOT NULL AND taken IS NULL", "'collected'", "'activated only'"),
    (
        "FINANCE_ALONE",
        "finance_activated IS NOT NULL AND ss_activated IS NULL",
        "'SS_ACTIVATED'",
        "'FINANCE_ACTIVATED'",
    ),
    ("ACTIVATED_DEAD", DEAD_BEFORE + " <> ''", "'no activation'", "'activated after ' || " + DEAD_BEFORE),
    (
        "OLD_CARD_USED",
        "old_card_used > ss_activated",
        "'old card lapsed'",
        "'used on ' || shanghai_day(mark_at(old_card_used))",
    ),
    ("MADE_BEYOND_ORDER", BEYOND_ORDER + " IS NOT NULL", "'one plastic an order'", BEYOND_ORDER),
    (
        "AGAINST_DECISION",
        "taken IS NOT NULL AND EXISTS (SELECT FROM decision d WHERE d.card_ref = s.card_ref AND d.attempt = s.attempt"
        " AND d.kind = 'CANCEL_PLASTIC' AND d.reason IN ('EXPIRED', 'UNDELIVERABLE', 'MAIL_LOST', 'MISSING'))",
        "'cancelled'",
        "'collected'",
    ),
)

CARD_BREAKS: tuple[tuple[str, str, str, str], ...] = (
    # the same over card_standing k, card c and the effective plastic s
    (
        "OVERDUE",
        "c.due_on < %(day)s AND k.state IN ('WAITING', 'PLANNED', 'ORDERED', 'ACCEPTED', 'MADE', 'KEYED', 'SPOILED',"
        " 'REFUSED') AND " + clock_runs("OVERDUE", "c.bank", "c.factory", "%(hrss)s"),
        "c.due_on::text",
        "'not handed over'",
    ),
    (
        "SECOND_CARD",
        "EXISTS (SELECT FROM holder_event e JOIN acceptance a ON a.person = e.person AND a.card_ref <> c.card_ref"
        " WHERE e.card_ref = c.card_ref AND e.person = c.person AND a.replaces IS DISTINCT FROM c.card_ref)",
        "'one card a person'",
        "(SELECT a.card_ref::text FROM acceptance a WHERE a.person = c.person)",
    ),
    (
        "COLLECTED_NOT_ACTIVATED",
        "k.state = 'NOT_ACTIVATED' AND c.withdrawn IS NULL AND " + clock_runs("COLLECTED_NOT_ACTIVATED", "%(hrss)s"),
        "'SS_ACTIVATED'",
        "'collected only'",
    ),
    (
        "PENSION_AT_RISK",
        "k.pension_risk = 'BANK_SWITCHED' OR k.pension_risk IS NOT NULL AND " + clock_runs("PENSION_AT_RISK", "c.bank"),
        "'FINANCE_ACTIVATED'",
        "k.pension_risk",
    ),
)
