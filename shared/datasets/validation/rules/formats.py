"""The formats of training data, and the rules about the sequence of roles in an example."""

from collections.abc import Iterator, Sequence
from typing import Any

CHAT, COMPLETION, PREFERENCE, REINFORCEMENT = "chat", "completion", "preference", "reinforcement"
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
MAX_ROLES_IN_SHAPE_NAME = 12


def examine_roles(format: str, roles: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """The code and the sentence of each problem in a sequence of roles."""
    if not roles or format in (COMPLETION, PREFERENCE):
        return
    if format == REINFORCEMENT:
        if roles[-1] != "user":
            yield "last_message_not_user", f"the last message is from {_sender(roles[-1])}, not from the user"
        return
    if "assistant" not in roles:
        yield "example_missing_assistant_message", "no message is from the assistant"
    elif roles[-1] != "assistant":
        yield "last_message_not_assistant", f"the last message is from {_sender(roles[-1])}, not from the assistant"
    if "system" not in roles and "developer" not in roles:
        yield "missing_system_message", "no message has the role system or developer"
    if "user" not in roles:
        yield "missing_user_message", "no message is from the user"


def many_messages(messages: int) -> str:
    return f"{messages:,} messages in one example"


def _sender(role: Any) -> str:
    return f"the {role}" if isinstance(role, str) and role in ROLES else "an unknown role"


def shape_name(roles: Sequence[str]) -> str:
    """A sequence of roles as a text that is short enough for a table."""
    return " ".join(roles) if len(roles) <= MAX_ROLES_IN_SHAPE_NAME else f"{len(roles):,} messages"
