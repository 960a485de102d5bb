"""A mail server in the test's own process: what it was given, and what it shall answer next."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from cli.processes import ports


class MailServer:
    """`refusals` are answers to the next recipients that are named; 250 when nothing is said."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.taken: list[tuple[str, EmailMessage]] = []
        self.refusals: list[str] = []
        self.logins: list[tuple[bytes, bytes]] = []

    @property
    def texts(self) -> list[str]:
        return [text_of(message) for _, message in self.taken]

    async def handle_RCPT(self, _: Any, __: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: Any, __: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.taken.append((envelope.rcpt_tos[0], message_from_bytes(envelope.content, policy=default)))
        return "250 Taken"

    def authenticate(self, _: Any, __: Session, ___: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)


def text_of(message: EmailMessage) -> str:
    return str(message.get_content()).replace("\r\n", "\n")


@contextmanager
def mail_server(**options: Any) -> Iterator[MailServer]:
    """Any password but `right` is wrong. `tls_context`, `require_starttls` and the like are aiosmtpd's."""
    with ports.held() as port:
        server = MailServer(port)
        controller = Controller(server, hostname="127.0.0.1", port=port, authenticator=server.authenticate, **options)
        controller.start()
        try:
            yield server
        finally:
            controller.stop()
