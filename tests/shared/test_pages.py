"""A page has as many items as wanted, and says whether there are more."""

import pytest

from shared.db.pages import Listed, Page


@pytest.mark.parametrize(
    ("rows", "limit", "shown", "has_more"),
    [(0, 1, 0, False), (1, 1, 1, False), (2, 1, 1, True), (3, 2, 2, True), (2, 2, 2, False), (21, 20, 20, True)],
)
def test_one_row_more_than_the_limit_means_another_page(rows: int, limit: int, shown: int, has_more: bool) -> None:
    items = [Listed(id=f"id_{number}") for number in range(rows)]
    page = Page[Listed].of(items, limit)
    assert (page.data, page.has_more, page.object) == (items[:shown], has_more, "list")
    assert page.first_id == (items[0].id if items else None)
    assert page.last_id == (items[shown - 1].id if items else None)
