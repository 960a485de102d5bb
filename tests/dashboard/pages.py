"""Every page of the dashboard, which the tests of appearance open. A new page is a line here.

In an address, `{job}` and the like stand for the ids that `ids` of `tests/dashboard/furnished.py` makes.
"""

OF_A_PROJECT = {
    "start": "",
    "not-found": "/jobs/ftjob-00000000000000000000000000",
}
OF_AN_OPERATOR = {
    "projects": "/projects",
}
OPEN = {
    "sign-in": "/sign-in",
}
REFUSED = {"not-found"}  # these are answered with an error, which the browser reports
