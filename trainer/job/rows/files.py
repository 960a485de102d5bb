"""Reads a training or validation file into rows; the first line that cannot be trained on ends the job.

One that teaches nothing is left out.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from trainer.job.failures import Failed
from trainer.job.rows.labels import Conversations, Row
from trainer.job.rows.left_out import LeftOut, TeachesNothing
from trainer.job.rows.messages import Refused

_T = TypeVar("_T")


@dataclass(frozen=True)
class Pair:
    """A preference: a prompt's tokens, and those of the answer that is preferred and of the one that is not."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


@dataclass(frozen=True)
class Limits:
    """In tokens. `wanted` cuts a row; `context` refuses one that is left longer than that."""

    context: int | None
    wanted: int | None

    @property
    def cut_at(self) -> int | None:
        return self.wanted if self.context is None or self.wanted is None else min(self.wanted, self.context)

    def check(self, length: int) -> None:
        if self.wanted is None and self.context is not None and length > self.context:
            raise Refused(
                f"has {length} tokens, but the context of this base has {self.context}. Shorten the example, "
                "or set provider_options.max_length, which cuts the end of longer examples off."
            )


@dataclass(frozen=True)
class Read(Generic[_T]):
    """The rows of a file, and what the job's log says of those that were left out."""

    rows: list[_T]
    left_out: list[str]


def conversations(path: Path, teller: Conversations, limits: Limits, param: str) -> Read[Row]:
    """`param` names the file in refusals: `training_file` or `validation_file`."""

    def row(example: dict[str, Any]) -> Row:
        if "messages" in example:
            whole = teller.row(example)
        elif teller.template:  # trained as the one turn in which it will be asked
            turns = [{"role": "user", "content": example["prompt"]}, _answer(example["completion"])]
            whole = teller.row({"messages": turns})
        else:
            whole = teller.plain_row(example["prompt"], example["completion"])
        if not whole.learnt:
            raise TeachesNothing("each answer has weight 0 or is empty", "Give answers a text, and weight 1.")
        limits.check(len(whole.tokens))
        short = whole.cut(limits.cut_at) if limits.cut_at else whole
        if not short.learnt:
            raise _cut_off(limits)
        return short

    return _read(path, row, param)


def pairs(path: Path, teller: Conversations, limits: Limits, param: str) -> Read[Pair]:
    def pair(example: dict[str, Any]) -> Pair:
        asked = example["input"]
        prompt, chosen = teller.prompt_and_answer(asked, example["preferred_output"])
        again, rejected = teller.prompt_and_answer(asked, example["non_preferred_output"])
        if prompt != again:
            same = next((i for i, (one, two) in enumerate(zip(prompt, again, strict=False)) if one != two), None)
            same = min(len(prompt), len(again)) if same is None else same
            prompt, chosen, rejected = prompt[:same], prompt[same:] + chosen, again[same:] + rejected
        if chosen == rejected:
            raise TeachesNothing("both answers are the same", "Give answers that differ.")
        limits.check(len(prompt) + max(len(chosen), len(rejected)))
        if limits.cut_at is not None:
            room = max(0, limits.cut_at - len(prompt))
            chosen, rejected = chosen[:room], rejected[:room]
        if chosen == rejected:
            raise _cut_off(limits)
        return Pair(prompt, chosen, rejected)

    return _read(path, pair, param)


def _answer(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _cut_off(limits: Limits) -> TeachesNothing:
    return TeachesNothing(
        f"nothing to learn is left within {limits.cut_at} tokens",
        "Give a larger provider_options.max_length, or remove it.",
    )


def _read(path: Path, make: Callable[[dict[str, Any]], _T], param: str) -> Read[_T]:
    code, left_out = f"invalid_{param}", LeftOut(_name(param))
    made = []
    for number, line in _lines(path, param):
        try:
            made.append(make(json.loads(line)))
        except TeachesNothing as reason:
            left_out.add(number, reason)
        except Refused as reason:
            raise Failed(code, f"Line {number} of the {_name(param)} {reason}", param) from None
        except (ValueError, KeyError, TypeError, AttributeError) as reason:
            said = f"{type(reason).__name__}: {reason}"
            raise Failed(code, f"Line {number} of the {_name(param)} cannot be read ({said}).", param) from None
    if not made:
        said = left_out.refusal() if left_out.lines else f"The {_name(param)} has no examples."
        raise Failed(code, said, param)
    return Read(made, left_out.sentences(len(made)))


def _lines(path: Path, param: str) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except OSError as reason:
        raise Failed(f"invalid_{param}", f"The {_name(param)} cannot be opened: {reason.strerror}.", param) from None


def _name(param: str) -> str:
    return param.replace("_", " ")
