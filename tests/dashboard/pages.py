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
    "compare": "/jobs/compare?job={job}&job={other}&job={failed}&job={running}&step=50",
    "compare-nothing": "/jobs/compare",
    "new-job": "/jobs/new",
    "new-job-model": "/jobs/new?training_file={file}&model=gpt-4o-mini&method=supervised",
    "job-elsewhere": "/jobs/{job}/elsewhere",
    "new-job-again": "/jobs/new?from_job={job}",
    "models": "/models",
    "model": "/models/{model}",
    "model-deployable": "/models/{deployable}",
    "deployments": "/deployments",
    "deployment": "/deployments/{deployment}",
    "deployment-failed": "/deployments/{failed_deployment}",
    "deployment-new": "/deployments/new?model={deployable}",
    "deployments-nothing": "/deployments?status=stopping",
    "playground": "/playground?job={job}",
    "datasets": "/datasets",
    "dataset": "/datasets/{file}",
    "dataset-elsewhere": "/datasets/{file}/elsewhere",
    "dataset-wrong": "/datasets/{wrong_file}",
    "dataset-strange": "/datasets/{strange_file}",
    "webhooks": "/webhooks",
    "webhook-new": "/webhooks/new",
    "webhook-endpoint": "/webhooks/endpoints/{endpoint}",
    "webhook-edit": "/webhooks/endpoints/{endpoint}/edit",
    "webhook-deliveries": "/webhooks/endpoints/{endpoint}/deliveries",
    "webhook-delivery": "/webhooks/endpoints/{endpoint}/deliveries/{delivery}",
    "webhook-recovery": "/webhooks/endpoints/{endpoint}/recoveries/{recovery}",
    "webhook-events": "/webhooks/events",
    "webhook-event": "/webhooks/events/{event}",
    "project": "/project",
    "not-found": "/jobs/ftjob-00000000000000000000000000",
}
OF_AN_OPERATOR = {
    "projects": "/projects",
    "project-keys": "/projects/{project}/keys",
    "project-new-key": "/projects/{project}/keys/new",
    "project-key": "/projects/{project}/keys/{key}",
    "project-accounts": "/projects/{project}/accounts",
    "project-new-account": "/projects/{project}/accounts/new",
    "project-account": "/projects/{project}/accounts/{account}",
    "project-budget": "/projects/{project}/budget",
    "project-alerts": "/projects/{project}/alerts",
    "project-costs": "/projects/{project}/costs",
    "project-approvals": "/projects/{project}/approvals",
    "project-quotas": "/projects/{project}/quotas",
    "project-rates": "/projects/{project}/rates",
    "project-email": "/projects/{project}/email",
    "operator": "/operator",
    "operator-projects": "/operator/projects",
    "operator-queue": "/operator/queue",
    "operator-accounts": "/operator/accounts",
    "operator-admin-key": "/operator/admin-keys/{admin_key}",
    "operator-admin-keys": "/operator/admin-keys",
    "audit": "/audit",
}
SECRETS = {  # whose form is answered with a secret, and where the form is
    "project-key-secret": ("operator", "/projects/{project}/keys/new"),
    "admin-key-secret": ("operator", "/operator/admin-keys"),
    "webhook-secret": ("member", "/webhooks/new"),
}
OPEN = {
    "sign-in": "/sign-in",
    "enter": "/enter?code=x",
}
README = {  # pictures of these are in docs/pictures; the ids are those of tests/dashboard/test_readme_pictures.py
    "start": "",
    "job": "/jobs/{job}?smooth=0.6",
    "compare": "/jobs/compare?job={job}&job={slower}&job={longer}&smooth=0.6",
    "new-job": "/jobs/new?training_file={file}&validation_file={validation}&model=gpt-4.1-mini&method=supervised",
}
REFUSED = {"not-found"}  # these are answered with an error, which the browser reports
