"""Lists: whole however the provider pages, never empty by mistake, and at an end whatever the provider says."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.providers.stand_ins import LONG_AGO, Far
from worker.providers.errors import ProviderError

LISTS: dict[str, Callable[[Far], list[Any]]] = {
    "list_files": lambda far: far.provider.list_files(),
    "list_jobs": lambda far: far.provider.list_jobs(LONG_AGO),
    "job_pages": lambda far: [job for page in far.provider.job_pages() for job in page],
    "new_events": lambda far: far.provider.new_events(far.running_job().id, None),
    "checkpoints": lambda far: far.provider.checkpoints(far.running_job().id),
}
NO_LISTS: list[Any] = [None, [], "<html>", 5, {}, {"data": None}, {"data": {}}, {"data": "none"}, {"data": [5]}]


@pytest.fixture(params=LISTS)
def listing(request: pytest.FixtureRequest, far: Far) -> str:
    """Each method that reads a list of several pages."""
    name: str = request.param
    far.needs_list(name)
    return name


@pytest.mark.parametrize("body", NO_LISTS, ids=str)
def test_an_answer_that_is_no_list_does_not_pass_for_an_empty_one(far: Far, listing: str, body: Any) -> None:
    far.answer(listing, body)
    with pytest.raises(ProviderError) as failure:
        LISTS[listing](far)
    assert (failure.value.code, failure.value.retryable) == ("provider_unavailable", True)


@pytest.mark.parametrize("body", NO_LISTS, ids=str)
def test_a_search_does_not_find_nothing_in_an_answer_that_is_no_list(far: Far, body: Any) -> None:
    for method in ("find_jobs", "find_file"):
        far.answer(method, body)
    with pytest.raises(ProviderError):
        far.find_jobs("ftjob-1")
    with pytest.raises(ProviderError):
        far.provider.find_file("file-a.jsonl", 5, LONG_AGO)


def test_a_page_that_comes_again_ends_the_list(far: Far, listing: str) -> None:
    items = [far.stand_in.item(number) for number in (1, 2)]
    far.answer(listing, far.stand_in.page(items), times=5)
    assert len(LISTS[listing](far)) == 2


def test_pages_that_come_round_again_end_the_list(far: Far, listing: str) -> None:
    for _ in range(3):
        for number in (1, 2):
            far.answer(listing, far.stand_in.page([far.stand_in.item(number)]))
    assert len(LISTS[listing](far)) == (2 if far.stand_in.is_paged else 1)


def test_a_list_that_never_ends_is_given_up(far: Far, listing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not far.stand_in.is_paged:
        pytest.skip(f"{far.stand_in.name} has no pages: an answer without end is in test_hostile_answers")
    monkeypatch.setattr(far.stand_in.max_pages, 4)
    for number in range(6):
        far.answer(listing, far.stand_in.page([far.stand_in.item(number)]))
    with pytest.raises(ProviderError, match="more than 4 pages"):
        LISTS[listing](far)


def test_an_empty_page_ends_the_list(far: Far, listing: str) -> None:
    far.answer(listing, far.stand_in.page([far.stand_in.item(1)]))
    far.answer(listing, far.stand_in.page([]), times=5)
    assert len(LISTS[listing](far)) == 1


def test_a_page_that_fails_loses_the_list_and_not_the_rest_of_it(far: Far, listing: str) -> None:
    if far.stand_in.is_paged:
        far.answer(listing, far.stand_in.page([far.stand_in.item(1)]))
    far.fault(listing, drop="before")
    with pytest.raises(ProviderError):
        LISTS[listing](far)


@pytest.mark.parametrize("id", [None, "", 5, {"of": "a job"}], ids=str)
def test_a_job_of_ours_without_an_id_is_not_overlooked(far: Far, id: object) -> None:
    """To overlook it would create the job a second time."""
    far.job("ftjob-1")
    [raw] = far.raw_jobs()
    far.answer("find_jobs", far.stand_in.found(raw | {far.stand_in.id_field: id}))
    with pytest.raises(ProviderError):
        far.find_jobs("ftjob-1")
