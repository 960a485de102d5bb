"""Chats of a base, a tuned model and a checkpoint, by the official SDK against a trainer that trained them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError
from openai.types.fine_tuning import FineTuningJob

from tests.trainer.trainer_process import BASE, Trainer, chat

QUESTION = "What is number 3?"
ANSWER = "A slope, which tells where the data lies."

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    with Trainer(tmp_path_factory.mktemp("trainer")) as trainer:
        yield trainer


@pytest.fixture(scope="module")
def trained(trainer: Trainer) -> FineTuningJob:
    """It learned one and the same answer, at a rate that leaves no doubt that something changed."""
    file = trainer.upload(*(chat(f"What is number {number}?", ANSWER) for number in range(16)))
    options = {"learning_rate": 0.05, "rank": 8}
    job = trainer.wait_for_end(trainer.job(training_file=file, epochs=3, options=options))
    assert job.status == "succeeded", trainer.messages(job)
    return job


def _ask(trainer: Trainer, model: str, **more: object) -> str:
    asked: Any = [{"role": "user", "content": QUESTION}]
    wanted: Any = {"temperature": 0, "max_tokens": 30, **more}
    answer = trainer.openai.chat.completions.create(model=model, messages=asked, **wanted)
    return str(answer.choices[0].message.content)


def test_a_tuned_model_and_its_last_checkpoint_answer_alike_and_unlike_the_base(
    trainer: Trainer, trained: FineTuningJob
) -> None:
    assert trained.fine_tuned_model
    base, tuned = _ask(trainer, BASE), _ask(trainer, trained.fine_tuned_model)
    newest, *_ = trainer.openai.fine_tuning.jobs.checkpoints.list(trained.id).data
    assert _ask(trainer, newest.fine_tuned_model_checkpoint) == tuned != base
    assert _ask(trainer, BASE) == base


def test_an_answer_is_streamed_with_its_log_probabilities_and_counts(trainer: Trainer) -> None:
    whole = _ask(trainer, BASE)
    chunks = list(
        trainer.openai.chat.completions.create(
            model=BASE,
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=30,
            temperature=0,
            stop="never said",
            logprobs=True,
            top_logprobs=2,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    assert (text, choices[-1].finish_reason) == (whole, "length")
    entries = [entry for choice in choices if choice.logprobs for entry in choice.logprobs.content or []]
    assert all(len(entry.top_logprobs) == 2 for entry in entries)
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == len(entries) == 30


def test_what_cannot_be_answered_is_refused_in_openais_words(trainer: Trainer) -> None:
    with pytest.raises(BadRequestError, match=re.escape("context is 512 tokens")) as refused:
        _ask(trainer, BASE, max_tokens=600)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "max_tokens")
    with pytest.raises(NotFoundError):
        _ask(trainer, "no-such-model")
