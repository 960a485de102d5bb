"""A button can be read under the pointer too, which the tests of appearance do not see."""

from typing import Literal

import pytest
from playwright.sync_api import Browser

from tests.dashboard.conftest import visiting
from tests.world import Person


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_kind_of_button_has_contrast_under_the_pointer(
    browser: Browser, alice: Person, theme: Literal["light", "dark"]
) -> None:
    job = alice.create_job()
    with visiting(browser, alice.base_url, alice.api_key, color_scheme=theme) as visitor:
        kinds = set()
        for path in ("/jobs/new", f"/jobs/{job}"):
            visitor.open(path)
            for button in visitor.page.locator(":is(button, a.button):visible").all():
                button.hover()
                kinds.add((button.get_attribute("class"), button.get_attribute("data-variant")))
                assert visitor.contrast_violations(button) == []
        visitor.page.get_by_role("button", name="Cancel …").click()
        dangerous = visitor.page.get_by_role("button", name="Cancel the job")
        dangerous.hover()
        assert visitor.contrast_violations(dangerous) == []
    assert {(None, None), ("outline", None), ("outline", "danger")} <= kinds
