"""What to do about a refusal that no repetition will better, in a sentence after the provider's own words."""

_ACCOUNT = "The account at the provider has to be topped up or its limit raised; then copy the job with `from_job`."
_HINTS = {
    "training_not_available": "This account trains no more jobs: your operator can name another provider, to which "
    "the files go by themselves; then copy the job with `from_job`.",
    "credit_balance_exhausted": _ACCOUNT,
    "exceeded_quota": _ACCOUNT,
    "insufficient_quota": _ACCOUNT,
    "organization_spend_limit_exceeded": _ACCOUNT,
    "organization_usage_limit_exceeded": _ACCOUNT,
    "project_spend_limit_exceeded": _ACCOUNT,
    "invalid_training_file": "Change or remove the examples that it means, upload the file anew, and create another "
    "job with it.",
    "invalid_validation_file": "Change or remove the examples that it means, upload the file anew, and create another "
    "job with it.",
    "model_not_available": "GET /v1/models lists the models that can be tuned.",
    "model_not_found": "GET /v1/models lists the models that can be tuned.",
}


def with_hint(code: str, message: str) -> str:
    """The provider's words, and what to do where we know it."""
    hint = _HINTS.get(code)
    return message if hint is None else f"{message.rstrip().rstrip('.')}. {hint}"
