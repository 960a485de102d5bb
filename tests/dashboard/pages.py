"""Every page of the dashboard, which the tests of appearance open. A new page is a line here.

In an address, `{job}` and the like stand for the ids that `ids` of `tests/dashboard/furnished.py` makes.
"""

OF_A_PROJECT = {
    "start": "",
    "jobs": "/jobs",
    "job": "/jobs/{job}",
    "job-failed": "/jobs/{failed}",
    "job-running": "/jobs/{running}?log=1&smooth=0.6",
    "jobs-filtered": "/jobs?status=failed&since=24h",
    "not-found": "/jobs/ftjob-00000000000000000000000000",
}
OF_AN_OPERATOR = {
    "projects": "/projects",
}
OPEN = {
    "sign-in": "/sign-in",
}
REFUSED = {"not-found"}  # these are answered with an error, which the browser reports
