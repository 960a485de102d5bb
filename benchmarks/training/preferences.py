"""DPO after supervised tuning on both ways of speaking: the held-out margin, and what the model answers then."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openai.types.fine_tuning import FineTuningJob

from benchmarks.training import two_ways
from benchmarks.training.bench import REAL, Row, finished, real_trainer
from tests.trainer.trainer_process import Trainer

SUPERVISED: Any = {"n_epochs": 2, "batch_size": 4}
PREFERENCES: Any = {"n_epochs": 2, "batch_size": 4, "beta": 0.1}
SUPERVISED_RATE, PREFERENCES_RATE = 5e-4, 2e-4


def rows(source: str) -> Iterator[Row]:
    train, held_out = two_ways.pairs()
    with real_trainer(source) as trainer:
        began = time.monotonic()
        spoken = finished(trainer, _supervised(trainer, train, held_out))
        between = time.monotonic()
        preferred = finished(trainer, _preferences(trainer, str(spoken.fine_tuned_model), train, held_out))
        ended = time.monotonic()
        yield "SFT on both ways of speaking", "", f"{between - began:.0f} s"
        yield "DPO after it", "", f"{ended - between:.0f} s"
        margins = _margins(trainer, preferred)
        yield "held-out margin of DPO", "≥ 2", " → ".join(f"{margin:.2f}" for margin in margins)
        for name, job in (("after SFT", spoken), ("after DPO", preferred)):
            yield from _answers(trainer, name, str(job.fine_tuned_model), held_out)


def _supervised(trainer: Trainer, train: list[Any], held_out: list[Any]) -> FineTuningJob:
    return trainer.openai.fine_tuning.jobs.create(
        model=REAL,
        training_file=trainer.upload(raw=two_ways.packed(two_ways.both_ways(train))),
        validation_file=trainer.upload(raw=two_ways.packed(two_ways.both_ways(held_out))),
        method={"type": "supervised", "supervised": {"hyperparameters": SUPERVISED}},
        seed=7,
        extra_body={"provider_options": {"learning_rate": SUPERVISED_RATE}},
    )


def _preferences(trainer: Trainer, model: str, train: list[Any], held_out: list[Any]) -> FineTuningJob:
    return trainer.openai.fine_tuning.jobs.create(
        model=model,
        training_file=trainer.upload(raw=two_ways.packed(train)),
        validation_file=trainer.upload(raw=two_ways.packed(held_out)),
        method={"type": "dpo", "dpo": {"hyperparameters": PREFERENCES}},
        seed=7,
        extra_body={"provider_options": {"learning_rate": PREFERENCES_RATE}},
    )


def _margins(trainer: Trainer, job: FineTuningJob) -> list[float]:
    """Of each validation, the one before training included."""
    data: list[Any] = [event.data for event in trainer.events(job) if event.type == "metrics"]
    return [float(each["rewards_margins"]) for each in data if "full_valid_loss" in each]


def _answers(trainer: Trainer, when: str, model: str, held_out: list[Any]) -> Iterator[Row]:
    questions = [two_ways.question(record) for record in held_out]
    with ThreadPoolExecutor(len(questions)) as threads:
        answers = list(threads.map(lambda question: _answer(trainer, model, question), questions))
    kind = on_topic = 0
    for record, question, answer in zip(held_out, questions, answers, strict=True):
        kind += answer.startswith(two_ways.KINDLY)
        on_topic += two_ways.subject_of(record) in answer.lower()
        print(f"  {when}: {question} → {answer}", flush=True)
    target = ("≥ 9 of 10", "10 of 10") if when == "after DPO" else ("", "")
    yield f"unseen answers in the preferred way, {when}", target[0], f"{kind} of {len(held_out)}"
    yield f"unseen answers that name their subject, {when}", target[1], f"{on_topic} of {len(held_out)}"


def _answer(trainer: Trainer, model: str, question: str) -> str:
    """Sampled, since the most likely answer may be in the preferred way before, when the other is as likely."""
    chat = trainer.openai.with_options(max_retries=10).chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], temperature=1, seed=7, max_tokens=40
    )
    return " ".join((chat.choices[0].message.content or "").split())
