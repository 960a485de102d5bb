"""What to do about a refusal that repeating the call does not help, in a sentence after the provider's own."""

_FILE = "Change or remove the examples that it means, upload the file again, and create another job with it."
_MODEL = "GET /v1/models lists the models that can be tuned."
_ACCOUNT = "The account at the provider has to be topped up or its limit raised; then copy the job with `from_job`."
CODES_ABOUT_MONEY = {
    "credit_balance_exhausted",
    "exceeded_quota",
    "insufficient_quota",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "project_spend_limit_exceeded",
}
_HINTS = {
    **dict.fromkeys(CODES_ABOUT_MONEY, _ACCOUNT),
    "training_not_available": "This account trains no more jobs: your operator can name another provider, to which "
    "the files go by themselves; then copy the job with `from_job`.",
    "invalid_training_file": _FILE,
    "invalid_validation_file": _FILE,
    "model_not_available": _MODEL,
    "model_not_found": _MODEL,
}


def with_hint(code: str, message: str) -> str:
    """The provider's message, followed by what to do if the code is a known one."""
    hint = _HINTS.get(code)
    return message if hint is None else f"{message.rstrip().rstrip('.')}. {hint}"
