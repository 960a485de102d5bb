"""`tunery credential`: accounts made, asked, changed and deleted, whose keys are never arguments and never shown."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.jobs.provider_webhooks import webhook_secret
from shared.projects.credentials import Account
from shared.projects.models import Credential
from tests.cli.terminal import Said, Tunery
from tests.worker.support import ids
from tests.world import Person, Sandbox, row, step

pytestmark = pytest.mark.usefixtures("as_admin")


def make(tunery: Tunery, person: Person, sandbox: Sandbox, tmp_path: Path, key: str = "sk-sandbox") -> str:
    file = tmp_path / "key"
    file.write_text(f"{key}\n")
    said = tunery(
        *("credential", "create", person.project_id, "--base-url", f"{sandbox.address}/v1", "--key-file", str(file))
    )
    assert (said.code, key in said.out + said.err) == (0, False)
    return said.out.strip()


def ask(tunery: Tunery, person: Person, credential_id: str) -> Said:
    """`tunery credential test`, while a worker works."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(0.05):
            step(Credential, credential_id)

    with ThreadPoolExecutor(1) as worker:
        working = worker.submit(work)
        try:
            return tunery("credential", "test", person.project_id, credential_id)
        finally:
            is_over.set()
            working.result()


def test_an_account_is_made_asked_and_listed(alice: Person, sandbox: Sandbox, tunery: Tunery, tmp_path: Path) -> None:
    made = make(tunery, alice, sandbox, tmp_path)
    assert ids(Credential) == [made]
    assert "untested" in tunery("credential", "list", alice.project_id).out
    said = ask(tunery, alice, made)
    assert (said.code, said.out.startswith("The provider knows the key")) == (0, True)
    assert " ok " in tunery("credential", "list", alice.project_id).out


def test_an_account_is_set_to_deploy_what_is_made_there(
    alice: Person, sandbox: Sandbox, tunery: Tunery, tmp_path: Path
) -> None:
    made = make(tunery, alice, sandbox, tmp_path)
    for flag, is_set in (("--deploy-on-success", True), ("--no-deploy-on-success", False)):
        assert tunery("credential", "update", alice.project_id, made, flag).code == 0
        assert row(Credential, made).deploy_on_success is is_set


def test_a_key_is_replaced_from_standard_input(
    alice: Person, sandbox: Sandbox, tunery: Tunery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tunery, alice, sandbox, tmp_path, key="sk-wrong-one-of-hers")
    refused = ask(tunery, alice, made)
    assert (refused.code, "invalid_api_key" in refused.err) == (1, True)
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-sandbox\n"))
    assert tunery("credential", "update", alice.project_id, made, "--key-file", "-").code == 0
    assert Account.of(row(Credential, made)).api_key() == "sk-sandbox"
    assert ask(tunery, alice, made).code == 0


def test_a_webhook_secret_is_read_from_a_file(alice: Person, sandbox: Sandbox, tunery: Tunery, tmp_path: Path) -> None:
    made = make(tunery, alice, sandbox, tmp_path)
    (tmp_path / "secret").write_text("whsec_mine")
    file = str(tmp_path / "secret")
    assert tunery("credential", "update", alice.project_id, made, "--webhook-secret-file", file).code == 0
    assert webhook_secret(row(Credential, made)) == "whsec_mine"


def test_one_is_deleted_and_another_projects_is_not_found(
    alice: Person, bob: Person, sandbox: Sandbox, tunery: Tunery, tmp_path: Path
) -> None:
    made = make(tunery, alice, sandbox, tmp_path)
    for command in ("test", "update", "delete"):
        said = tunery("credential", command, bob.project_id, made)
        assert (said.code, said.err) == (1, f"No such credential: {made}.\n")
    assert tunery("credential", "delete", alice.project_id, made).code == 0
    assert "cred_" not in tunery("credential", "list", alice.project_id).out


def test_what_is_wrong_is_told_without_the_key(alice: Person, tunery: Tunery, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-hidden with spaces")
    create = ("credential", "create", alice.project_id, "--base-url", "https://api.openai.com/v1", "--key-file")
    said = tunery(*create, str(tmp_path / "key"))
    assert (said.code, said.err.startswith("api_key: ")) == (1, True), said.err
    assert "hidden" not in f"{said.code}{said.out}{said.err}"
    assert "cannot be read" in tunery(*create, str(tmp_path / "nothing")).err
