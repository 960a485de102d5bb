"""`python -m cli.local.seed FILE`: what a newcomer needs first is made once, and anew where it is no longer good."""

from pathlib import Path

import pytest
from sqlmodel import col, select

from cli.local import seed
from cli.secret_files import read_json
from shared.database import transaction
from shared.jobs.archiving import archive_project
from shared.projects.keys import revoke
from shared.projects.models import ApiKey
from tests.api.audited import entries

pytestmark = pytest.mark.usefixtures("clean")


def test_a_second_run_keeps_everything(tmp_path: Path) -> None:
    seed.main(tmp_path / "first.json")
    first = read_json(tmp_path / "first.json")
    assert first.keys() == {"project_id", "api_key", "admin_key"}
    assert sorted(entry.type for entry in entries()) == ["api_key.created", "api_key.created", "project.created"]
    seed.main(tmp_path / "first.json")
    assert read_json(tmp_path / "first.json") == first


def test_an_admin_key_that_was_revoked_is_replaced_alone(tmp_path: Path) -> None:
    seed.main(tmp_path / "first.json")
    first = read_json(tmp_path / "first.json")
    with transaction() as session:
        revoke(session.exec(select(ApiKey).where(col(ApiKey.project_id).is_(None))).one())
    seed.main(tmp_path / "first.json")
    second = read_json(tmp_path / "first.json")
    assert {name for name in first if first[name] != second[name]} == {"admin_key"}


def test_an_archived_project_is_replaced_by_a_new_one(tmp_path: Path) -> None:
    seed.main(tmp_path / "first.json")
    first = read_json(tmp_path / "first.json")
    with transaction() as session:
        archive_project(session, first["project_id"])
    seed.main(tmp_path / "first.json")
    second = read_json(tmp_path / "first.json")
    assert {name for name in first if first[name] != second[name]} == {"project_id", "api_key"}
