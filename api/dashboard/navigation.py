"""The entries of the navigation, in their order. A new page of a project, or of an operator, is one more line."""

from typing import NamedTuple

from api.http.pages import DASHBOARD

OF_A_PROJECT = (
    ("Start", ""),
    ("Jobs", "/jobs"),
    ("Playground", "/playground"),
    ("Datasets", "/datasets"),
    ("Models", "/models"),
    ("Deployments", "/deployments"),
    ("Webhooks", "/webhooks"),
    ("Project", "/project"),
)
OF_AN_OPERATOR = (
    ("Operator", "/operator"),
    ("Audit", "/audit"),
)


class Entry(NamedTuple):
    label: str
    address: str
    is_current: bool
    is_for_admins: bool


def entries(root: str, path: str) -> list[Entry]:
    """Return the entries; the current one is that of the page or of a page below it."""
    return [
        Entry(label, f"{root}{DASHBOARD}{address}", _is_at(path, DASHBOARD + address), pages is OF_AN_OPERATOR)
        for pages in (OF_A_PROJECT, OF_AN_OPERATOR)
        for label, address in pages
    ]


def _is_at(path: str, address: str) -> bool:
    return path == address or (address != DASHBOARD and path.startswith(f"{address}/"))
