"""The pages of models and the playground, without a browser."""

import json
from collections.abc import Iterator

import httpx2
import pytest

from api.dashboard.pages.playground import Answer
from tests.dashboard.furnished import finish
from tests.dashboard.signed_in import a_browser, sign_in
from tests.world import Person, work


@pytest.fixture
def browser(alice: Person) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        yield browser


def a_model(person: Person) -> tuple[str, str]:
    job = person.create_job(validation_file=person.upload())
    work(2)
    return job, finish(job)


def test_a_model_shows_what_it_came_from_and_is_deleted(alice: Person, browser: httpx2.Client) -> None:
    job, model = a_model(alice)
    assert model in browser.get("/models").text
    page = browser.get(f"/models/{model}").text
    shown = alice.http.get(f"/fine_tuning/jobs/{job}").json()
    for each in (job, shown["training_file"], shown["validation_file"], "gpt-4o-mini", f"{model}:ckpt-step-100"):
        assert each in page
    assert browser.post(f"/models/{model}/delete").headers["location"] == "/dashboard/models"
    assert browser.get(f"/models/{model}").status_code == 404
    answer = browser.post("/models/gpt-4o-mini/delete")
    assert answer.status_code == 403
    assert "is a base model" in answer.text


def test_another_projects_models_are_not_found(alice: Person, bob: Person) -> None:
    job, model = a_model(alice)
    with a_browser(bob.base_url) as browser:
        sign_in(browser, bob.api_key)
        for name in (model, f"{model}:ckpt-step-100"):
            assert browser.get(f"/models/{name}").status_code == 404
        assert browser.post(f"/models/{model}/delete").status_code == 404
        assert model not in browser.get("/models").text
        assert browser.get("/playground", params={"job": job}).status_code == 404
        answer = browser.post("/playground", data={"model": [model], "prompt": ["Hello"]})
        assert "does not exist or you do not have access" in answer.text


def test_models_answer_side_by_side_and_the_answers_are_downloaded(alice: Person, browser: httpx2.Client) -> None:
    job, _ = a_model(alice)
    page = browser.get("/playground", params={"job": job}).text
    assert "Question 0" in page
    asked = {"model": ["gpt-4o-mini", "no-such-model"], "prompt": ["<b>Hello</b>", ""], "temperature": "0"}
    page = browser.post("/playground", data=asked).text
    assert page.count('name="answer"') == 2
    assert "<b>Hello" not in page
    assert "&lt;b&gt;Hello" in page
    assert "no-such-model" in page
    record = json.dumps({"model": "m", "prompt": "p", "answer": "a", "error": ""})
    assert browser.post("/playground/answers.jsonl", data={"answer": [record]}).text == record + "\n"


def test_long_answers_in_any_script_are_downloaded(browser: httpx2.Client) -> None:
    record = Answer("m", "p", "\u0436" * 20_000).record
    assert len(record) < 20_100
    assert browser.post("/playground/answers.jsonl", data={"answer": [record]}).text == record + "\n"


def test_for_htmx_each_answer_is_a_part_of_its_own(alice: Person, browser: httpx2.Client) -> None:
    htmx = {"hx-request": "true"}
    asked = {"model": ["gpt-4o-mini"], "prompt": ["Hello"]}
    part = browser.post("/playground", data=asked, headers=htmx).text
    assert 'hx-post="/dashboard/playground/answer"' in part
    answer = browser.post("/playground/answer", data={"model": "gpt-4o-mini", "prompt": "Hello"}, headers=htmx).text
    assert "<html" not in answer
    assert 'name="answer"' in answer


def test_more_than_a_temperature_of_two_is_refused(browser: httpx2.Client) -> None:
    asked = {"model": ["gpt-4o-mini"], "prompt": ["Hello"], "temperature": "2.5"}
    assert browser.post("/playground", data=asked).status_code == 400
