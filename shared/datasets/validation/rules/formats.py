"""The formats of training data, and what the sequence of roles in an example alone says about it."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

CHAT, COMPLETION, PREFERENCE, REINFORCEMENT = "chat", "completion", "preference", "reinforcement"
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
MAX_NAMED = 12
MAX_SHAPES = 200


class Turn(msgspec.Struct, frozen=True, gc=False):
    """A message as it is counted: its text, whether it is trained on, and what beside the text costs tokens."""

    role: str
    content: str
    trained: bool = False
    name: str | None = None
    calls: str = ""
    images_low: int = 0
    images_high: int = 0


def of_roles(format: str, roles: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """The codes that a sequence of roles earns, with a sentence each."""
    if not roles or format in (COMPLETION, PREFERENCE):
        return
    if format == REINFORCEMENT:
        if roles[-1] != "user":
            yield "last_message_not_user", f"the last message is from {_who(roles[-1])}, not from the user"
        return
    if "assistant" not in roles:
        yield "example_missing_assistant_message", "no message is from the assistant"
    elif roles[-1] != "assistant":
        yield "last_message_not_assistant", f"the last message is from {_who(roles[-1])}"
    if "system" not in roles and "developer" not in roles:
        yield "missing_system_message", "no message is from the system"
    if "user" not in roles:
        yield "missing_user_message", "no message is from the user"


def _who(role: Any) -> str:
    return f"the {role}" if isinstance(role, str) and role in ROLES else "an unknown role"


def name_of(roles: Sequence[str]) -> str:
    """A sequence of roles as a text, short enough for a table."""
    return " ".join(roles) if len(roles) <= MAX_NAMED else f"{len(roles):,} messages"
