"""`tunery jobs create`: uploads what is on this machine, says what it will cost, starts the job, waits for it."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.api_client import Found, post
from cli.client import estimates
from cli.client.arguments import agree, local_file
from cli.client.file_requests import send
from cli.client.jobs.watching import DID_NOT_SUCCEED, until_ended
from cli.client.output import print_document
from cli.client.server import connected
from cli.columns import say
from cli.failure import Failure
from cli.local.screen import Screen

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI

REINFORCEMENT = "reinforcement"


@dataclass(frozen=True)
class Wanted:
    """A job as it was asked for. Files are ids, or paths of this machine; what is None is left out of the request."""

    training_file: str | None
    validation_file: str | None
    model: str | None
    from_job: str | None
    method: str | None
    hyperparameters: Found
    grader: Path | None
    others: Found = field(default_factory=dict)

    @property
    def epochs(self) -> int | None:
        given = self.hyperparameters.get("n_epochs")
        return given if isinstance(given, int) else None

    @property
    def meant_method(self) -> str | None:
        """What a request without a method means; None if another job says it."""
        if self.method or self.from_job:
            return self.method
        return REINFORCEMENT if self.grader else "supervised"

    def body(self) -> Found:
        """The request but for its files. Without a method, hyperparameters are sent as every server takes them."""
        given = {"model": self.model, "from_job": self.from_job, **self.others}
        if self.method or self.grader:
            type = self.method or REINFORCEMENT
            grader = {"grader": _grader(self.grader)} if self.grader else {}
            parameters = {"hyperparameters": self.hyperparameters} if self.hyperparameters else {}
            given["method"] = {"type": type, type: grader | parameters}
        elif self.hyperparameters:
            given["hyperparameters"] = self.hyperparameters
        return {name: value for name, value in given.items() if value is not None}


def _grader(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise Failure(f"{file} is not the JSON of a grader: {error}.") from None


def run(wanted: Wanted, *, estimate_only: bool, yes: bool, wait: bool, as_json: bool) -> None:
    if estimate_only:
        estimate(wanted, as_json=as_json)
        return
    if not wanted.from_job and (wanted.training_file is None or wanted.model is None):
        raise typer.BadParameter("--file and --model say what to train, unless --from-job does")
    create(wanted, yes=yes, wait=wait, as_json=as_json)


def estimate(wanted: Wanted, *, as_json: bool) -> None:
    if wanted.training_file is None or wanted.model is None:
        raise typer.BadParameter("--estimate needs --file and --model")
    estimates.estimate(wanted.training_file, wanted.model, wanted.meant_method, wanted.epochs, as_json=as_json)


def create(wanted: Wanted, *, yes: bool, wait: bool, as_json: bool) -> None:
    """Prints the job's id; with `as_json` the job. Exits with 3 if it was waited for and has not succeeded."""
    body = wanted.body()
    with connected() as client:
        if wanted.from_job:
            _check_that_it_copies_jobs(client, wanted.from_job)
        made: list[str] = []
        try:
            body |= _files(client, wanted, made)
            _agree_to_price(client, wanted, body, yes=yes)
        except BaseException:
            _take_back(client, made)
            raise
        job = _post(client, body, made)
        _announce(job, as_json=as_json, wait=wait)
        if wait:
            job = until_ended(client, job["id"], Screen(sys.stderr))
    if as_json:
        print_document(job)
    if wait and job["status"] != "succeeded":
        raise typer.Exit(DID_NOT_SUCCEED)


def _post(client: "OpenAI", body: Found, made: list[str]) -> Found:
    from openai import APIStatusError

    try:
        return dict(post(client, "/fine_tuning/jobs", body))
    except APIStatusError:
        if made:
            say(f"The job was refused. For the next try, what was uploaded is on the server: {', '.join(made)}")
        raise


def _check_that_it_copies_jobs(client: "OpenAI", job_id: str) -> None:
    job: Found = client.fine_tuning.jobs.retrieve(job_id).to_dict()
    if "project_id" not in job:
        raise Failure(
            "This server does not copy jobs: --from-job is Tunery's own, beyond OpenAI's API. That job had "
            f"--file {job['training_file']} --model {job['model']}."
        )


def _announce(job: Found, *, as_json: bool, wait: bool) -> None:
    if not as_json:
        print(job["id"], flush=True)
    how = "" if wait else f" Watch it: ./tunery jobs watch {job['id']}"
    say(f"Job {job['id']} is created: {job['status']}.{how}")


def _files(client: "OpenAI", wanted: Wanted, made: list[str]) -> Found:
    """The ids of both files. Those of this machine are checked here, then uploaded, and their ids put into `made`."""
    named = {"training_file": wanted.training_file, "validation_file": wanted.validation_file}
    paths = {role: local_file(name) for role, name in named.items() if name}
    for here in filter(None, paths.values()):
        estimates.checked(here, wanted.model, wanted.meant_method)
    ids = {}
    for role, path in paths.items():
        if path is None:
            ids[role] = named[role]
            continue
        ids[role] = send(client, path, "fine-tune")["id"]
        made.append(str(ids[role]))
        say(f"{path} is uploaded: {ids[role]}")
    return ids


def _agree_to_price(client: "OpenAI", wanted: Wanted, body: Found, *, yes: bool) -> None:
    """Asks only if the price is known; the server's word counts before this machine's."""
    if wanted.model is None or "training_file" not in body:  # both are as they were in `from_job`
        return
    found = estimates.of_servers_file(client, body["training_file"], wanted.model, wanted.meant_method, wanted.epochs)
    whose = "The training will cost"
    path = local_file(str(wanted.training_file))
    if found is None and path is not None:
        whose = "At OpenAI's list price the training will cost"
        found = estimates.of_local_file(path, wanted.model, wanted.meant_method, wanted.epochs)
    if found is None:
        say("The price is not known: this server has no estimates.")
    elif found["amount"] is None:
        say(estimates.sentence(found))
    else:
        say(f"{whose} {estimates.sentence(found)}")
        agree("Start it?", yes=yes)


def _take_back(client: "OpenAI", made: list[str]) -> None:
    """Deletes what was uploaded for a job that was not created."""
    from openai import OpenAIError

    for file_id in made:
        try:
            client.files.delete(file_id)
        except OpenAIError:
            say(f"{file_id} was uploaded and is left on the server.")
        else:
            say(f"{file_id} is deleted again.")
