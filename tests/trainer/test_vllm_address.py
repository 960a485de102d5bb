"""Chats that a vLLM at an address answers (a stand-in of it), by the official SDK against a trainer that trained."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import APIError, APIStatusError, BadRequestError, InternalServerError, RateLimitError
from openai.types.chat import ChatCompletionChunk
from openai.types.fine_tuning import FineTuningJob

from tests.trainer.trainer_process import BASE, Trainer
from tests.trainer.vllm import Vllm, until

KEY = "vllm-key-5f1c"
MAX_LORAS = 2

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    folder = tmp_path_factory.mktemp("vllm")
    vllm = Vllm(folder, "--enable-lora", f"--max-loras={MAX_LORAS}", VLLM_API_KEY=KEY)
    yield vllm
    vllm.stop()


@pytest.fixture(scope="module")
def trainer(vllm: Vllm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    settings: dict[str, Any] = {"vllm_urls": f"{BASE}={vllm.url}/v1", "vllm_api_key": KEY, "vllm_max_loras": MAX_LORAS}
    with Trainer(tmp_path_factory.mktemp("trainer"), **settings) as trainer:
        yield trainer


@pytest.fixture(scope="module")
def trained(trainer: Trainer) -> FineTuningJob:
    job = trainer.wait_for_end(trainer.job(examples=12, epochs=3))
    assert job.status == "succeeded", trainer.messages(job)
    return job


@pytest.fixture(scope="module")
def models(trainer: Trainer, trained: FineTuningJob) -> list[str]:
    """The tuned model and three checkpoints."""
    checkpoints = trainer.openai.fine_tuning.jobs.checkpoints.list(trained.id).data
    assert trained.fine_tuned_model
    return [trained.fine_tuned_model, *(each.fine_tuned_model_checkpoint for each in checkpoints)]


def _ask(trainer: Trainer, model: str, said: str = "Hi", **more: Any) -> str:
    asked: Any = [{"role": "user", "content": said}]
    return str(trainer.openai.chat.completions.create(model=model, messages=asked, **more).choices[0].message.content)


def _stream(trainer: Trainer, said: str, **more: Any) -> Iterator[ChatCompletionChunk]:
    asked: Any = [{"role": "user", "content": said}]
    chunks: Any = trainer.openai.chat.completions.create(model=BASE, messages=asked, stream=True, **more)
    yield from chunks


def test_each_adapter_answers_under_a_name_that_is_used_once_and_few_are_loaded(
    trainer: Trainer, trained: FineTuningJob, models: list[str], vllm: Vllm
) -> None:
    assert _ask(trainer, BASE) == "I am /weights/tiny "
    folders = {model: _ask(trainer, model).removeprefix("I am ").strip() for model in models}
    assert [Path(folder).name for folder in folders.values()] == ["final", "step-9", "step-6", "step-3"]
    assert all(Path(folder).parent == trainer.job_folder(trained) for folder in folders.values())
    assert _ask(trainer, models[0]) == f"I am {folders[models[0]]} "
    loads = [line["name"] for line in vllm.told("load")]
    unloads = [line["name"] for line in vllm.told("unload")]
    assert len(set(loads)) == len(loads) == 5
    assert unloads == loads[:3]  # the one used longest ago, each time that a third one was needed
    _ask(trainer, models[0])
    assert len(vllm.told("load")) == 5


def test_an_answer_is_streamed_with_its_log_probabilities_and_counts(trainer: Trainer, vllm: Vllm) -> None:
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    chunks = list(
        _stream(
            trainer,
            "Hi",
            max_tokens=2,
            top_p=0,
            seed=5,
            stop=["never"],
            tools=tools,
            logprobs=True,
            top_logprobs=3,
            stream_options={"include_usage": True},
        )
    )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert [choice.delta.content for choice in choices if choice.delta.content] == ["I ", "am "]
    assert choices[-1].finish_reason == "length"
    entries = [entry for choice in choices if choice.logprobs for entry in choice.logprobs.content or []]
    assert [(entry.token, len(entry.top_logprobs)) for entry in entries] == [("I ", 3), ("am ", 3)]
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 2)
    asked = vllm.told("chat")[-1]["asked"]
    assert (asked["seed"], asked["stop"], asked["tool_choice"]) == (5, ["never"], "none")
    assert asked["model"] == "/weights/tiny"  # its only name for its base


def test_a_vllm_that_was_started_again_gets_the_adapter_again_under_a_new_name(
    trainer: Trainer, models: list[str], vllm: Vllm
) -> None:
    _ask(trainer, models[0])
    before = {line["name"] for line in vllm.told("load")}
    vllm.stop()
    with pytest.raises(InternalServerError, match="cannot be reached") as refused:
        _ask(trainer, models[0])
    assert (refused.value.status_code, refused.value.code) == (503, "serving_unreachable")
    assert int(refused.value.response.headers["retry-after"]) > 0
    vllm.start()
    assert _ask(trainer, models[0]).strip().endswith("final")
    assert vllm.told("load")[-1]["name"] not in before


def test_adapters_of_deleted_models_and_of_a_trainer_of_before_are_unloaded(trainer: Trainer, vllm: Vllm) -> None:
    job = trainer.wait_for_end(trainer.job(examples=12, epochs=1))
    assert job.fine_tuned_model
    _ask(trainer, job.fine_tuned_model)
    name = vllm.told("load")[-1]["name"]
    assert job.id in name
    trainer.openai.models.delete(job.fine_tuned_model)
    until(lambda: name in {line["name"] for line in vllm.told("unload")})


def test_what_vllm_refuses_is_told_in_our_words_without_its_key(trainer: Trainer) -> None:
    with pytest.raises(BadRequestError, match="maximum context length") as refused:
        _ask(trainer, BASE, "long " * 100)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")
    with pytest.raises(BadRequestError, match=re.escape("Bearer ***")) as refused:
        _ask(trainer, BASE, "tell the key")
    assert refused.value.code == "invalid_value"
    with pytest.raises(RateLimitError) as busy:
        _ask(trainer, BASE, "busy")
    assert int(busy.value.response.headers["retry-after"]) > 0


def test_a_stream_that_breaks_off_ends_with_an_error(trainer: Trainer, vllm: Vllm) -> None:
    chunks = _stream(trainer, "explode")
    assert [next(chunks).choices[0].delta.content for _ in range(2)] == ["", "I "]
    with pytest.raises(APIError) as refused:
        next(chunks)
    assert refused.value.code == "serving_failed"
    assert KEY not in str(refused.value)
    chunks = _stream(trainer, "wait")
    assert [next(chunks).choices[0].delta.content for _ in range(2)] == ["", "I "]
    vllm.stop()
    with pytest.raises(APIError) as refused:
        next(chunks)
    assert refused.value.code == "serving_ended"
    vllm.start()
    assert _ask(trainer, BASE)


@pytest.mark.parametrize(
    "chunk",
    [
        '{"choices": ["x"]}',
        '{"choices": 5}',
        '{"choices": [{"delta": "x"}]}',
        '{"choices": [{"delta": {"content": 5}}]}',
        '{"choices": [{"logprobs": ["x"]}]}',
        '{"usage": {"prompt_tokens": "many"}}',
        '{"usage": {"completion_tokens": Infinity}}',
    ],
)
def test_nonsense_from_something_like_vllm_is_told_as_such(trainer: Trainer, chunk: str) -> None:
    with pytest.raises(InternalServerError, match="does not answer as vLLM does") as refused:
        _ask(trainer, BASE, chunk)
    assert refused.value.code == "serving_misconfigured"
    chunks = _stream(trainer, chunk)
    assert [next(chunks).choices[0].delta.content for _ in range(2)] == ["", "I "]
    with pytest.raises(APIError) as broken:
        list(chunks)
    assert broken.value.code == "serving_misconfigured"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_its_answer_in_vllm(trainer: Trainer, vllm: Vllm, stream: bool) -> None:
    def waiting() -> int:
        return sum(line["said"] == "wait" for line in vllm.told("chat"))

    left, before = len(vllm.told("left")), waiting()
    asked = [{"role": "user", "content": "wait"}]
    with trainer.chat_of_a_client_that_leaves(model=BASE, messages=asked, stream=stream):
        until(lambda: waiting() > before)
    until(lambda: len(vllm.told("left")) > left)


def test_adapters_that_vllm_cannot_load_and_wrong_keys_are_told(trainer: Trainer, vllm: Vllm) -> None:
    job = trainer.wait_for_end(trainer.job(examples=12, epochs=1, options={"rank": 32}))
    assert job.fine_tuned_model
    with pytest.raises(APIStatusError, match="--max-lora-rank") as refused:
        _ask(trainer, job.fine_tuned_model)
    assert (refused.value.status_code, refused.value.code) == (500, "serving_misconfigured")
    trainer.stop_and_start(vllm_api_key="another")
    with pytest.raises(APIStatusError, match="TRAINER_VLLM_API_KEY") as refused:
        _ask(trainer, BASE)
    assert "another" not in str(refused.value)
    trainer.stop_and_start(vllm_api_key=KEY)
    there = {line["name"] for line in vllm.told("load")} - {line["name"] for line in vllm.told("unload")}
    _ask(trainer, BASE)
    until(lambda: there <= {line["name"] for line in vllm.told("unload")} | _lost(vllm))


def _lost(vllm: Vllm) -> set[str]:
    """Adapters of a vLLM that has ended since."""
    return {line["name"] for line in vllm.told("load") if line["pid"] != vllm.process.pid}
