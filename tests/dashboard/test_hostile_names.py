"""Every text that somebody may choose, as hostile and as long as its field allows, on every page."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser
from sqlmodel import Session, select

from shared.database import transaction
from shared.datasets.models import Dataset
from shared.deployments.models import Deployment
from shared.jobs.models import Checkpoint, Job, JobEvent, TunedModel
from shared.projects.models import ApiKey, Project
from shared.webhooks.models import WebhookAttempt, WebhookEndpoint
from tests.api.administration import operating
from tests.api.module_person import alice
from tests.dashboard.conftest import visiting
from tests.dashboard.furnished import ids
from tests.dashboard.pages import OF_A_PROJECT, OF_AN_OPERATOR, REFUSED
from tests.dashboard.test_appearance import DESK, PHONE, key_of
from tests.dashboard.visitor import Visitor
from tests.world import Person, Sandbox

__all__ = ["alice"]

MARKUP = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\"></bdi></table>"
STRANGE = "\u202e desrever \u2066 \u05d0\u05d1 🏳️\u200d🌈 Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f'\"&amp; "
HIGHEST, LONGEST = 1_200, 7_000  # pixels of what has one text, and of a page


def hostile(length: int) -> str:
    """Return a text of this length without a place at which it could be broken for most of it."""
    return (MARKUP + STRANGE + "x" * length)[:length]


def spoil(session: Session, project_id: str) -> None:
    """Write hostile texts over all names, as the fields of the API and of providers would take them."""
    texts: dict[type[Any], dict[str, Any]] = {
        Job: {
            "suffix": hostile(64),
            "model": hostile(256),
            "labels": {hostile(64): hostile(512)},
            "error": {"code": "x" * 100, "message": hostile(500), "param": None},
            "request_error": {"code": "x", "message": hostile(500), "param": None},
        },
        JobEvent: {"message": hostile(500)},
        Dataset: {"filename": hostile(500), "name": hostile(500)},
        TunedModel: {"base_model": hostile(256)},
        Checkpoint: {"model": hostile(256)},
        Deployment: {"base_model": hostile(256), "reason": {"code": "x" * 100, "message": hostile(500)}},
        WebhookEndpoint: {"name": hostile(256), "url": "https://127.0.0.1:9/" + hostile(480)},
        WebhookAttempt: {"error": hostile(500), "url": "https://127.0.0.1:9/" + hostile(480)},
        ApiKey: {"name": hostile(500)},
    }
    for model, values in texts.items():
        for found in session.exec(select(model).where(model.project_id == project_id)):
            for name, value in values.items():
                setattr(found, name, value)
    session.get_one(Project, project_id).name = hostile(500)


@pytest.fixture(scope="module")
def ids_shown(alice: Person, sandbox_server: Sandbox) -> dict[str, str]:
    found = ids(alice, sandbox_server)
    with transaction() as session:
        spoil(session, alice.project_id)
    return found


@pytest.fixture(scope="module", params=[DESK, PHONE], ids=["desk", "phone"])
def visitors(
    request: pytest.FixtureRequest, browser: Browser, server: str, alice: Person, ids_shown: dict[str, str]
) -> Iterator[dict[str, Visitor]]:
    with (
        operating(server) as operator,
        visiting(browser, alice.base_url, alice.api_key, viewport=request.param) as member,
        visiting(browser, alice.base_url, key_of(operator), viewport=request.param) as admin,
    ):
        yield {"member": member, "operator": admin}


CASES = [("member", each) for each in OF_A_PROJECT] + [("operator", each) for each in OF_AN_OPERATOR]
TEXTS = "dd, dt, td, th, li, p, h1, h2, button, summary, label, a, .bar, .cards > div"
TALLEST = f"Math.max(0, ...[...document.querySelectorAll('{TEXTS}')].map((each) => each.offsetHeight))"


@pytest.mark.parametrize(("who", "name"), CASES, ids=[name for _, name in CASES])
def test_a_page_stands_hostile_names(
    visitors: dict[str, Visitor], ids_shown: dict[str, str], who: str, name: str
) -> None:
    visitor = visitors[who]
    visitor.problems.clear()
    visitor.open((OF_A_PROJECT | OF_AN_OPERATOR)[name].format(**ids_shown))
    visitor.settle()
    visitor.take_picture(f"hostile-{name}-{visitor.page.evaluate('innerWidth')}")
    assert "· Tunery" in visitor.page.title(), "no script ran, and the page is no error"
    assert visitor.page.locator("img[src=x]").count() == 0
    assert not visitor.is_wider_than_the_screen()
    assert visitor.page.evaluate(TALLEST) <= HIGHEST
    assert visitor.page.evaluate("document.documentElement.scrollHeight") <= LONGEST
    assert visitor.violations() == []
    assert [each for each in visitor.problems if not (name in REFUSED and "the server responded with" in each)] == []
