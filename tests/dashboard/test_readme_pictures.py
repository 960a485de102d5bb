"""The pictures of the README: pages of a project as a team would have one, in light and in dark.

With `TUNERY_TEST_README_PICTURES` set to anything, they are written to docs/pictures anew.
"""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect

from shared.db.times import utc_now
from shared.jobs.models import Job
from tests.api.module_person import nobody_else
from tests.api.training import move
from tests.dashboard.conftest import visiting
from tests.dashboard.pages import README
from tests.worker.support import change
from tests.world import Person, Sandbox, work

ROOT = Path(__file__).parent.parent.parent
PICTURES = ROOT / "docs" / "pictures"
WIDTH, HEIGHT, MOST_BYTES = 1280, 920, 150_000
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Suffix, hyperparameters, how it ended, and how many minutes ago it began and how many it took.
TRAINED: dict[str, tuple[str, dict[str, Any], str, int, int]] = {
    "job": ("support-tone", {"n_epochs": 6}, "succeeded", 190, 24),
    "slower": ("support-tone-slow", {"n_epochs": 6, "learning_rate_multiplier": 0.4}, "succeeded", 130, 25),
    "longer": ("support-tone-long", {"n_epochs": 9}, "succeeded", 95, 37),
    "stopped": ("triage", {"n_epochs": 3}, "cancelled", 60, 8),
}


@pytest.fixture(scope="module")
def alice(server: str, sandbox_server: Sandbox) -> Iterator[Person]:
    with nobody_else(server, sandbox_server, "Customer support") as alice:
        yield alice


@pytest.fixture(scope="module")
def ids(alice: Person, sandbox_server: Sandbox) -> dict[str, str]:
    file, validation = (
        alice.upload((ROOT / "examples" / f"{name}.jsonl").read_bytes(), f"support-{name}.jsonl")
        for name in ("train", "valid")
    )
    found = {"file": file, "validation": validation}
    for name, (suffix, hyperparameters, status, ago, took) in TRAINED.items():
        found[name] = _create(alice, found, suffix, hyperparameters)
        move(alice, sandbox_server, found[name], status)
        began = utc_now() - timedelta(minutes=ago)
        checked, sent, started = (began + timedelta(seconds=seconds) for seconds in (9, 12, 70))
        ended = began + timedelta(minutes=took)
        change(
            Job, found[name], created_at=began, cleared_at=checked, sent_at=sent, started_at=started, finished_at=ended
        )
    running = _create(alice, found, "refund-answers", {"n_epochs": 6})
    move(alice, sandbox_server, running, "running", step=120)
    began = utc_now() - timedelta(minutes=12)
    change(Job, running, created_at=began, sent_at=began, started_at=began + timedelta(minutes=1))
    _create(alice, found, "triage-2", {})
    work()
    return found


def _create(person: Person, files: dict[str, str], suffix: str, hyperparameters: dict[str, Any]) -> str:
    return person.create_job(
        model="gpt-4.1-mini",
        training_file=files["file"],
        validation_file=files["validation"],
        suffix=suffix,
        method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
    )


@pytest.mark.parametrize("theme", THEMES)
def test_the_pages_of_the_pictures_are_pages_of_today(
    browser: Browser, alice: Person, ids: dict[str, str], theme: Literal["light", "dark"]
) -> None:
    size: Any = {"width": WIDTH, "height": HEIGHT}
    with visiting(browser, alice.base_url, alice.api_key, color_scheme=theme, viewport=size) as visitor:
        for name, path in README.items():
            visitor.open(path.format(**ids))
            visitor.settle()
            expect(visitor.page.locator("h1")).to_be_visible()
            picture = visitor.page.screenshot()
            if os.environ.get("TUNERY_TEST_README_PICTURES"):
                PICTURES.mkdir(exist_ok=True)
                (PICTURES / f"{name}-{theme}.png").write_bytes(picture)
        assert visitor.problems == []


def test_the_readme_shows_each_page_in_both_themes() -> None:
    named = set(re.findall(r'(?:src|srcset)="docs/pictures/([^"]+)"', (ROOT / "README.md").read_text()))
    assert named == {f"{name}-{theme}.png" for name in README for theme in THEMES}
    assert {path.name for path in PICTURES.iterdir()} == named


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*")), ids=lambda path: path.name)
def test_a_picture_is_small(path: Path) -> None:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert int.from_bytes(content[16:20]) == WIDTH
    assert len(content) <= MOST_BYTES
