"""Makes chat messages of a conversation in any trainer's notation."""

from typing import Any

from cli.datasets.conversion.fields import Fields
from cli.datasets.conversion.names import ANSWER, CONTENT_KEYS, QUESTION, ROLE_KEYS, ROLES, SYSTEM, is_message, plain
from cli.datasets.conversion.rows import RowProblem, is_empty, kind, structured
from cli.datasets.conversion.tool_turns import Calls, write_arguments_as_texts

Message = dict[str, Any]
KEPT = ("name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal")


def messages_of(value: Any, name: str, fields: Fields) -> list[Message]:
    """The messages of a list of turns, of a single turn, or of pairs of question and answer.

    `name` is the field's, for sentences and for what is lost. Raises `RowProblem`.
    """
    turns = structured(value)
    if isinstance(turns, dict):
        turns = [turns]
    if not isinstance(turns, list):
        raise RowProblem(f"`{name}` is {kind(value)}, not a list of messages")
    calls, messages = Calls(), list[Message]()
    for index, turn in enumerate(turns):
        path = f"{name}[{index}]"
        if is_message(turn):
            _add(messages, _message(turn, name, path, fields, calls))
        elif isinstance(turn, dict):
            messages += _pair_of_object(turn, name, path, fields)
        elif isinstance(turn, list):
            messages += pair_messages(turn, path)
        else:
            raise RowProblem(f"`{path}` is {kind(turn)}, which does not say who speaks. Write it with a role")
    return messages


def pair_messages(pair: list[Any], path: str) -> list[Message]:
    """The messages of `[question, answer]`; either may be null."""
    if len(pair) != 2 or not all(isinstance(text, str | None) for text in pair):
        raise RowProblem(f"`{path}` is a list, but not of a question and its answer")
    both = zip(("user", "assistant"), pair, strict=True)
    return [{"role": role, "content": text} for role, text in both if not is_empty(text)]


def _pair_of_object(turn: dict[str, Any], name: str, path: str, fields: Fields) -> list[Message]:
    """The messages of a turn such as `{"human": …, "assistant": …}`, which holds a question and its answer."""
    messages = []
    for role, names in (("system", SYSTEM), ("user", QUESTION), ("assistant", ANSWER)):
        found = [key for key in turn if plain(key) in names and not is_empty(turn[key])]
        if len(found) > 1 or (found and not isinstance(turn[found[0]], str)):
            raise RowProblem(f"`{path}` does not say in one text each what the user and the assistant say")
        messages += [{"role": role, "content": turn[key]} for key in found]
        turn = {key: value for key, value in turn.items() if key not in found}
    if not messages:
        keys = ", ".join(f"`{key[:40]}`" for key in list(turn)[:8]) or "none"
        raise RowProblem(f"`{path}` has no role and content; its names are: {keys}")
    _lose(turn, name, fields)
    return messages


def _add(messages: list[Message], message: Message) -> None:
    """Append a message. A call right after a call joins it: the chat API wants all calls before their results."""
    last = messages[-1] if messages else {}
    is_call = list(message) == ["role", "tool_calls"] and list(last) == ["role", "tool_calls"]
    if is_call and message["tool_calls"] and last["tool_calls"]:
        last["tool_calls"] = [*last["tool_calls"], *message["tool_calls"]]
    else:
        messages.append(message)


def _message(turn: dict[str, Any], name: str, path: str, fields: Fields, calls: Calls) -> Message:
    keys = {plain(key): key for key in turn}
    if len(keys) < len(turn):
        raise RowProblem(f"`{path}` has a name twice, in different case")
    role_key, content_key = (_only(turn, keys, names, path) for names in (ROLE_KEYS, CONTENT_KEYS))
    role = _role(turn, role_key, path, fields)
    said = turn[content_key] if content_key else None
    _lose(
        {key: turn[key] for key in turn if key not in (role_key, content_key) and plain(key) not in KEPT}, name, fields
    )
    if role == "call":
        return {"role": "assistant", "tool_calls": calls.call(said, path)}
    kept = {key: turn[keys[key]] for key in KEPT if key in keys and turn[keys[key]] is not None}
    message: Message = {"role": role}
    if content_key or not kept.keys() & {"tool_calls", "function_call", "refusal"}:
        message["content"] = _content(said, path)
    if role == "tool":
        if "tool_call_id" in kept:
            calls.answer(kept["tool_call_id"])
        else:
            kept["tool_call_id"] = calls.answered_id(path)
    if role == "assistant" and (kept.keys() & {"tool_calls", "function_call"}):
        write_arguments_as_texts(kept)
        calls.declared(kept.get("tool_calls"))
    return message | kept


def _only(turn: dict[str, Any], keys: dict[str, str], names: tuple[str, ...], path: str) -> str | None:
    """Which of the names the turn has; None for none, or the one that is empty."""
    given = [keys[name] for name in names if name in keys]
    found = [key for key in given if not is_empty(turn[key])] or given[:1]
    if len({repr(turn[key]) for key in found}) > 1:
        both = " and ".join(f"`{key}`" for key in found)
        raise RowProblem(f"{both} of `{path}` say different things. Remove one of them")
    return found[0] if found else None


def _role(turn: dict[str, Any], key: str | None, path: str, fields: Fields) -> str:
    said = turn[key] if key else None
    if isinstance(said, dict):
        said = said.get("role")
    if not isinstance(said, str):
        raise RowProblem(f"the role of `{path}` is {kind(said)}, not a text")
    role = plain(said)
    role = fields.options.roles.get(role, ROLES.get(role, ""))
    if not role:
        raise RowProblem(
            f"the role {said[:40]!r} of `{path}` is not known. Say what it is: --role {plain(said)[:40]}=user"
        )
    if role == "function" and not any(plain(other) == "name" for other in turn):
        return "tool"
    return role


def _content(said: Any, path: str) -> Any:
    """A text, or parts as the chat API has them. Parts that are nothing but texts without a type become types'."""
    if isinstance(said, dict) and "parts" in said:
        said = said["parts"]
    if not isinstance(said, list):
        if isinstance(said, str | None):
            return said
        raise RowProblem(f"`{path}` says {kind(said)}, not a text. Write it as a text")
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in said]
    parts = [{"type": "text", **part} if isinstance(part, dict) and list(part) == ["text"] else part for part in parts]
    if not all(isinstance(part, dict) and "type" in part for part in parts):
        raise RowProblem(f"`{path}` has a part that is neither a text nor an object with a `type`")
    is_one_text = len(parts) == 1 and isinstance(said[0], dict) and "type" not in said[0]
    return parts[0]["text"] if is_one_text else parts


def _lose(rest: dict[str, Any], name: str, fields: Fields) -> None:
    for key, value in rest.items():
        if not is_empty(value):
            fields.lose(f"{name}[].{key}")


def with_system(messages: list[Message], fields: Fields) -> list[Message]:
    """The messages, beginning with the row's own system message, or else with the one for every example."""
    key = fields.take_only(SYSTEM, "the system message")
    own = _system_text(fields.take(key), fields.names[key]) if key else None
    first = messages[0] if messages and messages[0]["role"] in ("system", "developer") else None
    if first and own is not None and first.get("content") != own:
        shown = fields.names[key or ""]
        raise RowProblem(f"`{shown}` and the first message are two system messages. Choose one, or --drop {shown}")
    if first:
        return messages
    text = fields.options.system if own is None else own
    return [{"role": "system", "content": text}, *messages] if text else messages


def _system_text(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        keys = {plain(key): key for key in value}
        value = next((value[keys[key]] for key in CONTENT_KEYS if key in keys), None)
    return _content(value, name)
