"""Fixtures that several files of the worker's tests use."""

from collections.abc import Iterator

import pytest

from tests.mail import MailServer, mail_server
from tests.worker.notifications import smtp_settings
from tests.worker.support import settings
from tests.world import Person


@pytest.fixture
def mail(clean: str) -> Iterator[MailServer]:
    """A mail server that accepts every message, set as the deployment's own."""
    with mail_server() as server, smtp_settings(server.port):
        yield server


@pytest.fixture
def one_slot(alice: Person) -> Iterator[None]:
    with settings(TUNERY_PROVIDER__SLOTS='{"*": 1}'):
        yield
