"""The names that trainers, exports and people give to the fields of a row, and to the roles in a conversation."""

import re
from functools import lru_cache
from typing import Any

from cli.datasets.conversion.rows import is_empty

CONVERSATION = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns", "contents")
QUESTION = (
    *("prompt", "question", "instruction", "user", "input", "query", "human", "problem", "request", "q"),
    *("user_message", "user_prompt", "user_input", "user_query", "input_text", "prompt_text", "question_text"),
)
ANSWER = (
    *("completion", "answer", "response", "output", "assistant", "reply", "solution", "target", "gpt", "bot", "a"),
    *("ideal", "ideal_answer", "expected_output", "expected_answer", "assistant_message", "assistant_response"),
    *("model_response", "model_output", "output_text", "target_text", "answer_text", "response_text", "chatbot"),
)
# What an instruction or a question is about; `input` is one only beside an instruction, as Alpaca has it.
CONTEXT = ("context",)
SYSTEM = ("system", "system_prompt", "system_message", "systeminstruction", "system_instruction")
HISTORY = ("history",)
TOOLS = ("tools", "functions", "parallel_tool_calls")
CHOSEN = ("chosen", "chosen_response", "response_chosen", "chosen_answer", "preferred", "accepted", "winner")
REJECTED = ("rejected", "rejected_response", "response_rejected", "rejected_answer", "dispreferred", "loser")
PREFERRED = ("preferred_output", "preferred_completion")
NON_PREFERRED = ("non_preferred_output", "non_preferred_completion")
IN_EXAMPLES = frozenset(
    [
        *(*CONVERSATION, *QUESTION, *ANSWER, *CONTEXT, *SYSTEM, *HISTORY, *TOOLS),
        *(*CHOSEN, *REJECTED, *PREFERRED, *NON_PREFERRED),
    ]
)
# Whether an answer is good or bad; teaching all of them would teach the bad ones.
VERDICTS = ("label", "kto_tag", "is_good", "desirable")
ROWS = ("data", "rows", "examples", "train", "training", "records", "items", "dataset", "samples", "instances")

ROLE_KEYS = ("role", "from", "speaker", "sender", "author")
CONTENT_KEYS = ("content", "value", "text", "message", "utterance", "parts")
ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "bot", "chatbot", "ai", "llm", "claude"), "assistant"),
    **{role: role for role in ("system", "developer", "function")},
    **dict.fromkeys(("tool", "observation", "function_response", "tool_response", "ipython"), "tool"),
    **dict.fromkeys(("function_call", "tool_call"), "call"),
}


@lru_cache(maxsize=4_096)  # a file has few names, each in every row
def plain(name: str) -> str:
    """A name without what differs between people: case, spaces and hyphens for underscores, a byte order mark."""
    return re.sub(r"[\s_-]+", "_", name.strip("\ufeff \t\r\n").lower())


def is_message(value: Any) -> bool:
    """Whether a value is one message of a conversation, and not a row."""
    if not isinstance(value, dict):
        return False
    names = {plain(name) for name in value}
    says_something = any(name in names for name in (*CONTENT_KEYS, "tool_calls", "function_call"))
    return says_something and any(name in names for name in ROLE_KEYS) and not names & set(CONVERSATION)


def is_conversation(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_message, value))


def names_an_example(value: Any) -> bool:
    """Whether a value is an object that has one of the fields examples are made of."""
    return isinstance(value, dict) and any(plain(name) in IN_EXAMPLES and not is_empty(value[name]) for name in value)
