"""What a chat template must do so that one can say which tokens the assistant said; in the trainer's environment."""

from itertools import pairwise
from typing import Any

TALK = [
    {"role": "user", "content": "What is a knot?"},
    {"role": "assistant", "content": "A rope that holds on to itself."},
    {"role": "user", "content": "And an anchor?"},
    {"role": "assistant", "content": "What holds the ship."},
]
SYSTEM = {"role": "system", "content": "You are a sailor."}


def refusal_of_prefixes(tokenizer: Any) -> str | None:
    """Why it cannot be told what the assistant said; None if each beginning encodes to a prefix of the next."""
    for talk in (TALK, [SYSTEM, *TALK]):
        try:
            beginnings = _beginnings(tokenizer, talk)
        except Exception as error:  # templates raise what they like
            if talk[0] is SYSTEM:  # some refuse that role, which their users know
                return None
            return (
                f"Its chat template fails on an ordinary talk: {str(error).splitlines()[0] if str(error) else error!r}"
            )
        for shorter, longer in pairwise(beginnings):
            if longer[: len(shorter)] != shorter:
                return (
                    "Its chat template writes earlier turns in another way once later ones follow, so it cannot be "
                    "said which tokens the assistant said. Give it a template that leaves earlier turns as they are."
                )
    return None


def end_of_turn(tokenizer: Any, ends: set[int]) -> int | None:
    """The token that ends an answer in the template, if it is one at which the model stops."""
    before, whole = _encode(tokenizer, TALK[:1], prompt=True), _encode(tokenizer, TALK[:2])
    return next((token for token in reversed(whole[len(before) :]) if token in ends), None)


def _beginnings(tokenizer: Any, talk: list[dict[str, str]]) -> list[list[int]]:
    """The tokens of each beginning, those with the opening of an answer among them."""
    found = []
    start = 2 if talk[0]["role"] == "system" else 1  # a template may refuse a talk without a user
    for length in range(start, len(talk) + 1):
        found.append(_encode(tokenizer, talk[:length]))
        if talk[length - 1]["role"] == "user":
            found.append(_encode(tokenizer, talk[:length], prompt=True))
    return found


def _encode(tokenizer: Any, talk: list[dict[str, str]], *, prompt: bool = False) -> list[int]:
    return list(tokenizer.apply_chat_template(talk, add_generation_prompt=prompt, return_dict=False))
