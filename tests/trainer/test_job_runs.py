"""A job from its first line to its model, and the same job stopped in every way: each loss must be the same."""

import json
import random
import signal
from pathlib import Path

import pytest

from tests.trainer import jobs

pytestmark = pytest.mark.timeout(1800)  # a process imports torch for ten seconds, or a minute on a busy machine
LAST_STEP, LAST_OF_EPOCH = 18, (6, 12, 18)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job that nobody stopped."""
    folder = jobs.write(tmp_path_factory.mktemp("jobs") / "whole")
    assert jobs.run(folder) == 0, (folder / "stderr.log").read_text()
    return folder


def test_it_tells_each_step_and_validates_before_and_after_each_epoch(whole: Path) -> None:
    lines = jobs.lines(whole)
    assert (lines[0]["event"], lines[-1]["event"]) == ("started", "done")
    assert (lines[0]["n_train"], lines[0]["n_valid"]) == (23, 5)
    assert (lines[0]["total_steps"], lines[0]["steps_per_epoch"], lines[0]["resumed_from"]) == (18, 6, None)
    assert lines[-1]["trained_tokens"] == 3 * lines[0]["tokens_per_epoch"] > 0
    assert list(jobs.told(whole, "step")) == list(range(1, LAST_STEP + 1))
    assert list(jobs.told(whole, "valid")) == [0, *LAST_OF_EPOCH]


def test_it_learns(whole: Path) -> None:
    steps, valid = jobs.told(whole, "step"), jobs.told(whole, "valid")
    assert steps[LAST_STEP]["train_loss"] < steps[1]["train_loss"] - 0.3
    assert valid[LAST_STEP]["valid_loss"] < valid[0]["valid_loss"] - 0.3
    assert valid[LAST_STEP]["valid_mean_token_accuracy"] > valid[0]["valid_mean_token_accuracy"]


def test_the_ends_of_the_last_epochs_stay(whole: Path) -> None:
    told = {step: line["epoch_end"] for step, line in jobs.told(whole, "checkpoint").items()}
    assert told == {4: False, 6: True, 8: False, 12: True, 16: False, 18: True}
    assert sorted(path.name for path in whole.glob("step-*")) == ["step-12", "step-18"]


def test_the_model_is_an_adapter_with_a_card_and_nothing_else(whole: Path) -> None:
    assert {path.name for path in (whole / "final").iterdir()} == {
        *("README.md", "adapter_config.json", "adapter_model.safetensors"),
        *("chat_template.jinja", "tokenizer.json", "tokenizer_config.json"),
    }
    assert json.loads((whole / "final" / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"
    card = (whole / "final" / "README.md").read_text()
    assert "# ft:tiny:test" in card
    assert str(whole.parent) not in card
    assert f"| 18 | {jobs.told(whole, 'step')[18]['train_loss']:.4f} |" in card
    assert not (whole / "partial").exists()


def test_killed_and_paused_it_ends_as_if_nobody_had_stopped_it(whole: Path, tmp_path: Path) -> None:
    folder = jobs.write(tmp_path / "stopped")
    with jobs.running(folder) as job:
        job.wait_for("step", random.randint(1, 9))
        job.kill()
    with jobs.running(folder) as job:
        job.wait_for("started", 2)
        job.wait_for("step", len(jobs.told(folder, "step")) + 2)
        assert job.process.stdin
        job.process.stdin.close()  # the server died
        assert job.end() == 75
        told = jobs.lines(folder)
        assert told[-1]["event"] == "paused"
        assert (folder / f"step-{told[-1]['step']}" / "optimizer.pt").exists()
    with jobs.running(folder) as job:
        job.wait_for("done")
        while job.process.poll() is None:  # its server asks it so, since it has nothing more to do
            job.process.send_signal(signal.SIGUSR1)
        assert job.end() == 0, (folder / "stderr.log").read_text()
    assert jobs.lines(folder)[-1]["event"] == "done"
    for event, value in (("step", "train_loss"), ("step", "grad_norm"), ("valid", "valid_loss")):
        wanted = {step: line[value] for step, line in jobs.told(whole, event).items()}
        found = {step: line[value] for step, line in jobs.told(folder, event).items()}
        assert found == pytest.approx(wanted, abs=1e-6)
    model = Path("final", "adapter_model.safetensors")
    assert (folder / model).read_bytes() == (whole / model).read_bytes()


def test_preferences_are_learnt_from_the_model_that_it_starts_from_and_it_is_cancelled(
    whole: Path, tmp_path: Path
) -> None:
    """The reference is that model, so before the first step the margins are 0 and the loss is the logarithm of 2."""
    folder = tmp_path / "preferences"
    files = {name: tmp_path / f"{name}.jsonl" for name in ("train", "valid")}
    given = {name: str(jobs.data(path, jobs.preference, 8)) for name, path in files.items()}
    jobs.write(folder, method="dpo", from_adapter=str(whole / "step-18"), n_epochs=500, learning_rate=0.01, **given)
    with jobs.running(folder) as job:
        job.wait_for("valid", 4)
        job.process.send_signal(signal.SIGUSR1)
        assert job.end() == 0
    valid, last = jobs.told(folder, "valid"), jobs.lines(folder)[-1]
    assert valid[0]["valid_loss"] == pytest.approx(0.6931, abs=1e-3)
    assert valid[0]["rewards_margins"] == pytest.approx(0, abs=1e-3)
    assert valid[6]["rewards_margins"] > 0.001
    assert jobs.told(folder, "step")[6]["rewards_accuracies"] > 0.5
    assert last["event"] == "cancelled"
    assert not (folder / f"step-{last['step']}").exists() or last["step"] % 2 == 0
    assert not (folder / "final").exists()
    assert not (folder / "partial").exists()
