"""`python calls_of_together_sdk.py ADDRESS FILE`: each call that our client makes, by Together's own SDK.

The SDK refuses an answer that is not of its types. What the calls have given is printed as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

from together import Together

MODEL = "Qwen/Qwen3-8B"


def main(address: str, file: Path) -> None:
    sdk = Together(base_url=address, api_key="sk-sandbox", max_retries=0, _strict_response_validation=True)
    said: dict[str, Any] = _files(sdk, file)
    tuned = sdk.fine_tuning.create(
        model=MODEL,
        training_file=said["file"],
        validation_file=said["file"],
        n_epochs=2,
        n_evals=2,
        n_checkpoints=2,
        lora=True,
        suffix="mine",
        random_seed=7,
    )
    said["created"] = {"id": tuned.id, "status": tuned.status, "suffix": tuned.suffix}
    said["supported"] = sdk.get("/v1/fine-tunes/models/supported", cast_to=object)
    said["limits"] = sdk.fine_tuning.model_limits(model_name=MODEL).max_num_epochs
    print(json.dumps(said, default=str))  # noqa: T201


def _files(sdk: Together, file: Path) -> dict[str, Any]:
    sent = sdk.files.upload(file=file, purpose="fine-tune")
    again = sdk.files.upload(file=file, purpose="fine-tune")
    seen = sdk.files.retrieve(sent.id)
    content = sdk.files.content(sent.id).read()
    return {
        "file": sent.id,
        "again": again.id,
        "status": seen.processing_status,
        "is_valid": seen.validation_report and seen.validation_report.valid,
        "listed": [each.id for each in sdk.files.list().data],
        "is_same": content == file.read_bytes(),
    }


def look(address: str, id: str) -> None:
    """The reads of a job that has trained, a cancel that comes too late, and its deletion."""
    sdk = Together(base_url=address, api_key="sk-sandbox", max_retries=0, _strict_response_validation=True)
    job, listed = sdk.fine_tuning.retrieve(id), sdk.fine_tuning.list().data
    said = {
        "job": {"status": job.status, "model": job.x_model_output_name, "price": job.total_price},
        "listed": [each.id for each in listed],
        "events": [each.type for each in sdk.fine_tuning.list_events(id).data],
        "steps": [each.step for each in sdk.fine_tuning.list_checkpoints(id).data],
        "metrics": sdk.fine_tuning.list_metrics(id, resolution=2).metrics,
    }
    said["adapter"] = sdk.fine_tuning.content(ft_id=id, checkpoint="adapter").read().decode()[:40]
    continued = sdk.fine_tuning.create(from_checkpoint=f"{id}:20", training_file=job.training_file or "")
    said["cancelled"] = sdk.fine_tuning.cancel(continued.id).status
    sdk.fine_tuning.delete(id)
    sdk.files.delete(job.training_file or "")
    print(json.dumps(said, default=str))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[2], Path(sys.argv[3])) if sys.argv[1] == "create" else look(sys.argv[2], sys.argv[3])
