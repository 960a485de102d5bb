"""Reads from the source which error codes a caller can meet, and with which HTTP status."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from inspect import isclass
from pathlib import Path

from shared import errors

ROOT = Path(__file__).parent.parent
STATUSES = {
    name: kind.status for name, kind in vars(errors).items() if isclass(kind) and issubclass(kind, errors.ServiceError)
}
HTTP = range(400, 600)
# The functions that take a code as an argument without a name, those of answers after the status.
CARRIERS = {"envelope", "RequestRefused", "_refuse", "call_later", "_check_header", "ProviderError"}
CARRIERS |= {"fail", "record_error", "record_refusal", "NotMade"}
CODE = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)+")
NOT_CODES = {"invalid_request_error", "server_error", "training_file", "extra_forbidden"}


def error_codes() -> dict[str, set[int]]:
    """Return each code with the statuses it is answered with; none if it only ends a job or makes a dataset invalid."""
    found: dict[str, set[int]] = defaultdict(set)
    for package in ("api", "shared", "worker"):
        for file in (ROOT / package).rglob("*.py"):
            if "validation/" not in str(file) and file.name != "samples.py":
                for node in ast.walk(ast.parse(file.read_text())):
                    for code, status in _codes(node):
                        found[code] |= {status} if status else set()
    return found


def _codes(node: ast.AST) -> Iterator[tuple[str, int | None]]:
    match node:
        case ast.ClassDef(name=name):
            for line in node.body:
                match line:
                    case ast.Assign([ast.Name("code")], value) | ast.AnnAssign(ast.Name("code"), _, value):
                        yield from ((code, STATUSES.get(name)) for code in _strings(value))
        case ast.Call():
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for keyword in node.keywords:
                if keyword.arg == "code":
                    yield from ((code, STATUSES.get(name)) for code in _strings(keyword.value))
            if name in CARRIERS:
                constants = [each.value for each in node.args if isinstance(each, ast.Constant)]
                status = next((value for value in constants if isinstance(value, int) and value in HTTP), None)
                yield from ((code, status) for argument in node.args for code in _strings(argument))
        case ast.Dict():
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield from ((code, None) for code in _strings(value))
        case ast.Assign(targets=[ast.Name(id="code" | "UNKNOWN" | "_CODES")] | [ast.Tuple([ast.Name("code"), *_])]):
            yield from ((code, None) for code in _strings(node.value))


def _strings(node: ast.AST | None) -> list[str]:
    """Return the texts in an expression that look like codes."""
    constants = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)] if node else []
    return [text for text in constants if isinstance(text, str) and CODE.fullmatch(text) and text not in NOT_CODES]
