"""Lists every function that works across projects; only admin keys open such a session."""

import ast
from collections.abc import Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.auth import deps
from api.main import create_app
from tests.test_architecture import MODULES, name

# Functions that work across projects, and why. All others name a project when they open a transaction.
ACROSS = {
    "api/audit/refusals.py _add": "whoever was refused may be nobody",
    "api/routes/organization/audit_logs.py _lines": "an admin exports the audit of all projects",
    "api/auth/deps.py _find": "whose key it is has yet to be found out",
    "api/streams/events.py poll": "finds the project of the key first, then limits the session to it",
    "api/auth/last_used.py write": "notes the use of one key, by its id; projects cannot write keys",
    "api/streams/feed.py _find": "one query for the streams of all projects; each stream gets its own job",
    "api/routes/provider_webhooks.py receive_provider_webhook": "whose job a provider tells of has yet to be found out",
    "api/routes/health.py _postgres": "asks for the schema's revision",
    "shared/jobs/tuned_models.py _is_of_somebody": "whether a name is another project's model",
    "shared/projects/service.py default_credential": "the row of the deployment's own account, when it is first needed",
    "shared/key_rotation/startup_check.py check_keys": "counts the keys with which anything is sealed",
    "shared/key_rotation/reseal.py reseal_all": "seals again what is everybody's",
    "worker/jobs/admission.py _held": "places are shared by all: how many are taken",
    "worker/jobs/admission.py _say_why": "the same: how many wait",
    "worker/app.py _prepare_for_children": "claims no row at all",
    "worker/runtime/scheduler.py note_sweep": "notes that a sweep was made, which is nobody's",
    "worker/runtime/scheduler.py _in_batches": "forgets what is old, of everybody",
    "worker/runtime/scheduler.py _reconcile": "accounts at providers belong to all",
    "worker/runtime/scheduler.py _known": "which bytes in the storage have a row, whoever's",
    "worker/runtime/scheduler.py tidy": "looks after all endpoints and keys",
    "worker/accounts/reconcile.py _adopt": "rings for a job, by its id",
    "worker/accounts/reconcile.py find": "compares all of an account with the rows of everybody",
    "worker/accounts/reconcile.py reconcile": "reads an account by its id",
    "worker/runtime/steps.py _is_due": "asks of a row whether it is due, before it is known whose it is",
    "worker/runtime/steps.py _postpone": "puts one row off, by its id",
    "worker/runtime/steps.py _put_off": "puts one row off, by its id",
    "worker/runtime/steps.py run_one": "claims among the rows of all; from the plan on only its own project is seen",
    "worker/runtime/sweep.py _put_back": "rings for the rows of all",
    "worker/runtime/sweep.py sweep": "rings for the rows of all",
    "worker/jobs/backpressure.py pause": "the deployment's own account is left alone by the jobs of all",
    "worker/datasets/upload_to_provider.py wake_waiting_jobs": "finds the file by its id, and is then narrowed",
    "worker/jobs/watch.py _tell_jobs": "rings for the jobs of an account, whoever's",
}


def callers_across() -> Iterator[str]:
    """Find the functions that open a transaction without a project or lift its limit."""
    for path in MODULES:
        if name(path).startswith(("api/", "worker/", "shared/")):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    called = [ast.unparse(each) for each in ast.walk(function) if isinstance(each, ast.Call)]
                    if "transaction()" in called or any(each.startswith("across_projects(") for each in called):
                        yield f"{name(path)} {function.name}"


def test_every_function_that_works_across_projects_is_listed() -> None:
    assert set(callers_across()) - ACROSS.keys() == set(), "name a project, or list it here with the reason"
    assert ACROSS.keys() - set(callers_across()) == set()


def routes() -> Iterator[APIRoute]:
    for route in create_app().routes:
        for each in [*getattr(route, "effective_candidates", list)()] or [route]:
            if isinstance(found := getattr(each, "original_route", each), APIRoute):
                yield found


def calls(dependant: Dependant) -> set[Any]:
    return {dependant.call}.union(*(calls(each) for each in dependant.dependencies))


def test_only_an_admin_key_opens_a_session_across_projects(server: str) -> None:
    found = {route.path: calls(route.dependant) for route in routes()}
    assert len(found) > 20
    across = {path for path, each in found.items() if deps.get_organization_session in each}
    narrowed = {path for path, each in found.items() if deps.get_session in each}
    assert {path for path in across if deps.get_admin not in found[path]} == set()
    assert {path for path in narrowed if deps.get_caller not in found[path]} == set()
    assert across & narrowed == set()
