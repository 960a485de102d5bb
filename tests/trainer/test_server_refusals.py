"""What the trainer refuses at once, and what it says when it cannot start."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import BadRequestError, NotFoundError

from tests.trainer import environment
from tests.trainer.trainer_process import BASE, KEY, Trainer, chats


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    with Trainer(tmp_path_factory.mktemp("trainer")) as trainer:
        yield trainer


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"rank": 0}, "provider_options.rank"),
        ({"rank": "8"}, "provider_options.rank"),
        ({"targets": []}, "provider_options.targets"),
        ({"lora": True}, "provider_options.lora"),
        ({"learning_rate": -1}, "provider_options.learning_rate"),
        ({"quantization": "8bit"}, "provider_options.quantization"),
        ({"packing": "yes"}, "provider_options.packing"),
        ({"shard": True}, "provider_options.shard"),
    ],
)
def test_a_wrong_option_is_named(trainer: Trainer, options: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        trainer.job(options=options)
    assert str(refused.value.param).startswith(param)


def test_what_the_trainer_does_not_do_is_refused_with_a_sentence(trainer: Trainer) -> None:
    file = trainer.upload(*chats(10))
    with pytest.raises(BadRequestError, match="supervised jobs can be packed"):
        trainer.openai.fine_tuning.jobs.create(
            model=BASE, training_file=file, method={"type": "dpo"}, extra_body={"provider_options": {"packing": True}}
        )
    reinforcement: Any = {"type": "reinforcement", "reinforcement": {"grader": {"type": "string_check"}}}
    with pytest.raises(BadRequestError, match="graders"):
        trainer.openai.fine_tuning.jobs.create(model=BASE, training_file=file, method=reinforcement)
    with pytest.raises(BadRequestError, match="not available for fine-tuning"):
        trainer.openai.fine_tuning.jobs.create(model="gpt-4.1", training_file=file)
    with pytest.raises(NotFoundError):
        trainer.openai.fine_tuning.jobs.create(model=BASE, training_file="file-unknown")
    wandb: Any = [{"type": "wandb", "wandb": {"project": "x"}}]
    with pytest.raises(BadRequestError, match="integrations"):
        trainer.openai.fine_tuning.jobs.create(model=BASE, training_file=file, integrations=wandb)


def test_another_key_gets_nothing(trainer: Trainer) -> None:
    answer = httpx2.get(f"{trainer.url}/v1/models", headers={"authorization": "Bearer sk-other"})
    assert answer.status_code == 401
    assert KEY not in answer.text


@pytest.mark.parametrize(
    ("environ", "arguments", "sentence"),
    [
        ({"TRAINER_API_KEY": ""}, (), "TRAINER_API_KEY"),
        ({"TRAINER_PYTHON": "/nowhere/python"}, (), "TRAINER_PYTHON"),
        ({}, ("--devices", ","), "--devices"),
        ({}, ("--devices", "gpu"), "--devices"),
        ({}, ("--devices", "cuda"), "--devices"),
        ({}, ("--save-every", "0"), "--save-every"),
        ({}, ("--devices", "cpu,cpu,cpu", "--devices-per-job", "2"), "--devices-per-job"),
        ({}, ("--devices", "cpu,cuda:0", "--devices-per-job", "2"), "mixes GPUs and the CPU"),
        ({}, ("--devices", "cuda:0,cuda:0", "--devices-per-job", "2"), "names a GPU twice"),
        ({}, ("--serving-devices", "gpu"), "--serving-devices"),
        ({}, ("--vllm-max-loras", "0"), "--vllm-max-loras"),
        ({}, ("--vllm-command", "vllm 'serve"), "--vllm-command"),
        ({}, ("--vllm-urls", "tiny"), "such as qwen=http"),
        ({}, ("--vllm-urls", "tiny=ftp://10.0.0.5"), "such as qwen=http"),
        ({}, ("--vllm-urls", "tiny=http://me:secret@10.0.0.5"), "TRAINER_VLLM_API_KEY"),
        ({}, ("--vllm-urls", "tiny=http://93.184.215.14:8000"), "a public address"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_a_sentence(
    tmp_path: Path, environ: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    said = _start(tmp_path, environ, *arguments)
    assert sentence in said
    assert "Traceback" not in said


def test_a_second_trainer_leaves_the_folder_alone(trainer: Trainer) -> None:
    assert "Another trainer" in _start(trainer.folder, {})


def _start(folder: Path, environ: dict[str, str], *arguments: str) -> str:
    """What a trainer that cannot start says."""
    given = {**os.environ, "TRAINER_API_KEY": KEY, "TRAINER_PYTHON": environment.python(), **environ}
    command = [sys.executable, "-m", "trainer", "--port", "0", "--folder", str(folder), *arguments]
    ended = subprocess.run(command, env=given, cwd=environment.ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    return ended.stderr
