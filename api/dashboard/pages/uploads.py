"""Large files in parts: the routes of the API themselves, below the pages, where a session stands for the key."""

from api.auth.scopes import scope
from api.dashboard.rendering import environment
from api.http.pages import DASHBOARD
from api.http.router import Router
from api.routes import uploads
from shared.settings import get_settings

PART_BYTES = 8 << 20  # what is sent again when the connection drops
PARTS = f"{DASHBOARD}/uploads/*/parts"
router = Router(prefix=f"{DASHBOARD}/uploads", include_in_schema=False, dependencies=[scope("files")])
router.post("")(uploads.create_upload)
router.post("/{upload_id}/parts")(uploads.create_part)
router.post("/{upload_id}/complete")(uploads.complete_upload)


def part_bytes() -> int:
    """Return how large a part is; files that are no larger are sent by the form."""
    return min(PART_BYTES, get_settings().max_part_bytes)


environment.globals["part_bytes"] = part_bytes
