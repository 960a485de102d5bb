"""From messages to the tokens that the base reads, by its own chat template, just as when it was trained."""

from typing import Any

from trainer.job.rows import messages
from trainer.serving.request import Refused, Request

MOST_TOKENS = 2048  # of an answer whose request names no limit: a small model may never end by itself


class Prompts:
    def __init__(self, tokenizer: Any, context: int):
        self._tokenizer = tokenizer
        self._context = context
        self._longest_token = max(map(len, tokenizer.get_vocab()), default=1)

    def encode(self, request: Request) -> tuple[list[int], int]:
        """The prompt's tokens, and how many may follow."""
        for index, message in enumerate(request.messages):
            _check(message, f"messages[{index}]")
        self._check_size(request)
        template = self._tokenizer.chat_template
        try:
            tokens: list[int] = self._tokenizer.apply_chat_template(
                messages.for_template(request.messages, template),
                tools=messages.tools_of({"tools": request.tools}, template),
                add_generation_prompt=True,
                tokenize=True,
                return_dict=False,
            )
        except messages.Refused as refused:
            raise Refused("invalid_value", f"The request {refused}", "messages") from None
        except Exception as error:  # a template is a program of the base: it may raise anything
            sentence = f"The base's chat template cannot render these messages: {error}"[:500]
            raise Refused("invalid_value", sentence, "messages") from None
        return tokens, self._room_after(len(tokens), request.max_tokens)

    def _check_size(self, request: Request) -> None:
        """Refuses at once what no tokenizer could make fit: to read megabytes takes it minutes."""
        most = self._context * self._longest_token
        for name, sent in (("messages", request.messages), ("tools", request.tools or [])):
            if len(sent) > self._context or _characters(sent) > most:
                raise Refused(
                    "context_length_exceeded",
                    f"This model's context is {self._context} tokens, at the very most {most} characters, but "
                    f"the {len(sent)} {name} have {_characters(sent)}. Send less.",
                    name,
                )

    def _room_after(self, prompt: int, wanted: int | None) -> int:
        room = self._context - prompt
        if room >= (wanted or 1):
            return wanted or min(room, MOST_TOKENS)
        completion = f" and {wanted} for the completion" if wanted else ""
        raise Refused(
            "context_length_exceeded",
            f"This model's context is {self._context} tokens, but {prompt + (wanted or 0)} were asked for: {prompt} in "
            f"the messages{completion}. Shorten the messages{' or max_tokens' if wanted else ''}.",
            "messages" if room < 1 or not wanted else "max_tokens",
        )


def _characters(value: Any) -> int:
    """Of all texts in it, however deep they lie."""
    found, todo = 0, [value]
    while todo:
        match todo.pop():
            case str() as text:
                found += len(text)
            case dict() as members:
                todo += [*members.keys(), *members.values()]
            case list() as items:
                todo += items
    return found


def _check(message: dict[str, Any], where: str) -> None:
    content = message.get("content")
    if not isinstance(message.get("role"), str):
        raise Refused("invalid_value", f"{where} has no role.", where)
    if content is None or isinstance(content, str):
        return
    parts = content if isinstance(content, list) else [None]
    if not all(isinstance(part, dict) and part.get("type") in ("text", "refusal") for part in parts):
        raise Refused("invalid_value", f"The content of {where} must be text: this model reads nothing else.", where)
