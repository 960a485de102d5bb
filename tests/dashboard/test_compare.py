"""Jobs beside each other: what differs, their losses and curves, and which jobs may be chosen."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from io import StringIO
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect
from sqlalchemy.dialects.postgresql import insert

from shared.database import transaction
from shared.jobs.models import JobEvent
from tests.api.training import move
from tests.dashboard.signed_in import a_browser, sign_in
from tests.dashboard.visitor import Visitor
from tests.world import Person, Sandbox

HOSTILE = "<img src=x onerror=alert(1)>"
HERE = "/jobs/compare"


@pytest.fixture
def reader(alice: Person) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        yield browser


def told(person: Person, data: list[dict[str, Any]], **values: Any) -> str:
    """A job of which the provider has told these metrics."""
    job_id = person.create_job(**values)
    made: dict[str, Any] = {"project_id": person.project_id, "job_id": job_id, "type": "metrics", "message": ""}
    with transaction() as session:
        session.exec(insert(JobEvent), params=[JobEvent(**made, data=each).model_dump() for each in data])
    return job_id


def steps(count: int, first: float = 2.0) -> list[dict[str, Any]]:
    """Losses that fall, with a validation at each tenth step."""
    return [
        {"step": step, "train_loss": first / step} | ({"valid_loss": 3 * first / step} if step % 10 == 0 else {})
        for step in range(1, count + 1)
    ]


def of(*ids: str, **more: Any) -> dict[str, Any]:
    return {"job": list(ids), **more}


def rows(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(StringIO(answer.text)))


def test_the_table_has_only_the_parameters_that_differ(alice: Person, reader: httpx2.Client) -> None:
    file = alice.upload()
    ids = [alice.create_job(training_file=file, seed=7, hyperparameters={"n_epochs": count}) for count in (2, 3)]
    page = reader.get(HERE, params=of(*ids)).text
    assert [name for name in ("n_epochs", "seed", "model", "training_file") if f"<bdi>{name}</bdi>" in page] == [
        "n_epochs"
    ]
    assert "8 other parameters are the same" in page
    assert [row["n_epochs"] for row in rows(reader.get(f"{HERE}/table.csv", params=of(*ids)))] == ["2", "3"]
    same = reader.get(HERE, params=of(ids[0], ids[0])).text
    assert same.count(f'href="/dashboard/jobs/{ids[0]}"') == 1
    assert "With a second job" in same


def test_losses_are_the_best_the_last_and_those_at_a_step(alice: Person, reader: httpx2.Client) -> None:
    rising = [{"step": 1, "valid_loss": 0.5}, {"step": 2, "valid_loss": 0.25}, {"step": 3, "valid_loss": 0.75}]
    job, other = told(alice, rising), told(alice, steps(20))
    one, two = rows(reader.get(f"{HERE}/table.csv", params=of(job, other, step=12)))
    assert (one["best_valid_loss"], one["best_valid_loss_step"], one["last_valid_loss"]) == ("0.25", "2", "0.75")
    assert (one["best_train_loss"], one["chosen_valid_loss_step"]) == ("", "3")
    assert (two["best_valid_loss_step"], two["chosen_valid_loss"], two["chosen_valid_loss_step"]) == ("20", "0.6", "10")
    page = reader.get(HERE, params=of(job, other, step=12)).text
    assert "Validation loss at step 12" in page
    assert page.count(", the lowest") == 3


def test_a_value_that_is_no_number_is_no_loss(alice: Person, reader: httpx2.Client) -> None:
    job = told(
        alice, [{"step": 1, "valid_loss": "NaN"}, {"step": 2, "valid_loss": 1e300}, {"step": "x", "valid_loss": 0}]
    )
    [row] = rows(reader.get(f"{HERE}/table.csv", params=of(job)))
    assert row["best_valid_loss_step"] == "2"
    assert reader.get(f"{HERE}/curves", params=of(job)).json()["series"][0]["data"] == [[2, 1e300]]


def test_a_job_without_metrics_says_so(alice: Person, reader: httpx2.Client) -> None:
    silent = alice.create_job()
    assert "no metrics yet" in reader.get(HERE, params=of(silent, told(alice, steps(3)))).text
    assert "No metrics yet" in reader.get(f"{HERE}/curves", params=of(silent)).json()["title"]["text"]


def test_a_ninth_job_is_refused_in_words(alice: Person, reader: httpx2.Client) -> None:
    file = alice.upload()
    ids = [alice.create_job(training_file=file) for _ in range(9)]
    answer = reader.get(HERE, params=of(*ids))
    assert (answer.status_code, answer.text.count('class="remove"')) == (400, 8)
    assert f"At most 8 jobs can be compared: these are the first, without {ids[8]}" in answer.text
    for part in ("curves", "table.csv", "curves.csv", "live"):
        assert reader.get(f"{HERE}/{part}", params=of(*ids)).status_code == 400
    assert reader.get(HERE, params=of(*ids[:8])).status_code == 200


def test_another_projects_job_is_not_found_and_the_page_says_which(
    alice: Person, bob: Person, reader: httpx2.Client
) -> None:
    mine, hidden = alice.create_job(), told(bob, steps(3), suffix="secret")
    answers = [reader.get(HERE, params=of(mine, id)) for id in (hidden, "ftjob-0")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert f"No such fine-tuning job: {hidden}" in answers[0].text
    assert answers[0].text.replace(hidden, "ftjob-0") == answers[1].text
    assert "secret" not in answers[0].text
    for part in ("curves", "table.csv", "curves.csv", "live"):
        answer = reader.get(f"{HERE}/{part}", params=of(mine, hidden))
        assert (answer.status_code, hidden in answer.text, "secret" in answer.text) == (404, True, False), part


def test_what_cannot_be_is_told(reader: httpx2.Client) -> None:
    for query in ("curve=odd", "step=-1", "step=x", "smooth=1", f"job={'x' * 65}"):
        assert reader.get(f"{HERE}?{query}").status_code == 400, query
    assert reader.get(f"{HERE}?step=&job=").status_code == 200


def test_names_are_text_on_the_page_and_no_formula_in_a_spreadsheet(alice: Person, reader: httpx2.Client) -> None:
    ids = [alice.create_job(suffix="=1+1", metadata={HOSTILE: HOSTILE}), alice.create_job(suffix=HOSTILE)]
    page = reader.get(HERE, params=of(*ids)).text
    assert ("<img" in page, "&lt;img" in page) == (False, True)
    assert [row["name"] for row in rows(reader.get(f"{HERE}/table.csv", params=of(*ids)))] == ["'=1+1", HOSTILE]


def test_the_curves_have_each_step_of_each_job(alice: Person, reader: httpx2.Client) -> None:
    ids = [told(alice, steps(20)), told(alice, steps(15, 1.0))]
    found = rows(reader.get(f"{HERE}/curves.csv", params=of(*ids)))
    by_api = [
        {"job": id, **{name: "" if value is None else str(value) for name, value in point.items()}}
        for id in ids
        for point in alice.http.get(f"/fine_tuning/jobs/{id}/metrics").json()["points"]
    ]
    assert [{name: _number(text) for name, text in row.items()} for row in found] == [
        {name: _number(text) for name, text in row.items()} for row in by_api
    ]


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def test_kinds_are_chosen_and_smoothing_is_of_the_training(alice: Person, reader: httpx2.Client) -> None:
    ids = [told(alice, steps(20)), told(alice, steps(20, 1.0))]

    def series(**more: Any) -> dict[str, Any]:
        answer: Any = reader.get(f"{HERE}/curves", params=of(*ids, **more)).json()
        return {each["name"]: each for each in answer["series"]}

    assert series().keys() == {"A · training", "A · validation", "B · training", "B · validation"}
    assert series(curve="valid").keys() == {"A · validation", "B · validation"}
    smooth, plain = series(smooth=0.9), series()
    assert smooth["A · training"]["data"] != plain["A · training"]["data"]
    assert smooth["A · validation"]["data"] == plain["A · validation"]["data"]


def test_the_tooltip_tells_one_curve_of_each_job_where_there_are_many(alice: Person, reader: httpx2.Client) -> None:
    file = alice.upload()
    ids = [told(alice, steps(10), training_file=file) for _ in range(5)]

    def told_of(*ids: str) -> set[str]:
        series = reader.get(f"{HERE}/curves", params=of(*ids)).json()["series"]
        return {each["name"] for each in series if each.get("tooltip", {}).get("show", True)}

    assert told_of(*ids[:4]) == {f"{letter} · {kind}" for letter in "ABCD" for kind in ("training", "validation")}
    assert told_of(*ids) == {f"{letter} · validation" for letter in "ABCDE"}


def test_the_page_follows_its_jobs_until_the_last_has_ended(alices: Visitor, alice: Person, sandbox: Sandbox) -> None:
    first, second = (alice.create_job(suffix=name, validation_file=alice.upload()) for name in ("first", "second"))
    alices.open(f"{HERE}?job={first}&job={second}")
    chip = alices.page.locator(".chosen li")
    expect(chip.nth(1)).to_contain_text("no metrics yet")
    for place, (job, status) in enumerate(((first, "succeeded"), (second, "cancelled"))):
        move(alice, sandbox, job, "running", step=20)
        expect(chip.nth(place)).to_contain_text("running")
        expect(chip.nth(place)).not_to_contain_text("no metrics")
        expect(alices.page.locator("[data-chart] svg").get_by_text("AB"[place], exact=True).first).to_be_visible()
        move(alice, sandbox, job, status)
        expect(chip.nth(place)).to_contain_text(status)
    assert alices.problems == []


def test_jobs_are_added_and_taken_away_on_the_page(alices: Visitor, alice: Person) -> None:
    first, second = alice.create_job(suffix="first"), alice.create_job(suffix="second")
    alices.open(f"/jobs/{first}")
    alices.page.get_by_role("link", name="Compare with …").click()
    alices.page.get_by_label("losses at step").fill("3")
    alices.page.get_by_label("full validation").check()
    alices.page.get_by_role("button", name="Show").click()
    alices.page.get_by_label("Another job").select_option(second)
    alices.page.get_by_role("button", name="Add").click()
    chips = alices.page.locator(".chosen li")
    expect(chips).to_have_count(2)
    expect(alices.page.get_by_label("losses at step")).to_have_value("3")
    expect(alices.page.get_by_label("full validation")).to_be_checked()
    chips.nth(0).get_by_role("link", name="take A away").click()
    expect(chips).to_have_count(1)
    expect(chips).to_contain_text("second")
    assert alices.problems == []


def test_the_calls_beside_the_page_do_the_same(alice: Person, reader: httpx2.Client) -> None:
    ids = [told(alice, steps(20)), told(alice, steps(30))]
    page = reader.get(HERE, params=of(*ids)).text
    calls = {
        name: unescape(page.split(f'<code id="snippet-{name}">')[1].split("</code>")[0]) for name in ("curl", "python")
    }
    environ = os.environ | {"OPENAI_API_KEY": alice.api_key}
    printed = [
        subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
        for command in (
            ["bash", "-c", calls["curl"].replace("curl ", "curl -s ", 1)],
            [sys.executable, "-c", calls["python"]],
        )
    ]
    assert [text.count("ftjob-") for text in printed] == [2, 2]
    assert "(0.2, 30)" in printed[1]
