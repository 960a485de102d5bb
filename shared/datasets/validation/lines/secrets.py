"""Finds secret keys in training data, in one fast pass over a block and then exactly in a single text."""

import re
from collections.abc import Callable

from pydantic_core import SchemaValidator, core_schema

# How each key begins, and how it goes on.
_KEYS = (
    ("s", "k-[A-Za-z0-9_-]{20}"),
    ("s", "k_live_[A-Za-z0-9]{20}"),
    ("r", "k_live_[A-Za-z0-9]{20}"),
    ("A", "KIA[0-9A-Z]{16}"),
    ("A", "Iza[0-9A-Za-z_-]{35}"),
    ("h", "f_[A-Za-z0-9]{30}"),
    ("g", "h[pousr]_[A-Za-z0-9]{36}"),
    ("g", "ithub_pat_[A-Za-z0-9_]{22}"),
    ("g", "lpat-[A-Za-z0-9_-]{20}"),
    ("x", "ox[abprs]-[A-Za-z0-9-]{10}"),
)
MIN_KEY = 15  # characters of the shortest key, `xoxb-` with ten more
_PRIVATE_KEY = "-----BEGIN [A-Z ]*PRIVATE KEY"
# A key is no part of a word. As each alternative begins with a letter, `re` looks only where one of these letters is.
SECRET = re.compile("|".join([*(rf"{first}(?<!\w\w){rest}" for first, rest in _KEYS), _PRIVATE_KEY]))
# In a line a secret may follow an escape, whose last letter would make it the middle of a word.
_ANY_KEY = "|".join(first + rest for first, rest in _KEYS)
_IN_A_LINE = rf"(?:\b|\\[bfnrt]|\\u[0-9A-Fa-f]{{4}})(?:{_ANY_KEY})|{_PRIVATE_KEY}"


def _rust(pattern: str) -> Callable[[bytes], bool]:
    """Whether UTF-8 contains the pattern. pydantic's Rust expressions search far faster than Python's `re`."""
    return SchemaValidator(
        core_schema.str_schema(pattern=f"(?-u:{pattern})", regex_engine="rust-regex")
    ).isinstance_python


# Whether a block of UTF-8 may be suspicious, or may have half a surrogate pair. Without a look at what is before the
# key, the search is for its first letters only, at 5 GB/s.
may_be_odd = _rust(rf"{_ANY_KEY}|{_PRIVATE_KEY}|\\u(?:00[0-7]|[dD])")
_is_suspicious = _rust(rf"{_IN_A_LINE}|\\u00[0-7]")


def is_suspicious(block: bytes) -> bool:
    """Whether a block of UTF-8 contains a secret, or an escape of ASCII that may hide a character of a key or a control
    character."""
    return may_be_odd(block) and _is_suspicious(block)


# Whether JSON that escapes no letter may contain a secret.
may_have_secret = _rust(_IN_A_LINE)


# Whether what `SECRET` found is one: words joined by hyphens, as in `sk-learn-and-its-friends`, have no digit.
is_secret = re.compile(r"-----|.*[0-9]").match
