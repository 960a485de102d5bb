"""Prefixed ids that sort in the order in which they were made, so that an id is also a page cursor."""

import secrets
import threading
import time
from datetime import UTC, datetime, timedelta

# An id is made before its row is committed, so a row with an older id may appear later than one with a newer id, by no
# more than this: longer than any transaction whose rows are read in order by somebody who must not miss one.
COMMIT_WINDOW = timedelta(seconds=10)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letters that look alike
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_lock = threading.Lock()
_last = 0


def new_id(prefix: str) -> str:
    """`new_id("ftjob-")` → `ftjob-01m8…`: 48 bits of Unix milliseconds, 80 random bits; increasing in one process."""
    global _last
    with _lock:
        _last = number = max(_last + 1, time.time_ns() // 1_000_000 << 80 | secrets.randbits(80))
    return prefix + _encode(number)


def first_id(prefix: str, made_at: datetime) -> str:
    """Return the smallest id that can have been made at this time."""
    return prefix + _encode(int(made_at.timestamp() * 1000) << 80)


def made_at(id: str) -> datetime:
    """Return when an id was made, to the millisecond, by the clock of the process that made it."""
    number = 0
    for letter in id[-26:]:
        number = number << 5 | _ALPHABET.index(letter)
    return datetime.fromtimestamp((number >> 80) / 1000, UTC)


def _encode(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
