"""Deployments at Azure's management address: what the suite of all providers does not ask."""

from dataclasses import replace

import pytest

from tests.providers.azure_application import account_at, switch
from tests.providers.azure_application import azure as azure
from tests.providers.deploying import OTHERS, OURS, Deploying
from tests.providers.openai_wires import AZURE_APPLICATION
from worker.providers.deploying import ProviderState
from worker.providers.errors import ProviderError

DEPLOYMENTS = AZURE_APPLICATION["calls"]["list_deployments"][1]
OPEN_MODEL = "gpt-oss-20b"


def test_while_another_operation_runs_nothing_is_made_and_it_is_tried_again(azure: Deploying) -> None:
    switch(azure, operations_conflict=1)
    with pytest.raises(ProviderError) as refusal:
        azure.create()
    assert (refusal.value.code, refusal.value.retryable, refusal.value.effect_unknown) == (
        "RequestConflict",
        True,
        False,
    )
    assert azure.found() == []
    made = azure.create()
    switch(azure, operations_conflict=1)
    with pytest.raises(ProviderError) as refusal:
        azure.deployer.delete_deployment(made.id)
    assert refusal.value.retryable
    azure.deployer.delete_deployment(made.id)
    assert azure.found() == []


def test_a_second_create_of_one_id_makes_nothing(azure: Deploying) -> None:
    assert azure.create().provider_status == "Accepted"
    azure.look(azure.create())
    assert azure.create().provider_status == "Creating"
    assert [each.id for each in azure.deployer.list_deployments()] == [OURS]


@pytest.mark.parametrize("word", ["Accepted", "Creating", "Updating", "Moving", "Deleting"])
def test_one_that_is_being_changed_is_not_ready(azure: Deploying, word: str) -> None:
    made = azure.create()
    azure.move(word=word)
    assert azure.look(made).state is ProviderState.STARTING


@pytest.mark.parametrize("word", ["Failed", "Canceled", "Disabled"])
def test_one_that_has_ended_badly_has_failed(azure: Deploying, word: str) -> None:
    made = azure.create()
    azure.move(word=word)
    assert azure.look(made).state is ProviderState.FAILED


def _open_one(azure: Deploying) -> None:
    job = azure.job("ftjob-open", model=OPEN_MODEL, provider_options={"trainingType": "GlobalStandard"})
    azure.sandbox.move(job.id, status="succeeded")
    model = azure.provider.get_job(job.id).fine_tuned_model or ""
    azure.new = replace(azure.new, model=model, base_model=OPEN_MODEL)


def test_an_open_base_has_the_format_of_its_maker_and_room_for_its_adapter(azure: Deploying) -> None:
    _open_one(azure)
    assert azure.look(azure.create()).state is ProviderState.STARTING


def test_too_little_room_for_the_adapter_of_an_open_base_fails_in_azures_words(azure: Deploying) -> None:
    _open_one(azure)
    azure.new = replace(azure.new, provider_options={"capacity": 1})
    seen = azure.look(azure.create())
    assert (seen.state, seen.error) == (ProviderState.FAILED, "Failed to load LoRA")


def test_another_format_is_sent_if_it_is_asked_for(azure: Deploying) -> None:
    _open_one(azure)
    azure.new = replace(azure.new, provider_options={"format": "OpenAI-OSS"})
    with pytest.raises(ProviderError) as failure:
        azure.create()
    assert failure.value.status == 500


def test_all_pages_of_the_list_are_read(azure: Deploying) -> None:
    switch(azure, page_size=1)
    made = [azure.create().id, azure.create(OTHERS).id]
    assert [each.id for each in azure.deployer.list_deployments()] == made


@pytest.mark.parametrize("link", ["http://169.254.169.254/x?$skip=1&api-version=1", "file:///etc/passwd", "not a link"])
def test_the_next_page_is_asked_for_at_our_own_address(azure: Deploying, link: str) -> None:
    azure.create()
    azure.answer("list_deployments", {"value": [], "nextLink": link})
    if "api-version" in link:
        assert azure.deployer.list_deployments() == []  # what it asks for, of the account itself
    else:
        with pytest.raises(ProviderError):
            azure.deployer.list_deployments()


def test_a_list_that_goes_round_ends(azure: Deploying) -> None:
    again = {"value": [], "nextLink": f"{azure.sandbox.address}{DEPLOYMENTS}?api-version=2024-10-01"}
    azure.answer("list_deployments", again, times=200)
    with pytest.raises(ProviderError) as failure:
        azure.deployer.list_deployments()
    assert "pages" in failure.value.message


def test_an_account_with_a_key_deploys_nothing(azure: Deploying) -> None:
    keyed = account_at(azure, options=())
    for call in (keyed.list_deployments, lambda: keyed.create_deployment(azure.new)):
        with pytest.raises(ProviderError) as refusal:
            call()
        assert (refusal.value.code, refusal.value.retryable) == ("unsupported_by_provider", False)
