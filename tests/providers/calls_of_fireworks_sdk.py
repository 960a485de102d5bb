"""`python calls_of_fireworks_sdk.py create|look ADDRESS FILE|ID`: each call that our client makes, by its own SDK.

The SDK refuses an answer that is not of its types. What the calls have given is printed as JSON.
"""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from fireworks import Fireworks

MODEL = "accounts/fireworks/models/qwen3-8b"
ACCOUNT = "accounts/sandbox"


def _sdk(address: str) -> Fireworks:
    return Fireworks(
        base_url=address, api_key="sk-sandbox", account_id="sandbox", max_retries=0, _strict_response_validation=True
    )


def create(address: str, file: Path) -> dict[str, Any]:
    sdk, size = _sdk(address), file.stat().st_size
    for id in ("small", "large"):
        sdk.datasets.create(dataset_id=id, dataset={"display_name": f"{id}.jsonl", "example_count": "20"})
    uploaded = sdk.datasets.upload("small", file=file)
    [url] = (
        sdk.datasets.get_upload_endpoint("large", filename_to_size={"a": str(size)}).filename_to_signed_urls or {}
    ).values()
    headers = {"x-goog-content-length-range": f"{size},{size}", "content-type": "application/octet-stream"}
    urllib.request.urlopen(urllib.request.Request(url, file.read_bytes(), headers, method="PUT")).close()
    sdk.datasets.validate_upload("large", body={})
    [url] = (sdk.datasets.get_download_endpoint("large").filename_to_signed_urls or {}).values()
    supervised = sdk.supervised_fine_tuning_jobs.create(
        supervised_fine_tuning_job_id="ftjob-sdk",
        dataset=f"{ACCOUNT}/datasets/small",
        evaluation_dataset=f"{ACCOUNT}/datasets/large",
        base_model=MODEL,
        output_model=f"{ACCOUNT}/models/mine",
        display_name="mine",
        epochs=2,
        batch_size_samples=4,
        learning_rate=0.0001,
        lora_rank=8,
        max_context_length=4096,
        early_stop=False,
    )
    preference = sdk.dpo_jobs.create(
        dpo_job_id="ftjob-dpo",
        dataset=f"{ACCOUNT}/datasets/small",
        training_config={"base_model": MODEL, "output_model": f"{ACCOUNT}/models/other", "epochs": 1},
        loss_config={"method": "DPO", "dpo": {"beta": 0.2}},
    )
    return {
        "uploaded": uploaded.id,
        "states": [each.state for each in sdk.datasets.list()],
        "is_same": urllib.request.urlopen(url).read() == file.read_bytes(),
        "job": [supervised.name, supervised.state],
        "preference": [preference.name, preference.state],
        "tunable": [each.name for each in sdk.models.list(account_id="fireworks") if each.tunable],
    }


def look(address: str, id: str) -> dict[str, Any]:
    """The reads of a job that has trained, a deployment of its model, a cancel, and deletions."""
    sdk = _sdk(address)
    job = sdk.supervised_fine_tuning_jobs.get(id)
    metrics = urllib.request.urlopen(job.metrics_file_signed_url or "").read().decode()
    deployment = sdk.deployments.create(deployment_id="dep-sdk", base_model=job.output_model or "", display_name="d")
    sdk.dpo_jobs.cancel("ftjob-dpo", body={})
    model = (job.output_model or "").rpartition("/")[2]
    weights = sdk.models.get_download_endpoint(model, account_id="sandbox").filename_to_signed_urls or {}
    said = {
        "weights": {name: len(urllib.request.urlopen(url).read()) for name, url in weights.items()},
        "state": job.state,
        "cost": job.estimated_cost and job.estimated_cost.currency_code,
        "percent": job.job_progress and job.job_progress.percent,
        "lines": len(metrics.splitlines()),
        "listed": [each.name for each in sdk.supervised_fine_tuning_jobs.list(page_size=1, order_by="createTime desc")],
        "cancelled": [sdk.dpo_jobs.get("ftjob-dpo").state for _ in range(2)],
        "deployment": [deployment.state, *(each.name for each in sdk.deployments.list())],
        "models": [each.name for each in sdk.models.list()],
    }
    sdk.deployments.delete(sdk.deployments.get("dep-sdk").name.rpartition("/")[2] if deployment.name else "")
    sdk.models.delete("mine")
    sdk.datasets.delete("large")
    return said


if __name__ == "__main__":
    done = create(sys.argv[2], Path(sys.argv[3])) if sys.argv[1] == "create" else look(sys.argv[2], sys.argv[3])
    print(json.dumps(done, default=str))  # noqa: T201
