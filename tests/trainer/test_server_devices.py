"""A slot of several devices, and what is said of it on the wire."""

from pathlib import Path

import pytest
from openai import BadRequestError

from tests.trainer.trainer_process import BASE, Trainer, chats


@pytest.mark.timeout(900)
def test_a_job_trains_on_all_devices_of_its_slot(tmp_path: Path) -> None:
    with Trainer(tmp_path, devices="cpu,cpu", devices_per_job=2) as trainer:
        job = trainer.wait_for_end(trainer.job(examples=10, epochs=1))
        assert job.status == "succeeded", trainer.messages(job)
        assert list(trainer.losses(job)) == [1, 2, 3]
        card = trainer.job_folder(job) / "final" / "README.md"
        assert "| devices | 2 CPUs |" in card.read_text()


@pytest.mark.timeout(300)
def test_preferences_are_not_sharded(tmp_path: Path) -> None:
    with Trainer(tmp_path, devices="cpu,cpu", devices_per_job=2) as trainer:
        with pytest.raises(BadRequestError, match="Only supervised jobs can be sharded: leave shard out") as refused:
            trainer.openai.fine_tuning.jobs.create(
                model=BASE,
                training_file=trainer.upload(*chats(10)),
                method={"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 1}}},
                extra_body={"provider_options": {"shard": True}},
            )
        assert refused.value.param == "provider_options.shard"
