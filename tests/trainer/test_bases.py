"""`trainer base`: what is added is whole and checked, what cannot be trained is refused with a sentence."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.trainer import environment
from trainer.bases import Refused, find, listed
from trainer.bases.licences import licence_of

ROOT = environment.ROOT
Trainer = Callable[..., subprocess.CompletedProcess[str]]
MOUTHLESS = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
FORGETFUL = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and not loop.last %}…{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """`trainer("base", "list")`, with a state of its own."""
    monkeypatch.setenv("TRAINER_PYTHON", environment.python())
    monkeypatch.setenv("TRAINER_FOLDER", str(tmp_path / "state"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "trainer", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(environment.tiny_base(), tmp_path / "Tiny Llama"))


def change(file: Path, **fields: Any) -> None:
    said = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in (said | fields).items() if value is not None}))


@pytest.mark.timeout(300)
def test_a_folder_is_checked_linked_listed_and_removed(trainer: Trainer, weights: Path, tmp_path: Path) -> None:
    (weights / "README.md").write_text("---\nlicense: mit\n---\n# Tiny\n")
    added = trainer("base", "add", str(weights))
    assert added.returncode == 0, added.stderr
    assert "tiny-llama: " in added.stdout
    assert "licence        mit" in added.stdout
    assert "<|im_end|>" in added.stdout
    base = find(tmp_path / "state", "tiny-llama")
    assert (base.context, base.layers, base.hidden, base.dtype) == (512, 2, 64, "bfloat16")
    assert (base.licence, base.learning_rate, base.source) == ("mit", 1e-3, str(weights))
    assert base.parameters > 10_000
    assert Path(base.folder).is_symlink()
    assert Path(base.folder).resolve() == weights
    assert [each["name"] for each in json.loads(trainer("base", "list", "--json").stdout)] == ["tiny-llama"]

    again = trainer("base", "add", str(weights))
    assert again.returncode == 1
    assert "There is a base tiny-llama already" in again.stderr
    job = tmp_path / "state" / "jobs" / "ftjob-1"
    job.mkdir(parents=True)
    (job / "job.json").write_text('{"base_name": "tiny-llama"}')
    assert "1 jobs were trained on tiny-llama" in trainer("base", "remove", "tiny-llama").stderr
    assert trainer("base", "remove", "tiny-llama", "--anyway").returncode == 0
    assert listed(tmp_path / "state") == []
    assert (weights / "config.json").exists()


def without_configuration(weights: Path) -> None:
    (weights / "config.json").unlink()


def without_template(weights: Path) -> None:
    (weights / "chat_template.jinja").unlink()


def forgetful(weights: Path) -> None:
    (weights / "chat_template.jinja").write_text(FORGETFUL)


def mouthless(weights: Path) -> None:
    (weights / "chat_template.jinja").write_text(MOUTHLESS)


def cut_off(weights: Path) -> None:
    file = weights / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def without_weights(weights: Path) -> None:
    (weights / "model.safetensors").rename(weights / "pytorch_model.bin")


def encoder(weights: Path) -> None:
    change(weights / "config.json", architectures=["LlamaForSequenceClassification"])


def sees_pictures(weights: Path) -> None:
    change(weights / "config.json", architectures=["CLIPModel"], model_type="clip")


def of_an_unknown_kind(weights: Path) -> None:
    change(weights / "config.json", model_type="nobodys-model")


def of_another_shape(weights: Path) -> None:
    change(weights / "config.json", num_hidden_layers=3)


SPOILED: dict[Callable[[Path], None], str] = {
    without_configuration: "It has no config.json",
    without_template: "It has no chat template",
    forgetful: "writes earlier turns in another way once later ones follow",
    mouthless: "does not end an answer with a token at which it stops",
    cut_off: "model.safetensors is damaged or cut off",
    without_weights: "It has no safetensors",
    encoder: "It is no causal language model (LlamaForSequenceClassification)",
    sees_pictures: "it reads pictures, and only texts are trained",
    of_an_unknown_kind: "cannot read its config.json",
    of_another_shape: "Its files lack weights",
}
EXAMINE_EACH = """
import sys
from pathlib import Path
from trainer.bases.examine import Unfit, main
for folder in sys.argv[1:]:
    try:
        print(main(Path(folder)))
    except Unfit as reason:
        print(reason)
"""


@pytest.mark.timeout(300)
def test_what_cannot_be_trained_has_a_sentence_that_says_why(tmp_path: Path) -> None:
    """All in one process, since importing transformers takes most of the time."""
    folders = [Path(shutil.copytree(environment.tiny_base(), tmp_path / spoil.__name__)) for spoil in SPOILED]
    for spoil, folder in zip(SPOILED, folders, strict=True):
        spoil(folder)
    command = [environment.python(), "-c", EXAMINE_EACH, *map(str, folders)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line for line, sentence in zip(said, SPOILED.values(), strict=True) if sentence not in line] == []


@pytest.mark.timeout(300)
def test_a_refused_folder_leaves_nothing(trainer: Trainer, weights: Path, tmp_path: Path) -> None:
    without_template(weights)
    refused = trainer("base", "add", str(weights))
    assert refused.returncode == 1
    assert refused.stderr.strip().startswith("This cannot be a base. It has no chat template")
    assert "Traceback" not in refused.stderr
    assert [path.name for path in (tmp_path / "state" / "bases").iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "nowhere is no folder and no .gguf file here, and none of the packages that are known"),
        ([".", "--name", "../x"], "'../x' is no name for a base"),
        ([".", "--name", "Ünnamed"], "is no name for a base"),
    ],
)
def test_a_wrong_source_or_name_is_told(trainer: Trainer, arguments: list[str], sentence: str) -> None:
    said = trainer("base", "add", *arguments)
    assert said.returncode == 1
    assert sentence in said.stderr


@pytest.mark.timeout(300)
def test_a_base_whose_adding_was_killed_is_not_there_and_can_be_added_again(
    trainer: Trainer, weights: Path, tmp_path: Path
) -> None:
    bases = tmp_path / "state" / "bases"
    adding = subprocess.Popen([sys.executable, "-m", "trainer", "base", "add", str(weights)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not list(bases.glob(".adding-*/weights")) and time.monotonic() < deadline:
        time.sleep(0.01)
    adding.send_signal(signal.SIGKILL)
    adding.wait()
    assert listed(tmp_path / "state") == []
    assert trainer("base", "add", str(weights)).returncode == 0
    assert [base.name for base in listed(tmp_path / "state")] == ["tiny-llama"]
    assert sorted(path.name for path in bases.iterdir()) == [".lock", "tiny-llama"]


def test_a_base_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"There is no base 'x' here\. There are: none yet"):
        find(tmp_path, "x")


@pytest.mark.parametrize(
    ("file", "text", "licence"),
    [
        ("LICENSE", "\n  Apache License\n  Version 2.0", "apache-2.0"),
        ("README.md", "---\nlanguage: en\nlicense: 'llama3.1'\n---", "llama3.1"),
        ("README.md", "No head", None),
    ],
)
def test_the_licence_is_read_from_the_folder(tmp_path: Path, file: str, text: str, licence: str | None) -> None:
    (tmp_path / file).write_text(text)
    assert licence_of(tmp_path) == licence
