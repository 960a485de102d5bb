"""The log: one line per event, with the ids of the request, and without secrets."""

import json
from typing import Any

import pytest

from tests.shared.process import python

START = """
import logging, structlog
from shared.log import set_up_logging
set_up_logging()
log = structlog.get_logger("tests")
"""
END = "--- the end of this way ---"
SECRETS = {
    "a project's key": "sk-tun-" + "a1B2" * 10,
    "an admin's key": "sk-admin-tun-" + "a1B2" * 10,
    "a provider's key": "sk-proj-" + "a1B2" * 20,
    "an old key": "sk-" + "a1B2" * 12,
    "a signing secret": "whsec_" + "aB+/" * 10 + "a===",
    "a bearer token": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc",
}
WAYS = {
    "in the sentence": "log.info('it is ' + secret + ' there')",
    "as a value": "log.info('x', key=secret)",
    "in an object": "log.info('x', headers={'authorization': secret})",
    "in a list in an object": "log.info('x', body={'a': [1, {'b': secret}]})",
    "as a key": "log.info('x', body={secret: 1})",
    "in an exception": "\ntry: raise ValueError(secret)\nexcept ValueError: log.exception('x')",
    "in an exception as a value": "log.info('x', error=ValueError(secret))",
    "as bytes": "log.info('x', body=secret.encode())",
    "in the standard library's arguments": "logging.getLogger('other').warning('it is %s', secret)",
    "bound to the context": "structlog.contextvars.bind_contextvars(key=secret); log.info('x')",
}


def logged(code: str, **environment: str) -> str:
    process = python(START + code, **environment)
    assert process.returncode == 0, process.stderr
    return process.stderr


@pytest.fixture(scope="module", params=["json", "console"])
def told(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the log after every secret was logged in every way."""
    code = f"import sys\nsecrets = {list(SECRETS.values())!r}\n"
    for way in WAYS.values():
        code += "for secret in secrets:\n" + "\n".join("    " + line for line in way.split("\n"))
        code += "\nstructlog.contextvars.clear_contextvars()\nprint(END, file=sys.stderr, flush=True)\n"
    pieces = logged(f"END = {END!r}\n{code}", TUNERY_LOG_FORMAT=request.param).split(END)
    return dict(zip(WAYS, pieces, strict=False))


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_reaches_the_log(told: dict[str, str], way: str) -> None:
    assert told[way].count("…") >= len(SECRETS)
    for secret in SECRETS.values():
        assert secret[-12:] not in told[way]


@pytest.mark.parametrize(
    "address", ["postgresql://tunery:pass-word@db/tunery", "redis://:pass-word@cache/0", "https://me:pass-word@host/x"]
)
def test_no_password_in_an_address_reaches_the_log(address: str) -> None:
    told = logged(f"log.info('x', address={address!r}); logging.getLogger('other').error({address!r})")
    assert "pass-word" not in told
    assert told.count(address.rpartition("@")[2]) == 2


def lines(told: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.splitlines()]


def test_a_line_is_json_with_its_time_level_and_ids() -> None:
    bind = "structlog.contextvars.bind_contextvars(request_id='req_1', project_id='proj_1')\n"
    [ours, theirs] = lines(logged(bind + "log.info('done', n=1); logging.getLogger('other').warning('done')"))
    for line in (ours, theirs):
        assert line["event"] == "done"
        assert (line["request_id"], line["project_id"]) == ("req_1", "proj_1")
        assert line["timestamp"].endswith("Z")
    assert (ours["level"], ours["logger"], theirs["level"], theirs["logger"]) == ("info", "tests", "warning", "other")


def test_text_that_looks_like_a_url_leaves_the_line_valid_json() -> None:
    [line] = lines(logged("log.info('http://a:80', b='c@d', e={'f': 'http://g:1', 'h': 'i@j'})"))
    assert (line["event"], line["b"], line["e"]) == ("http://a:80", "c@d", {"f": "http://g:1", "h": "i@j"})


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 2), ("error", 1)])
def test_the_level_is_a_setting(level: str, count: int) -> None:
    told = logged("log.debug('x'); log.info('x'); log.error('x')", TUNERY_LOG_LEVEL=level)
    assert len(told.splitlines()) == count


def test_a_line_is_one_line() -> None:
    assert len(logged(r"log.info('a\nb\rc\x00d\u2028e'); log.info('f')").encode().split(b"\n")) == 3
