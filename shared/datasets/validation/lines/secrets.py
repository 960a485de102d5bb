"""Finds secret keys in training data, in one fast pass over a block and then exactly in a single text."""

import re

from pydantic_core import SchemaValidator, core_schema

_KEYS = (
    r"(?:sk-[A-Za-z0-9_-]{20}|[sr]k_live_[A-Za-z0-9]{20}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|hf_[A-Za-z0-9]{30}"
    r"|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22}|glpat-[A-Za-z0-9_-]{20}|xox[abprs]-[A-Za-z0-9-]{10})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
)
SECRET = re.compile(rf"\b{_KEYS}")
# In a line a secret may follow an escape, whose last letter would make it the middle of a word.
_IN_A_LINE = rf"(?:\b|\\[bfnrt]|\\u[0-9A-Fa-f]{{4}}){_KEYS}"

# Whether a block of UTF-8 contains a secret, or an escape (\u00..) that may hide a letter of a key or a control
# character. pydantic's Rust expressions search for all alternatives at 4 GB/s, far faster than Python's `re`.
is_suspicious = SchemaValidator(
    core_schema.str_schema(pattern=rf"(?-u:{_IN_A_LINE}|\\u00[0567])", regex_engine="rust-regex")
).isinstance_python
# Whether JSON that escapes no letter may contain a secret.
may_have_secret = SchemaValidator(
    core_schema.str_schema(pattern=rf"(?-u:{_IN_A_LINE})", regex_engine="rust-regex")
).isinstance_python


def is_secret(found: str) -> bool:
    """Whether a match of `SECRET` is one: words joined by hyphens, as in `sk-learn-and-its-friends`, have no digit."""
    return found.startswith("-") or any(map(str.isdigit, found))
