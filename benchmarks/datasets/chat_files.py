"""Writes chat files to check: long documents, short messages, tool calls, weights, text parts, Japanese, and errors.

The texts come from documents on this machine, reflowed into paragraphs because chats are prose, and from unchanged
code. No text repeats until all are used; after that each is cut at another position.
"""

import json
import random
import re
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

SYSTEM = (
    "You are the assistant of a company. Answer briefly and politely, in the customer's language; never guess. " * 10
)
SHORT_SYSTEM = "You are a helpful assistant."
ENDING = ("Is there anything else that I should know?", "No, but do ask whenever there is more that I can help with!")
ROOTS = (Path(sys.base_prefix), Path(sys.prefix), Path("/usr/share/doc"), Path("/usr/lib/node_modules"))
DOCUMENTS = {".md", ".rst", ".txt", ".html"}
TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)

KANJI = [chr(code) for code in range(0x4E00, 0x4E00 + 6_000)]
KANA = [*map(chr, range(0x3042, 0x3094)), *"、。「」"]
WORDS = ("order", "customer", "city", "price", "date", "route", "ticket", "invoice", "product", "weather")

Message = dict[str, Any]
Example = dict[str, Any]


def long_documents(path: Path, megabytes: int, *, system: bool = True) -> Path:
    """Lines of 1 kB, each with one or two questions and answers, or of 2 kB with a system prompt like every other."""
    chance, pieces = random.Random(1), _pieces()
    first = [_message("system", SYSTEM)] if system else []
    examples = (
        first + [message for _ in range(chance.choice((1, 1, 2))) for message in _pair(next(pieces), next(pieces))]
        for _ in iter(int, 1)
    )
    return _write(path, megabytes, examples)


def short_messages(path: Path, megabytes: int, *, alike: bool = False) -> Path:
    """Lines of 5 to 11 messages of 30 to 160 characters; `alike`: all of them end with the same question and answer."""
    chance, pieces, end = random.Random(1), _pieces(), _pair(*ENDING) if alike else []
    examples = (
        [_message("system", SHORT_SYSTEM), *_short_pairs(chance, pieces, chance.choice((2, 3, 4, 5))), *end]
        for _ in iter(int, 1)
    )
    return _write(path, megabytes, examples)


def foreign(path: Path, megabytes: int, *, uniform: bool = False) -> Path:
    """Lines of two to four Japanese questions and answers of 30 to 300 characters.

    Half of the characters are kanji, the n-th of which is a fraction 1/n as frequent as the first, or all are equally
    frequent.
    """
    chance = random.Random(4)
    weights = [1 if uniform else 1 / rank for rank in range(1, len(KANJI) + 1)]
    weights += [sum(weights) / len(KANA)] * len(KANA)
    characters, cumulative = [*KANJI, *KANA], list(accumulate(weights))

    def text() -> str:
        return "".join(chance.choices(characters, cum_weights=cumulative, k=chance.randrange(30, 300)))

    examples = (
        [message for _ in range(chance.choice((2, 3, 4))) for message in _pair(text(), text())] for _ in iter(int, 1)
    )
    return _write(path, megabytes, examples)


def _short_pairs(chance: random.Random, pieces: Iterator[str], count: int) -> Iterator[Message]:
    for _ in range(count):
        text, cut = next(pieces).replace("\n", " "), chance.randrange(30, 90)
        yield from _pair(text[:cut], text[cut : cut + chance.randrange(40, 160)] or "Yes.")


def _pair(question: str, answer: str) -> list[Message]:
    return [_message("user", question), _message("assistant", answer)]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def tool_calls(path: Path, megabytes: int, *, own: bool = False) -> Path:
    """Lines of a question, a call, what the tool says and an answer; with the same tools, or each with its `own`."""
    chance, pieces = random.Random(3), _pieces()
    tools = [_tool(chance) for _ in range(3)]

    def example() -> Example:
        offered = [_tool(chance) for _ in range(3)] if own else tools
        messages = [_message("system", SHORT_SYSTEM), *_called(chance, pieces, chance.choice(offered))]
        return {"messages": messages, "tools": offered, "parallel_tool_calls": False}

    return _write_examples(path, megabytes, (example() for _ in iter(int, 1)))


def weights_and_names(path: Path, megabytes: int) -> Path:
    """Lines of short messages; the users have names, and only the last answer is trained on."""
    chance, pieces = random.Random(1), _pieces()

    def messages() -> list[Message]:
        example = [_message("system", SHORT_SYSTEM), *_short_pairs(chance, pieces, chance.choice((2, 3, 4, 5)))]
        more: dict[str, Message] = {"user": {"name": chance.choice(WORDS)}, "assistant": {"weight": 0}}
        return [
            *({**message, **more.get(message["role"], {})} for message in example[:-1]),
            {**example[-1], "weight": 1},
        ]

    return _write(path, megabytes, (messages() for _ in iter(int, 1)))


def text_parts(path: Path, megabytes: int) -> Path:
    """Lines of 1 kB whose users' texts are lists of one or two parts."""
    chance, pieces = random.Random(1), _pieces()

    def question() -> Message:
        texts = [next(pieces) for _ in range(chance.choice((1, 2)))]
        return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}

    examples = (
        [_message("system", SHORT_SYSTEM), question(), _message("assistant", next(pieces))] for _ in iter(int, 1)
    )
    return _write(path, megabytes, examples)


def an_error_each(path: Path, megabytes: int) -> Path:
    """Lines of short messages, one of which has something wrong in each line."""
    chance, pieces = random.Random(1), _pieces()
    flaws: list[Example] = [{"role": "bot"}, {"content": ""}, {"weight": 2}, {"text": "more"}, {"content": None}]

    def messages() -> list[Message]:
        example = [_message("system", SHORT_SYSTEM), *_short_pairs(chance, pieces, chance.choice((2, 3, 4, 5)))]
        answer = chance.randrange(2, len(example), 2)
        example[answer] |= chance.choice(flaws)
        return example

    return _write(path, megabytes, (messages() for _ in iter(int, 1)))


def _tool(chance: random.Random) -> Example:
    fields = {
        word: {"type": "string", "description": f"The {word} that is asked about"} for word in chance.sample(WORDS, 2)
    }
    parameters = {"type": "object", "properties": fields, "required": list(fields)}
    name = f"get_{chance.choice(WORDS)}_{chance.randrange(10_000)}"
    return {"type": "function", "function": {"name": name, "description": f"Calls {name}", "parameters": parameters}}


def _called(chance: random.Random, pieces: Iterator[str], tool: Example) -> Iterator[Message]:
    id_ = f"call_{chance.randrange(1 << 40):x}"
    question, found, answer = (next(pieces)[: chance.randrange(60, 400)] for _ in range(3))
    arguments = json.dumps(dict.fromkeys(tool["function"]["parameters"]["properties"], question[:20]))
    function = {"name": tool["function"]["name"], "arguments": arguments}
    yield _message("user", question)
    yield {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": id_, "type": "function", "function": function}],
    }
    yield {"role": "tool", "tool_call_id": id_, "content": json.dumps({"found": found})}
    yield _message("assistant", answer)


def _write(path: Path, megabytes: int, examples: Iterator[list[Message]]) -> Path:
    return _write_examples(path, megabytes, ({"messages": messages} for messages in examples))


def _write_examples(path: Path, megabytes: int, examples: Iterator[Example]) -> Path:
    size = 0
    with path.open("w", encoding="utf-8") as file:
        while size < megabytes * 1_000_000:
            size += file.write(json.dumps(next(examples), ensure_ascii=False) + "\n")
    return path


def _pieces() -> Iterator[str]:
    """Texts of 100 to 700 characters from the files of this machine, over and over."""
    chance = random.Random(2)
    for round_ in range(1_000_000):
        for path in _files(chance):
            text = path.read_text(encoding="utf-8", errors="ignore")
            if path.suffix != ".py":
                text = "\n".join(" ".join(part.split()) for part in TAG.sub(" ", text).split("\n\n") if part.strip())
            position = chance.randrange(100) * round_
            while len(piece := text[position : position + chance.randrange(100, 700)].strip()) > 50:
                position += len(piece) + 1
                yield piece


def _files(chance: random.Random) -> list[Path]:
    found = sorted(path for root in ROOTS if root.is_dir() for path in root.rglob("*") if path.is_file())
    small = [path for path in found if path.stat().st_size < 1_000_000]
    documents = [path for path in small if path.suffix in DOCUMENTS]
    code = chance.sample([path for path in small if path.suffix == ".py"], k=len(documents) // 10)
    return chance.sample(documents + code, k=len(documents) + len(code))
