"""`/docs` opens on the calls of the tutorial, each with an example that fits."""

from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from pydantic import TypeAdapter

from api.main import create_app
from api.openapi import EXAMPLES
from api.routes.models import ModelList
from shared.datasets.schemas import FilePublic
from shared.db.pages import Page
from shared.jobs.names.schemas import ModelPublic
from shared.jobs.schemas import JobCreate, JobEventPublic, JobPublic

JOB = "/v1/fine_tuning/jobs/{fine_tuning_job_id}"
ANSWERS: dict[tuple[str, str], Any] = {
    ("post", "/v1/files"): FilePublic,
    ("get", "/v1/files"): Page[FilePublic],
    ("get", "/v1/files/{file_id}"): FilePublic,
    ("post", "/v1/fine_tuning/jobs"): JobPublic,
    ("get", "/v1/fine_tuning/jobs"): Page[JobPublic],
    ("get", JOB): JobPublic,
    ("get", f"{JOB}/events"): Page[JobEventPublic],
    ("get", "/v1/models"): ModelList,
    ("get", "/v1/models/{model}"): ModelPublic,
    ("post", "/v1/chat/completions"): ChatCompletion,
}


@pytest.fixture(scope="module")
def document(server: str) -> dict[str, Any]:
    return create_app().openapi()


def has(whole: Any, part: Any) -> bool:
    """Whether `whole` has all that `part` has, at any depth."""
    if isinstance(part, dict):
        return all(name in whole and has(whole[name], value) for name, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(has, whole, part))
    return bool(whole == part)


def tag_of(operation: dict[str, Any]) -> str:
    return str(operation["tags"][0])


def test_the_calls_of_the_tutorial_come_first(document: dict[str, Any]) -> None:
    tags = [tag["name"] for tag in document["tags"]]
    assert tags[:4] == ["Files", "Fine-tuning", "Models", "Inference"]
    used = {tag_of(each) for path in document["paths"].values() for each in path.values()}
    assert used == set(tags)
    first: dict[str, str] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            first.setdefault(tag_of(operation), f"{method} {path}")
    assert [first[tag] for tag in tags[:4]] == [
        "post /v1/files",
        "post /v1/fine_tuning/jobs",
        "get /v1/models",
        "post /v1/chat/completions",
    ]


@pytest.mark.parametrize("call", EXAMPLES, ids=" ".join)
def test_each_has_an_answer_that_fits_its_type(document: dict[str, Any], call: tuple[str, str]) -> None:
    method, path = call
    answer = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["example"]
    shown = TypeAdapter(ANSWERS[call]).validate_python(answer).model_dump(mode="json")
    assert has(shown, answer)


def test_each_request_fits_its_type(document: dict[str, Any]) -> None:
    paths = document["paths"]
    new = paths["/v1/fine_tuning/jobs"]["post"]["requestBody"]["content"]["application/json"]["example"]
    job = paths["/v1/fine_tuning/jobs"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert JobCreate.model_validate(new).training_file == job["training_file"]
    form = paths["/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["example"]
    assert form["purpose"] == "fine-tune"
    chat = paths["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["example"]
    [tuned] = paths["/v1/models/{model}"]["get"]["parameters"]
    assert chat["model"] == tuned["example"]
