"""Masks the secrets in what this process tells others of itself: lines of the log, errors."""

import re

# API keys, webhook secrets, bearer tokens, and `user:password` in a URL.
_SECRET = re.compile(r"(sk-[a-z-]*|whsec_|Bearer\s+)[\w+/=.-]{8,}|(?<=://)[^/\s@\"']*:[^/\s@\"']+(?=@)")


def masked(text: str) -> str:
    return _SECRET.sub(lambda match: (match[1] or "") + "…", text)
