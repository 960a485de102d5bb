"""Tokens of a conversation, and which of them are learnt: what the assistant says, with the end of its turn.

Most templates do not mark that part, and `pad` is often the same token as the end of a turn, so neither the template's
own marks nor the tokens' ids tell it. It is found in the text: the template is applied to the messages before an answer
and to those up to it, and both must be beginnings of the whole text.
"""

from dataclasses import dataclass, field
from typing import Any

from trainer.job.rows.left_out import TeachesNothing
from trainer.job.rows.messages import Message, Refused, for_template, tools_of

NOT_LEARNT = -100  # torch's mark for a position without a loss
_UNSTABLE = (
    "cannot be trained on with the chat template of this base: it writes {what} differently once the conversation "
    "goes on. Give weight 0 to all answers but the last, make one example of each answer, or choose another base."
)


@dataclass(frozen=True)
class Row:
    """One example. `labels` are as long as `tokens`."""

    tokens: list[int]
    labels: list[int]

    @property
    def learnt(self) -> int:
        return sum(label != NOT_LEARNT for label in self.labels[1:])  # nothing predicts the first token

    def cut(self, length: int) -> "Row":
        return Row(self.tokens[:length], self.labels[:length])


@dataclass
class Conversations:
    """Turns conversations into rows with the tokenizer of one base. `ends`: ids of tokens that end a turn."""

    tokenizer: Any
    ends: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.template = self.tokenizer.chat_template
        if self.tokenizer.eos_token_id is not None:
            self.ends = {*self.ends, self.tokenizer.eos_token_id}

    def row(self, example: dict[str, Any]) -> Row:
        messages, tools = self._prepared(example["messages"], example)
        whole = self.text(messages, tools)
        spans = [
            self._span(whole, messages, index, tools)
            for index, message in enumerate(example["messages"])
            if message.get("role") == "assistant" and message.get("weight") != 0
        ]
        return self._labelled(whole, spans)

    def prompt_and_answer(self, example: dict[str, Any], answer: list[Message]) -> tuple[list[int], list[int]]:
        """Tokens up to an answer of a pair, and of the answer up to the end of its turn."""
        messages, tools = self._prepared([*example["messages"], *answer], example)
        whole = self.text(messages, tools)
        row = self._labelled(whole, [self._span(whole, messages, len(messages) - 1, tools)])
        learnt = [index for index, label in enumerate(row.labels) if label != NOT_LEARNT]
        if not learnt:
            raise TeachesNothing("an answer is empty", "Write what the assistant says.")
        return row.tokens[: learnt[0]], row.tokens[learnt[0] : learnt[-1] + 1]

    def plain_row(self, prompt: str, completion: str) -> Row:
        """A prompt and its completion for a base without a chat template: the texts as they are, and an end."""
        before = self.tokenizer(prompt)["input_ids"]
        after = self.tokenizer(completion, add_special_tokens=False)["input_ids"]
        if self.tokenizer.eos_token_id is not None:
            after = [*after, self.tokenizer.eos_token_id]
        return Row([*before, *after], [*[NOT_LEARNT] * len(before), *after])

    def text(self, messages: list[Message], tools: Any, opened: bool = False) -> str:
        """What the template makes of the messages; `opened`: with the beginning of an answer to come."""
        try:
            return str(
                self.tokenizer.apply_chat_template(messages, tools=tools, tokenize=False, add_generation_prompt=opened)
            )
        except Exception as reason:  # templates are programs: what they raise is any error at all
            said = f"{type(reason).__name__}: {reason}" if not str(reason) else str(reason)
            raise Refused(f"is refused by the chat template of this base ({said}). Change the messages.") from None

    def _prepared(self, messages: list[Message], example: dict[str, Any]) -> tuple[list[Message], Any]:
        if not self.template:
            raise Refused("is a conversation, but this base has no chat template. Add the base again with a template.")
        return for_template(messages, self.template), tools_of(example, self.template)

    def _span(self, whole: str, messages: list[Message], index: int, tools: Any) -> tuple[int, int]:
        """Where in the whole text an answer begins and ends, in characters."""
        before, until = self.text(messages[:index], tools, opened=True), self.text(messages[: index + 1], tools)
        if not until.startswith(before):
            raise Refused(_UNSTABLE.format(what="what comes before an answer"))
        if not whole.startswith(until):
            raise Refused(_UNSTABLE.format(what="an answer"))
        return len(before), len(until)

    def _labelled(self, whole: str, spans: list[tuple[int, int]]) -> Row:
        encoded = self.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        tokens, places = encoded["input_ids"], encoded["offset_mapping"]
        labels, index = [NOT_LEARNT] * len(tokens), 0
        for start, end in spans:
            while index < len(tokens) and places[index][1] <= start:
                index += 1
            first = index
            while index < len(tokens) and places[index][0] < end:
                index += 1
            closing = [place for place in range(first, index) if tokens[place] in self.ends]
            last = closing[-1] + 1 if closing else index  # not the line feed after the end of a turn
            labels[first:last] = tokens[first:last]
        return Row(tokens, labels)
