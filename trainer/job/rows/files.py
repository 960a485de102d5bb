"""Reads a training or validation file into rows; the first line that cannot be trained on ends the job."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trainer.job.failures import Failed
from trainer.job.rows.labels import Conversations, Row
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


def conversations(path: Path, teller: Conversations, limits: Limits, param: str) -> list[Row]:
    """`param` names the file in refusals: `training_file` or `validation_file`."""

    def row(example: dict[str, Any]) -> Row:
        if "messages" in example:
            whole = teller.row(example)
        elif teller.template:  # trained as the one turn in which it will be asked
            turns = [{"role": "user", "content": example["prompt"]}, _answer(example["completion"])]
            whole = teller.row({"messages": turns})
        else:
            whole = teller.plain_row(example["prompt"], example["completion"])
        limits.check(len(whole.tokens))
        short = whole.cut(limits.cut_at) if limits.cut_at else whole
        if not short.learnt:
            raise Refused(_nothing_to_learn(whole, limits))
        return short

    return _read(path, row, param)


def pairs(path: Path, teller: Conversations, limits: Limits, param: str) -> list[Pair]:
    def pair(example: dict[str, Any]) -> Pair:
        asked = example["input"]
        prompt, chosen = teller.prompt_and_answer(asked, example["preferred_output"])
        again, rejected = teller.prompt_and_answer(asked, example["non_preferred_output"])
        if prompt != again:
            same = next((i for i, (one, two) in enumerate(zip(prompt, again, strict=False)) if one != two), None)
            same = min(len(prompt), len(again)) if same is None else same
            prompt, chosen, rejected = prompt[:same], prompt[same:] + chosen, again[same:] + rejected
        limits.check(len(prompt) + max(len(chosen), len(rejected)))
        if limits.cut_at is not None:
            room = limits.cut_at - len(prompt)
            if room < 1:
                raise Refused(
                    f"has a prompt of {len(prompt)} tokens, which fills provider_options.max_length. Give a larger one."
                )
            chosen, rejected = chosen[:room], rejected[:room]
        return Pair(prompt, chosen, rejected)

    return _read(path, pair, param)


def _answer(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _nothing_to_learn(whole: Row, limits: Limits) -> str:
    if whole.learnt:
        advice = "Give a larger provider_options.max_length, or remove it."
        return f"has nothing to learn in its first {limits.cut_at} tokens. {advice}"
    return "has no answer to learn from: each has weight 0, or there is none. Remove it, or give an answer weight 1."


def _read(path: Path, make: Callable[[dict[str, Any]], _T], param: str) -> list[_T]:
    code = f"invalid_{param}"
    made = []
    for number, line in _lines(path, param):
        try:
            made.append(make(json.loads(line)))
        except Refused as reason:
            raise Failed(code, f"Line {number} of the {_name(param)} {reason}", param) from None
        except (ValueError, KeyError, TypeError, AttributeError) as reason:
            said = f"{type(reason).__name__}: {reason}"
            raise Failed(code, f"Line {number} of the {_name(param)} cannot be read ({said}).", param) from None
    if not made:
        raise Failed(code, f"The {_name(param)} has no examples.", param)
    return made


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
