"""`tunery project`: a project's name, its share of the slots and its quotas, and what the server refuses."""

import io

import pytest

from tests.cli.terminal import Tunery
from tests.world import Person

pytestmark = pytest.mark.usefixtures("as_admin")


def test_an_operator_changes_a_projects_share_of_the_slots(alice: Person, tunery: Tunery) -> None:
    update = ("project", "update", alice.project_id)
    said = tunery(*update, "--weight", "2.5", "--max-active-jobs", "4")
    assert (said.code, said.out) == (0, "alice's team: weight 2.5, active jobs of one model at most: 4.\n")
    said = tunery(*update, "--max-active-jobs", "0")
    assert said.out.endswith("weight 2.5, active jobs of one model at most: as the settings say.\n")


def test_an_operator_sets_quotas_of_a_project_and_takes_them_back(alice: Person, tunery: Tunery) -> None:
    update = ("project", "update", alice.project_id)
    said = tunery(*update, "--quota", "files=5000", "--quota", "api_keys=0")
    assert (said.code, said.out.splitlines()[1:]) == (
        0,
        ["Quotas: files 5000, api_keys 0; the others as the settings say."],
    )
    assert alice.http.get("/project").json()["quotas"]["files"] == {"limit": 5000, "used": 0}
    said = tunery(*update, "--quota", "files=default", "--quota", "api_keys=default")
    assert said.out.splitlines()[1:] == ["Quotas: all as the settings say."]


def test_an_operator_sets_a_default_provider_and_takes_it_back(alice: Person, tunery: Tunery) -> None:
    update = ("project", "update", alice.project_id, "--default-provider")
    assert tunery(*update, "openai").out.splitlines()[1:] == ["Default provider: openai."]
    said = tunery(*update, "nobody")
    assert (said.code, "no account at nobody, only at openai" in said.err) == (1, True)
    assert tunery(*update, "").out.splitlines()[1:] == ["Default provider: the newest account that has the model."]


@pytest.mark.parametrize(
    "quota", ["files", "files=", "files=-1", "files=many", "files=1.5", "rows=7", f"files={'9' * 16}"]
)
def test_a_quota_that_cannot_be_is_refused(alice: Person, tunery: Tunery, quota: str) -> None:
    said = tunery("project", "update", alice.project_id, "--quota", quota)
    assert (said.code, said.out) == (1, "")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    "option", [("--weight", "0"), ("--weight", "nan"), ("--weight", "1001"), ("--max-active-jobs", "-1")]
)
def test_a_share_that_cannot_be_is_refused(alice: Person, tunery: Tunery, option: tuple[str, str]) -> None:
    said = tunery("project", "update", alice.project_id, *option)
    assert (said.code, said.out) == (1, "")
    assert len(said.err.splitlines()) == 1


def test_a_project_is_not_archived_without_a_yes(
    alice: Person, tunery: Tunery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert tunery("project", "archive", alice.project_id).code == 1
    assert " active " in tunery("project", "list").out


def test_more_projects_than_a_page_holds_are_listed(tunery: Tunery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.admin.projects.PAGE_ITEMS", 2)
    for name in ("first", "second", "third"):
        tunery("project", "create", name)
    rows = tunery("project", "list").out.splitlines()[1:]
    assert [row.split()[2] for row in rows] == ["third", "second", "first"]
