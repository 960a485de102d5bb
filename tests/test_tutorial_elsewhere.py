"""The tutorial runs at every provider, unchanged but for the model: api and worker as processes, and its stand-in."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.installation import KEY, Deployment, database, deployed, person_of
from tests.providers import openai_wires
from tests.servers import until
from tests.test_examples import EXAMPLES, PYTHON, in_a_foreign_folder, messages
from tests.world import Person, Sandbox, lines


@dataclass(frozen=True)
class Elsewhere:
    """A provider, the model that is tuned there, and the path of an account's address at its stand-in.

    `jobs`: the path of jobs there, which a create is sent to; `listed` and `id_field`: how its list shows them.
    `deploys`: its models must be deployed before they answer, which the tutorial does not know. `times`: how often the
    training file has each of the tutorial's examples, where a provider asks for more.
    """

    dialect: str
    model: str
    base: str = "/v1"
    jobs: str = "/v1/fine_tuning/jobs"
    listed: str = "data"
    id_field: str = "id"
    deploys: bool = False
    times: int = 1


ELSEWHERE = [
    Elsewhere("azure", "gpt-4o-mini-2024-07-18", base="/openai/v1", jobs="/openai/v1/fine_tuning/jobs", deploys=True),
    Elsewhere("nebius", "meta-llama/Llama-3.1-8B-Instruct", deploys=True),
    Elsewhere("mantle", "openai.gpt-oss-20b", times=2),
    Elsewhere("together", "Qwen/Qwen3-8B", jobs="/v1/fine-tunes", deploys=True),
    Elsewhere(
        "fireworks",
        "accounts/fireworks/models/qwen3-8b",
        base="/v1/accounts/sandbox",
        jobs="/v1/accounts/sandbox/supervisedFineTuningJobs",
        listed="supervisedFineTuningJobs",
        id_field="name",
        deploys=True,
    ),
]


@pytest.fixture(scope="module", params=ELSEWHERE, ids=lambda place: place.dialect)
def place(request: pytest.FixtureRequest) -> Elsewhere:
    found: Elsewhere = request.param
    return found


@pytest.fixture(scope="module")
def deployment(place: Elsewhere, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    logins = {f"TUNERY_AZURE__{name}_URL": "http://127.0.0.1:PORT" for name in ("LOGIN", "MANAGEMENT")}
    application = {"TUNERY_PROVIDER__OPTIONS": json.dumps(dict(openai_wires.AZURE_APPLICATION["options"])), **logins}
    variables = {
        **(application if place.dialect == "azure" else {}),
        "TUNERY_PROVIDER__NAME": place.dialect,
        "TUNERY_PROVIDER__DIALECT": place.dialect,
        "TUNERY_PROVIDER__BASE_URL": f"http://127.0.0.1:PORT{place.base}",
        "SANDBOX_WIRE": place.dialect,
    }
    with database(postgres_url) as url, deployed(url, tmp_path_factory.mktemp(place.dialect), **variables) as found:
        yield found


@pytest.fixture
def alice(deployment: Deployment) -> Iterator[Person]:
    with person_of(deployment) as alice:
        yield alice


def test_the_tutorial_runs(place: Elsewhere, alice: Person, tmp_path: Path) -> None:
    run = _tutorial(alice, place, tmp_path)
    shown = run.stdout
    for sign in ("file-", "ftjob-", "loss", "█", "6. Use the model"):
        assert sign in shown, shown + run.stderr
    if place.deploys:
        assert (run.returncode, "deploy" in run.stderr) == (1, True), run.stderr
        _deploy_and_chat(alice, place)
        return
    assert run.returncode == 0, shown + run.stderr
    answer = shown.partition("6. Use the model")[2].partition("Cancel a second job")[0]
    assert any(example[2]["content"] in answer for example in messages("train.jsonl")), answer
    assert "cancelled" in shown.partition("Cancel a second job")[2]


def _deploy_and_chat(alice: Person, place: Elsewhere) -> None:
    """What follows where a model must be deployed: it answers by its own name, until it is deployed no more."""
    model = next(job.fine_tuned_model for job in alice.openai.fine_tuning.jobs.list() if job.fine_tuned_model)
    made = alice.http.post("/deployments", json={"model": model}).raise_for_status().json()

    def status() -> object:
        return alice.http.get(f"/deployments/{made['id']}").raise_for_status().json()["status"]

    until(lambda: status() == "ready", f"the deployment at {place.dialect}")
    chat = _chat(alice, model)
    assert chat.json()["choices"][0]["message"]["content"] in {each[2]["content"] for each in messages("train.jsonl")}
    alice.http.delete(f"/deployments/{made['id']}").raise_for_status()
    until(lambda: status() == "stopped", f"the end of the deployment at {place.dialect}")
    assert _chat(alice, model).json()["error"]["code"] == "model_not_deployed"


def _chat(alice: Person, model: str) -> httpx2.Response:
    question = messages("train.jsonl")[0][:2]
    return alice.http.post("/chat/completions", json={"model": model, "messages": question})


def _tutorial(alice: Person, place: Elsewhere, folder: Path) -> subprocess.CompletedProcess[str]:
    source, line = PYTHON.read_text(), 'MODEL = "gpt-4o-mini"\n'
    assert source.count(line) == 1
    program, examples = folder / PYTHON.name, folder / "train.jsonl"
    program.write_text(source.replace(line, f'MODEL = "{place.model}"\n'))
    examples.write_bytes((EXAMPLES / "train.jsonl").read_bytes() * place.times)
    return in_a_foreign_folder([sys.executable, str(program), str(examples)], alice)


def test_a_worker_that_is_killed_in_a_create_leaves_one_job(
    place: Elsewhere, deployment: Deployment, alice: Person
) -> None:
    sandbox = Sandbox(f"http://127.0.0.1:{deployment.sandbox_port}", KEY)

    def there() -> set[str]:
        answer = sandbox.http.get(place.jobs).raise_for_status().json()
        return {job[place.id_field] for job in answer[place.listed]}

    before = there()
    sandbox.arm("POST", place.jobs, delay_after=60)
    job_id = alice.create_job(model=place.model, training_file=alice.upload(lines(100)))
    until(lambda: len(there()) > len(before), "the create")
    deployment.kill("worker")
    deployment.start("worker")
    ended = alice.openai.fine_tuning.jobs.retrieve
    until(lambda: ended(job_id).status == "succeeded", "the success of the job")
    [made] = there() - before
    assert made.endswith(alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["provider_job_id"])
    sandbox.close()
