"""Which paths are pages of the dashboard, and which of those need nobody to be signed in."""

DASHBOARD = "/dashboard"
STATIC = f"{DASHBOARD}/static"
SIGN_IN = f"{DASHBOARD}/sign-in"
ENTER = f"{DASHBOARD}/enter"  # where a sign-in link leads
SIGN_IN_LINKS = f"{DASHBOARD}/sign-in-links"  # called with an API key, as the API's routes are
NEEDS_NO_SESSION = {SIGN_IN, ENTER, SIGN_IN_LINKS}


def is_page(path: str) -> bool:
    return path == DASHBOARD or path.startswith(f"{DASHBOARD}/")


def is_static(path: str) -> bool:
    return path.startswith(f"{STATIC}/")
