"""Filters jobs by the query parameters `metadata[k]=v` and `metadata=null`, as OpenAI's job list does."""

from collections.abc import Callable, Mapping

from starlette.datastructures import QueryParams

from wire_server.errors import ApiError

PREFIX = "metadata["


def metadata_filter(query: QueryParams) -> Callable[[Mapping[str, str] | None], bool]:
    """A function that decides by its metadata whether a job is listed.

    All pairs must match; `metadata=null` matches jobs without metadata; without either all match.
    """
    pairs = {key[len(PREFIX) : -1]: value for key, value in query.items() if _is_pair(key)}
    whole = query.get("metadata")
    if whole not in (None, "null") or (whole and pairs):
        message = "Write metadata[key]=value, any number of times, or metadata=null by itself."
        raise ApiError(400, message, code="invalid_value", param="metadata")
    if whole:
        return lambda metadata: not metadata
    return lambda metadata: pairs.items() <= (metadata or {}).items()


def _is_pair(key: str) -> bool:
    return key.startswith(PREFIX) and key.endswith("]")
