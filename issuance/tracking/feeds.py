"""How far each carrier's feed has come, and a break for one that is silent while letters of its are under way.

While a feed is silent, silence says nothing about a single letter: none is presumed lost, and none is a break.
"""

from __future__ import annotations

from datetime import date

from issuance.breaks.settle import difference, settle
from issuance.city.city import City
from issuance.ledger.connection import Connection

KIND = "FEED_SILENT"
FOUND = f"""
SELECT {
    difference(
        f"'{KIND}'",
        reference="n.carrier",
        expected="'news of letters under way'",
        actual="'none since ' || shanghai_day(n.last_news)",
        answers_for="n.carrier",
        waits_on="n.carrier",
    )
}
FROM carrier_feed n
WHERE shanghai_day(n.last_news) + %(feed_days)s < %(day)s AND EXISTS (
    SELECT FROM card c JOIN plastic_in_consignment a ON (a.card_ref, a.attempt) = (c.card_ref, c.effective)
    WHERE c.state = 'POSTED' AND carrier_of(a.consignment_id) = n.carrier)
"""


def note_feeds(connection: Connection) -> None:
    """Take the mail events of the table `staged` into the carriers' feeds; in key order."""
    connection.execute(
        "INSERT INTO carrier_feed AS n SELECT carrier_of(consignment_id), max(mark_at(mark)) FROM staged"
        " WHERE subject = 'mail' AND NOT corrects GROUP BY 1 ORDER BY 1 ON CONFLICT (carrier)"
        " DO UPDATE SET last_news = excluded.last_news WHERE n.last_news < excluded.last_news"
    )


def watch_feeds(connection: Connection, city: City, day: date) -> int:
    """A break for every silent feed; it closes when news comes. Returns how many changed."""
    return settle(connection, day, [KIND], FOUND, {"day": day, "feed_days": city.policy.feed_days})
