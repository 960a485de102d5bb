"""The pages of models and the playground, without a browser."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from api.auth import last_used
from api.dashboard.asking.answers import Answer
from shared.jobs.models import TunedModel
from tests.api.test_chat import question
from tests.api.training import model_of, train
from tests.dashboard.furnished import finish
from tests.dashboard.signed_in import a_browser, sign_in
from tests.dashboard.test_many_jobs import statements
from tests.worker.support import change
from tests.worker.support import ids as ids_of_table
from tests.world import Person, Sandbox, row, work


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


def test_a_list_of_many_models_asks_the_database_as_often_as_one_of_few(alice: Person, browser: httpx2.Client) -> None:
    counts = []
    for _ in range(2):
        for _ in range(4):
            finish(alice.create_job())
        asked = set()
        for _ in range(3):  # now and then something is looked up anew, or the last use of the key is noted
            with statements("SELECT") as found:
                text = browser.get("/models").text
            asked.add(len(found))
        counts.append((text.count("/models/ft%3A"), min(asked)))
    assert counts == [(4, counts[0][1]), (8, counts[0][1])]


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


def test_the_address_keeps_what_is_asked_and_asks_nothing(browser: httpx2.Client) -> None:
    asked = {"model": ["gpt-4o-mini"], "prompt": ["First", "Second"], "system": "Be brief", "max_tokens": "7"}
    page = browser.get("/playground", params=asked).text
    for each in ("First</textarea>", "Second</textarea>", "Be brief</textarea>", 'name="max_tokens" value="7"'):
        assert each in page
    assert 'name="answer"' not in page
    assert browser.get("/playground", params={"prompt": ["x"] * 9}).status_code == 400


def test_rows_are_filled_in_beside_what_was_typed(alice: Person, browser: httpx2.Client) -> None:
    file = alice.upload()
    work(2)
    typed = {"system": "Be brief", "prompt": ["Mine", ""], "temperature": "1", "file": file, "rows": ""}
    page = browser.post("/playground/rows", data=typed).text
    for each in ("Mine", "Question 0", "Question 2", "Be brief"):
        assert f"{each}</textarea>" in page
    assert "Question 3</textarea>" not in page
    assert 'name="temperature" value="1"' in page
    refused = browser.post("/playground/rows", data={**typed, "rows": "8"})
    assert refused.status_code == 400
    assert "There is room for 7 more prompts" in refused.text
    assert "Mine</textarea>" in refused.text


def test_the_first_rows_of_a_file_become_prompts(alice: Person, bob: Person, browser: httpx2.Client) -> None:
    file = alice.upload()
    work(2)
    page = browser.get("/playground", params={"file": file, "rows": 5}).text
    assert all(f"Question {number}</textarea>" in page for number in range(5))
    assert "Question 5</textarea>" not in page
    with a_browser(bob.base_url) as other:
        sign_in(other, bob.api_key)
        assert other.get("/playground", params={"file": file}).status_code == 404


WRONG: dict[str, tuple[Any, str]] = {
    "temperature": ("2.5", "Temperature: A number from 0 to 2"),
    "max_tokens": ("0", "Most tokens: A whole number"),
    "model": (["a", "b", "c", "d", "e"], "Choose up to 4 models"),
}


@pytest.mark.parametrize("field", WRONG)
def test_what_is_wrong_is_told_beside_all_that_was_typed(browser: httpx2.Client, field: str) -> None:
    wrong, sentence = WRONG[field]
    asked = {"model": ["gpt-4o-mini"], "prompt": ["Hello", "Again"], "system": "Be brief", field: wrong}
    for answer in (browser.post("/playground", data=asked), browser.get("/playground", params=asked)):
        assert answer.status_code == 400
        for each in (sentence, "Hello</textarea>", "Again</textarea>", "Be brief</textarea>"):
            assert each in answer.text
        for each in wrong if isinstance(wrong, list) else [wrong]:
            assert f'value="{each}"' in answer.text
    part = browser.post("/playground", data=asked, headers={"hx-request": "true"})
    assert (part.status_code, part.headers["hx-retarget"]) == (400, "#messages")
    assert sentence in part.text


def test_a_model_shows_when_it_was_last_asked(alice: Person, browser: httpx2.Client, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    assert alice.http.get(f"/models/{name}").json()["last_used_at"] is None
    assert "never" in browser.get("/models").text
    alice.openai.chat.completions.create(model=name, messages=question())
    last_used.writer.submit(int).result()  # it stands behind
    used_at = alice.http.get(f"/models/{name}").json()["last_used_at"]
    assert time.time() - 60 < used_at <= time.time()
    listed = {each["id"]: each["last_used_at"] for each in alice.http.get("/models").json()["data"]}
    assert listed[name] == used_at
    assert [each for each in listed.values() if each] == [used_at], "the base models were not asked"
    for page in ("/models", f"/models/{name}"):
        shown = browser.get(page).text
        assert "never" not in shown
        assert "Last asked" in shown


def test_the_last_use_of_a_model_is_written_once_a_minute_and_for_its_project_alone(
    alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    name = model_of(train(alice, sandbox))
    id = ids_of_table(TunedModel)[0]
    last_used.write_asked(bob.project_id, name)
    assert row(TunedModel, id).last_used_at is None
    last_used.write_asked(alice.project_id, name)
    first = row(TunedModel, id).last_used_at
    last_used.write_asked(alice.project_id, name)
    assert row(TunedModel, id).last_used_at == first
    change(TunedModel, id, last_used_at=first - last_used.WRITE_INTERVAL)
    last_used.write_asked(alice.project_id, name)
    assert row(TunedModel, id).last_used_at > first
