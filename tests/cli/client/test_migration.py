"""`tunery models migrate`: each job of a base runs again on another one, once, after its price was agreed to."""

import io
import json
import sys
from pathlib import Path

import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.cli.terminal import Tunery
from tests.world import RunningStack, official_sdk

OLD, NEW = "gpt-4o-mini", "gpt-4.1-mini-2025-04-14"


def jobs(stack: RunningStack) -> list[FineTuningJob]:
    with official_sdk(stack.base_url, stack.api_key) as client:
        return list(client.fine_tuning.jobs.list())


def copies(stack: RunningStack, job_id: str) -> list[FineTuningJob]:
    return [job for job in jobs(stack) if (job.metadata or {}).get("migrated_from") == job_id]


def trained(tunery: Tunery, train: Path) -> str:
    said = tunery("jobs", "create", "--file", str(train), "--model", OLD, "--epochs", "1", "-y", "--wait")
    assert said.code == 0
    return said.out.strip()


def test_a_base_is_migrated_after_a_question_and_once(
    at_stack: RunningStack, tunery: Tunery, train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = trained(tunery, train)
    shown = tunery("models", "migrate", OLD, "--to", NEW, "--dry-run")
    assert shown.code == 0
    assert job_id in shown.out
    assert "nothing changes" in shown.out
    assert copies(at_stack, job_id) == []
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    asked = tunery("models", "migrate", OLD, "--to", NEW)
    assert (asked.code, "Nothing was done" in asked.err) == (1, True)
    assert copies(at_stack, job_id) == []
    assert tunery("models", "migrate", OLD, "--to", NEW, "-y").code == 0
    [made] = copies(at_stack, job_id)
    assert (made.model, made.hyperparameters.n_epochs) == (NEW, 1)
    again = tunery("models", "migrate", OLD, "--to", NEW, "-y", "--json")
    assert (again.code, json.loads(again.out)["data"]) == (0, [])
    assert len(copies(at_stack, job_id)) == 1


def test_a_base_that_the_project_cannot_tune_is_refused_in_words(
    at_stack: RunningStack, tunery: Tunery, train: Path
) -> None:
    job_id = trained(tunery, train)
    said = tunery("models", "migrate", OLD, "--to", "nobodys-model", "-y")
    assert (said.code, "refused: the project cannot tune this base there" in said.out) == (1, True)
    assert copies(at_stack, job_id) == []
    assert tunery("models", "migrate", OLD, "--to", OLD).code == 1
