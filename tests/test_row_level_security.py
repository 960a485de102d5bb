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
    "api/audit/refusals.py _add": "a refused request may have no project",
    "api/routes/organization/audit_logs.py _lines": "an admin exports the audit log of all projects",
    "api/auth/deps.py _find": "finds the project of an API key",
    "api/streams/event_feed.py _note_readers": "notes each streamed project itself, and shows nothing",
    "api/streams/event_feed.py _find": "one query for the streams of all projects; each stream gets its own project",
    "api/dashboard/live/changes.py _find": "one query for the pages of all projects; each stream gets its own project",
    "api/auth/deps.py _work_in": "finds the project that the holder of an admin key has chosen in the dashboard",
    "api/auth/last_used.py write": "updates one key by its id; a project's session cannot write keys",
    "api/streams/feed.py _find": "one query for the streams of all projects; each stream gets its own job",
    "api/routes/provider_webhooks.py receive_provider_webhook": "finds the project of the job",
    "api/routes/health.py _postgres": "reads the revision of the schema",
    "shared/jobs/names/readings.py made_by_a_job": "checks whether a name is another project's model",
    "shared/datasets/service.py is_shared": "another project may have the same file at the deployment's account",
    "shared/projects/service.py default_credential": "inserts the deployment's credential when first needed",
    "shared/key_rotation/startup_check.py check_keys": "counts the secrets of each key",
    "shared/key_rotation/reseal.py reseal_all": "reseals the secrets of all projects",
    "worker/jobs/admission.py _held": "all projects share the slots of a credential: counts those in use",
    "worker/jobs/admission.py _say_why": "counts the jobs of all projects that wait for a slot",
    "worker/process.py _prepare_for_children": "opens a connection and reads nothing",
    "worker/process.py _break_off": "takes back the failure that a claim counts, of rows of all projects",
    "worker/deployments/strays.py _strays": "compares an account with the deployments of all projects",
    "worker/runtime/gauges.py _retiring": "shows which models of all accounts retire",
    "worker/runtime/scheduler.py note_sweep": "records a sweep, which belongs to no project",
    "worker/runtime/scheduler.py _run_batch": "deletes old rows of all projects",
    "worker/runtime/scheduler.py _reconcile": "reads the credentials of all projects",
    "worker/runtime/scheduler.py _known": "finds which stored bytes have a row in any project",
    "worker/runtime/scheduler.py tidy": "disables endpoints and notifies expiring keys of all projects",
    "worker/accounts/deployed.py adopt": "makes one deployment due, by its id",
    "worker/accounts/reconcile.py _adopt": "makes one job due, by its id",
    "worker/accounts/reconcile.py find": "compares an account with the rows of all projects",
    "worker/accounts/reconcile.py reconcile": "reads a credential by its id",
    "worker/runtime/steps.py _is_due": "checks whether a row is due before its project is known",
    "worker/runtime/steps.py _postpone": "postpones one row by its id",
    "worker/runtime/steps.py _put_off": "postpones one row by its id",
    "worker/runtime/steps.py _run_one": "claims a row of any project, then limits the session to it",
    "worker/runtime/sweep.py _put_back": "enqueues due rows of all projects",
    "worker/runtime/sweep.py sweep": "enqueues due rows of all projects",
    "worker/runtime/sweep.py _tables_with_due_rows": "looks for due rows of all projects",
    "worker/jobs/backpressure.py pause": "pauses the deployment's credential for the jobs of all projects",
    "worker/datasets/upload_to_provider.py wake_waiting_jobs": "finds a file's project, then limits the session to it",
    "worker/jobs/watch.py _enqueue_changed": "makes the jobs of a credential due, of all projects",
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
