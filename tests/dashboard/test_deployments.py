"""The pages of deployments, without a browser: a model is deployed by a form, asked, and stopped."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from shared.deployments import service as deployments
from shared.deployments.models import Deployment
from tests.api.accounts import admin as admin
from tests.api.administration import Operator
from tests.api.training import model_of, train
from tests.dashboard.signed_in import a_browser, form_id_of, key_of, sign_in
from tests.dashboard.test_sessions import admin_key
from tests.deployed import World
from tests.deployed import deploying_sandbox as deploying_sandbox
from tests.deployed import world as world
from tests.worker.support import settings
from tests.world import Person, Sandbox, row, step, work

HTMX = {"hx-request": "true"}
NEEDED = "which costs money by the hour"


@pytest.fixture
def browser(world: World) -> Iterator[httpx2.Client]:
    with a_browser(world.person.base_url) as browser:
        sign_in(browser, world.person.api_key)
        yield browser


def deploy(browser: httpx2.Client, model: str, **form: str) -> httpx2.Response:
    sent = {"model": model, "form_id": form_id_of(browser.get("/deployments/new", params={"model": model}).text)}
    answer: httpx2.Response = browser.post("/deployments", data=sent | form)
    return answer


def made_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removeprefix("/dashboard/deployments/")


def test_a_model_is_deployed_from_its_page_and_stopped(world: World, browser: httpx2.Client) -> None:
    page = browser.get(f"/models/{world.model}").text
    assert NEEDED in page
    assert "/deployments/new?model=" in page
    assert "costs money by the hour" in browser.get("/deployments/new", params={"model": world.model}).text
    id = made_of(deploy(browser, world.model, idle_timeout="900"))
    assert world.shown(id)["idle_timeout"] == 900
    page = browser.get(f"/models/{world.model}").text
    assert (NEEDED in page, id in page) == (False, True)
    assert world.model in browser.get("/deployments").text
    assert made_of(browser.post(f"/deployments/{id}/stop")) == id
    page = browser.get(f"/deployments/{id}").text
    assert "It was stopped by a request" in page
    assert f'action="/dashboard/deployments/{id}/stop"' not in page
    page = browser.get(f"/models/{world.model}").text
    assert (NEEDED in page, "Deploy …" in page) == (True, True)


def test_what_moves_is_asked_for_until_it_has_ended(world: World, browser: httpx2.Client) -> None:
    id = world.ready()
    for path in ("/deployments", f"/deployments/{id}"):
        part = browser.get(path, headers=HTMX).text
        assert "<html" not in part
        assert 'hx-trigger="every' in part
    browser.post(f"/deployments/{id}/stop")
    step(Deployment, id)
    step(Deployment, id)
    assert world.shown(id)["status"] == "stopped"
    for path in ("/deployments", f"/deployments/{id}"):
        assert 'hx-trigger="every' not in browser.get(path, headers=HTMX).text


def test_a_new_job_says_whether_its_model_is_deployed_when_it_succeeds(world: World, browser: httpx2.Client) -> None:
    file = world.person.upload()
    work(2)
    chosen = {"training_file": file, "model": "gpt-4o-mini-2024-07-18", "method": "supervised"}
    assert 'name="deploy_on_success"' in browser.get("/jobs/new", params=chosen).text
    for value, shown in (("true", True), ("false", False), ("", None)):
        answer = browser.post("/jobs/new", data=chosen | {"deploy_on_success": value})
        assert answer.status_code == 303, answer.text
        job_id = answer.headers["location"].removeprefix("/dashboard/jobs/")
        job = world.person.http.get(f"/fine_tuning/jobs/{job_id}").json()
        assert job["deploy_on_success"] is shown
        again = browser.get("/jobs/new", params={"from_job": job_id}).text
        assert (
            f'<option value="{value}" selected>'
            in again.partition('name="deploy_on_success"')[2].partition("</select>")[0]
        )
    refused = browser.post("/jobs/new", data=chosen | {"deploy_on_success": "maybe"})
    assert (refused.status_code, "valid boolean" in refused.text) == (400, True)


def test_a_form_that_is_sent_twice_deploys_once(world: World, browser: httpx2.Client) -> None:
    form_id = form_id_of(browser.get("/deployments/new", params={"model": world.model}).text)
    with ThreadPoolExecutor(2) as pool:
        sent = {"model": world.model, "form_id": form_id}
        made = set(pool.map(lambda _: made_of(browser.post("/deployments", data=sent)), range(2)))
    assert len(made) == 1
    again = deploy(browser, world.model)
    assert (again.status_code, "is deployed already" in again.text) == (400, True)


def test_what_cannot_be_is_told_at_its_field(world: World, browser: httpx2.Client) -> None:
    for typed, sentence in (("599", "at least 600 s"), ("soon", "valid integer"), ("9" * 30, "valid integer")):
        answer = deploy(browser, world.model, idle_timeout=typed)
        assert answer.status_code == 400
        assert sentence in answer.text.partition('id="idle_timeout-error"')[2].partition("</p>")[0]
    for model in ("", "ft:none", "a\0b"):
        assert browser.post("/deployments", data={"model": model}).status_code in {400, 404}, model
    assert browser.get("/deployments", params={"status": "nonsense"}).status_code == 400
    assert world.person.http.get("/deployments").json()["data"] == []


def test_nothing_is_shown_where_a_model_needs_no_deployment(alice: Person, sandbox: Sandbox) -> None:
    model = model_of(train(alice, sandbox))
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        for page in (browser.get(f"/models/{model}").text, browser.get("/models/gpt-4o-mini").text):
            assert "deployments/new" not in page
            assert "<dt>Deployment</dt>" not in page
        page = browser.get("/deployments/new", params={"model": model}).text
        assert "needs no deployment" in page
        assert 'name="idle_timeout"' not in page


def test_the_playground_says_in_words_that_a_model_is_not_deployed(world: World, browser: httpx2.Client) -> None:
    text = browser.post("/playground", data={"model": [world.model], "prompt": ["Hello"]}).text
    assert "This model is not deployed" in text
    assert '<a href="/dashboard/deployments/new?model=' in text


def test_another_projects_deployment_is_not_found(world: World, bob: Person) -> None:
    id = world.asked()
    with a_browser(bob.base_url) as browser:
        sign_in(browser, bob.api_key)
        assert browser.get(f"/deployments/{id}").status_code == 404
        assert browser.post(f"/deployments/{id}/stop").status_code == 404
        assert browser.get("/deployments/new", params={"model": world.model}).status_code == 404
        assert browser.post("/deployments", data={"model": world.model}).status_code == 404
        assert world.model not in browser.get("/deployments").text
    assert world.shown(id)["status"] == "requested"


def test_a_key_needs_the_scopes_of_deployments(world: World) -> None:
    id = world.asked()
    for scopes, read, shown in ((["models:read"], 403, False), (["models:read", "deployments:read"], 200, True)):
        with a_browser(world.person.base_url) as browser:
            sign_in(browser, key_of(world.person, scopes=scopes)[1])
            assert browser.get(f"/deployments/{id}").status_code == read
            assert (id in browser.get(f"/models/{world.model}").text) is shown
            assert "Stop the deployment" not in browser.get(f"/deployments/{id}").text
            assert browser.post(f"/deployments/{id}/stop").status_code == 403
            assert browser.post("/deployments", data={"model": world.model}).status_code == 403
    assert world.shown(id)["status"] == "requested"


def test_the_audit_log_names_what_pages_do_as_the_api_does(
    world: World, browser: httpx2.Client, admin: httpx2.Client
) -> None:
    id = made_of(deploy(browser, world.model))
    browser.post(f"/deployments/{id}/stop")
    found = admin.get("/organization/audit_logs").raise_for_status().json()["data"]
    assert {"deployment.created", "deployment.stopped"} <= {each["type"] for each in found}


def test_what_an_hour_costs_is_told_before(world: World, browser: httpx2.Client) -> None:
    for price, sentence in (("2.5", "$2.50 for each hour"), ("0", "cost nothing at this provider")):
        with settings(TUNERY_DEPLOYMENTS__PRICES_PER_HOUR=f'{{"azure": "{price}"}}'):
            assert sentence in browser.get("/deployments/new", params={"model": world.model}).text
            assert (NEEDED in browser.get(f"/models/{world.model}").text) is (price != "0")


def check_deploys_on_success(
    base_url: str, operator: Operator, page: str, shown_at: str, typed: dict[str, str]
) -> None:
    """The box of a page is what the API shows, and stays as it was sent."""
    with a_browser(base_url) as browser:
        sign_in(browser, admin_key(operator))
        for is_wanted in (True, False):
            box = {"deploy_on_success": "on"} if is_wanted else {}
            assert browser.post(page, data={**typed, **box}).status_code == 303
            assert operator.http.get(shown_at).json()["deploy_on_success"] is is_wanted
            assert ('name="deploy_on_success" value="on" checked' in browser.get(page).text) is is_wanted


def test_a_project_deploys_on_success_by_a_form(alice: Person, operator: Operator) -> None:
    project = f"/projects/{alice.project_id}"
    typed = {"name": "alice", "weight": "1"}
    check_deploys_on_success(alice.base_url, operator, f"{project}/quotas", project, typed)


def test_an_account_deploys_on_success_by_a_form(world: World, operator: Operator) -> None:
    project = f"/projects/{world.person.project_id}"
    page, shown_at = f"{project}/accounts/{world.credential_id}", f"{project}/credentials/{world.credential_id}"
    check_deploys_on_success(world.person.base_url, operator, page, shown_at, {"name": "own"})


def test_a_project_gets_a_default_provider_by_a_form(world: World, operator: Operator) -> None:
    path = f"/projects/{world.person.project_id}/quotas"
    with a_browser(world.person.base_url) as browser:
        sign_in(browser, admin_key(operator))
        for name in ("azure", ""):
            typed = {"name": "alice", "weight": "1", "default_provider": name}
            assert browser.post(path, data=typed).status_code == 303
            shown = operator.http.get(f"/projects/{world.person.project_id}").json()
            assert shown["default_provider"] == (name or None)
            assert f'<option value="{name}" selected>' in browser.get(path).text
        wrong = browser.post(path, data={"name": "alice", "weight": "1", "default_provider": "nobody"})
        assert wrong.status_code == 400
        assert "no account at nobody, only at azure" in wrong.text


def test_a_model_that_is_being_deployed_is_asked_again(
    world: World, browser: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "RETRY_AFTER_SECONDS", 1)
    id = world.starting()
    with browser.stream("POST", "/playground", data={"model": [world.model], "prompt": ["Hello"]}, headers=HTMX) as it:
        text = ""
        for more in it.iter_text():
            text += more
            if "It is asked again in 1 s." in more and row(Deployment, id).status != "ready":
                world.move(id, status="ready")
                step(Deployment, id)
    assert "It is asked again in 1 s." in text
    assert 'class="wrong"' not in text
    assert "tokens</p>" in text
