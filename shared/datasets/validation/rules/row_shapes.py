"""Names the rows of other trainers, exports and services, which are JSON but no examples."""

from typing import Any

from shared.datasets.validation.rules.values import is_json_text

CONVERT = "Convert it: `./tunery datasets convert IN OUT`"
Shape = tuple[str, str]
_PAIRS = (
    ("instruction", "output", "a row of Alpaca (`instruction`, `input`, `output`)"),
    ("instruction", "response", "an instruction with its response (`instruction`, `response`)"),
    ("question", "answer", "a question with its answer (`question`, `answer`)"),
    ("prompt", "response", "a prompt with its response (`prompt`, `response`)"),
    ("input", "output", "an input with its output (`input`, `output`)"),
    ("user", "assistant", "a question with its answer (`user`, `assistant`)"),
    ("query", "response", "a question with its answer (`query`, `response`)"),
)
_CONVERSATIONS = ("conversations", "conversation", "dialog", "dialogue", "turns")


def is_turn(value: Any) -> bool:
    """Whether a value is one message of a conversation, in any trainer's words."""
    return isinstance(value, dict) and bool(value.keys() & {"role", "from"}) and "messages" not in value


def shape_of_row(value: Any) -> Shape | None:
    """What a row that is no example is, and what to do about it; None if it may be an example or is not known."""
    if isinstance(value, list):
        return ("a list of turns, not an object", CONVERT) if value and all(map(is_turn, value)) else None
    if isinstance(value, str):
        twice = ("a text that holds JSON", "Decode it once: each object was encoded twice")
        return twice if is_json_text(value) else None
    if not isinstance(value, dict) or "messages" in value or value.keys() & {"preferred_output", "completion"}:
        return None
    return _shape_of_object(value)


def _shape_of_object(value: dict[str, Any]) -> Shape | None:
    if any(isinstance(value.get(key), list) for key in _CONVERSATIONS):
        return "a conversation of ShareGPT (`conversations`, `from`, `value`)", CONVERT
    if "chosen" in value and "rejected" in value:
        return "a preference of another trainer (`chosen`, `rejected`)", CONVERT
    if "custom_id" in value:
        return "a line of the batch API (`custom_id`)", "Write `body.messages` with the answer as `messages`"
    if isinstance(value.get("choices"), list):
        hint = "Write the request's messages, and `choices[0].message` behind them, as `messages`"
        return "an answer of the chat API (`choices`)", hint
    if isinstance(value.get("contents"), list):
        return "an example of Gemini (`contents`, `parts`)", CONVERT
    for question, answer, what in _PAIRS:
        if question in value and answer in value and isinstance(value[answer], str):
            return what, CONVERT
    if is_turn(value):
        return "one message, not an example", "Write the messages of each conversation as one list, `messages`"
    if value.keys() == {"text"}:
        return "a bare text", "Write questions and answers as `messages`: a bare text shows no answer to learn"
    return None
