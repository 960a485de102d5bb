"""What only Nebius' deployments do: names, lists and times in more than one form, a first answer without a status."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.providers.nebius import Nebius, done, supervised
from worker.providers.deploying import NewDeployment, ProviderState
from worker.providers.errors import ProviderError
from worker.providers.nebius import deploying


def deployable(nebius: Nebius, **values: Any) -> NewDeployment:
    job = nebius.provider.get_job(done(nebius, **values))
    return NewDeployment("dep_01m8aaaaaaaaaaaaaaaaaaaaaa", job.fine_tuned_model or "", job.id, None, job.model or "")


@pytest.mark.parametrize("lists_bare", [True, False])
def test_deployed_models_are_found_in_either_form_of_their_list(nebius: Nebius, lists_bare: bool) -> None:
    nebius.sandbox.http.post("/sandbox/nebius", json={"lists_bare": lists_bare}).raise_for_status()
    made = nebius.provider.create_deployment(deployable(nebius))
    assert [each.id for each in nebius.provider.find_deployments("dep_01m8aaaaaaaaaaaaaaaaaaaaaa")] == [made.id]


def test_an_adapter_is_served_beside_its_base_which_has_another_name_there(nebius: Nebius) -> None:
    new = deployable(nebius)
    made = nebius.provider.create_deployment(new)
    assert made.id.startswith(f"meta-llama/Meta-Llama-3.1-8B-Instruct-LoRa:{new.id}-")
    assert made.chat_model == made.id


def test_the_first_answer_about_a_deployment_says_no_status(nebius: Nebius) -> None:
    new = deployable(nebius)
    made = nebius.provider.create_deployment(new)
    looks = [nebius.provider.advance_deployment(new, made.id) for _ in range(2)]
    assert [look.provider_status for look in looks] == ["", "validating"]
    assert [look.state for look in looks] == [ProviderState.STARTING, ProviderState.STARTING]


def test_a_checkpoint_is_deployed_by_its_own_id(nebius: Nebius) -> None:
    new = deployable(nebius, method=supervised(n_epochs=3, batch_size=4))
    first = nebius.provider.checkpoints(new.provider_job_id)[0]
    nebius.provider.create_deployment(replace(new, provider_checkpoint_id=first.id))
    [deployed] = nebius.sandbox.http.get("/sandbox/deployments").json()["data"]
    assert deployed["model"].endswith(f":ckpt-step-{first.step_number}")


@pytest.mark.parametrize("values", [{"model": "Qwen/Qwen3-0.6B"}, {"provider_options": {"full": True}}], ids=str)
def test_what_cannot_be_served_so_is_refused_in_its_words(nebius: Nebius, values: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="cannot be served beside") as refusal:
        nebius.provider.create_deployment(deployable(nebius, **values))
    assert not refusal.value.retryable


def test_a_job_without_a_checkpoint_cannot_be_deployed(nebius: Nebius) -> None:
    new = replace(deployable(nebius), provider_job_id=nebius.running_job().id)
    with pytest.raises(ProviderError, match="no checkpoint"):
        nebius.provider.create_deployment(new)


@pytest.mark.parametrize(
    "time", [1_800_000_000, "2027-01-15T08:00:00Z", "2027-01-15T08:00:00", "soon", None, "9999-12-31"]
)
def test_a_time_is_read_in_any_form_that_it_may_have(time: Any) -> None:
    read = deploying.deployment({"name": "any", "created_at": time}).created_at
    assert read == (None if time in {"soon", None, "9999-12-31"} else datetime(2027, 1, 15, 8, tzinfo=UTC))
