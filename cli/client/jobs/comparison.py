"""Two jobs beside each other: only what differs, and the losses."""

from typing import Any

from cli.api_client import Found
from cli.client.jobs.metrics import points_of
from cli.client.jobs.views import hyperparameters_of, method_of
from cli.client.output import NONE, duration, money, print_document
from cli.client.server import connected
from cli.columns import print_table, say
from cli.local.following import is_number

LOSSES = ("train_loss", "valid_loss", "full_valid_loss")
ASKED = ("model", "training_file", "validation_file", "seed", "priority", "provider")
VALUE_WIDTH = 36


def compare(first: str, second: str, *, as_json: bool) -> None:
    """As a document, each field has the values of both jobs, the losses too if they are equal."""
    with connected() as client:
        jobs: list[Found] = [client.fine_tuning.jobs.retrieve(id).to_dict() for id in (first, second)]
        settings = [_settings(job) for job in jobs]
        losses = [_losses(points_of(client, job["id"])) for job in jobs]
    differing = _beside(*settings, only_different=True)
    curves = _beside(*losses, only_different=False)
    if as_json:
        print_document({"jobs": [first, second], "different": differing, "losses": curves})
        return
    if not differing:
        say("In what was asked for, and in how they ended, these jobs do not differ.")
    rows = [[name, *(_cell(name, value) for value in values)] for name, values in {**differing, **curves}.items()]
    print_table(("", first, second), rows)


def _settings(job: Found) -> Found:
    """What was asked for, and how it ended, in the order in which it is shown."""
    took = duration(job["finished_at"] - job["created_at"]) if job.get("finished_at") else None
    cost = job.get("cost")
    return {
        "status": job["status"],
        "error": (job.get("error") or {}).get("message"),
        **{name: job.get(name) for name in ASKED},
        "method": method_of(job),
        **hyperparameters_of(job),
        "suffix": job.get("user_provided_suffix"),
        **{f"metadata.{name}": value for name, value in sorted((job.get("metadata") or {}).items())},
        "trained_tokens": job.get("trained_tokens"),
        "cost": money(cost["amount"], cost["currency"]) if cost else None,
        "duration": took,
        "fine_tuned_model": job.get("fine_tuned_model"),
    }


def _losses(points: list[Found]) -> Found:
    """Of each curve the lowest and the last value, with its step."""
    found: Found = {}
    for name in LOSSES:
        known = [(point[name], point["step"]) for point in points if is_number(point.get(name))]
        if known:
            (best, best_step), (last, last_step) = min(known), known[-1]
            found[f"best_{name}"] = {"loss": best, "step": best_step}
            found[f"last_{name}"] = {"loss": last, "step": last_step}
    return found


def _beside(first: Found, second: Found, *, only_different: bool) -> dict[str, list[Any]]:
    both = {name: [first.get(name), second.get(name)] for name in {**first, **second}}
    return {name: pair for name, pair in both.items() if not only_different or pair[0] != pair[1]}


def _cell(name: str, value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, dict):
        return f"{value['loss']:.4f} (step {value['step']:,})"
    text = f"{value:,}" if name == "trained_tokens" else str(value)
    return text if len(text) <= VALUE_WIDTH else f"{text[: VALUE_WIDTH // 2]}…{text[1 - VALUE_WIDTH // 2 :]}"
