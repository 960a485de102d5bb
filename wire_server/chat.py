"""A chat completion: what is asked, and the pieces of its answer that an engine gives."""

from typing import Annotated, Any

from msgspec import Struct
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wire_server.training_file import ROLES

MAX_STOPS, MAX_TOP_LOGPROBS = 4, 20


class StreamOptions(BaseModel):
    include_usage: bool = False


def _with_known_roles(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for number, message in enumerate(messages):
        if message.get("role") not in ROLES:
            raise ValueError(f"message {number} must have one of the roles {', '.join(sorted(ROLES))}")
    return messages


class ChatRequest(BaseModel):
    """The parameters that an engine may use; all others are accepted and ignored."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[dict[str, Any]], Field(min_length=1), AfterValidator(_with_known_roles)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    tools: list[dict[str, Any]] | None = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=MAX_STOPS)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=MAX_TOP_LOGPROBS)] = None


class Piece(Struct):
    """Some more text of the answer, and what the wire shows of each of its tokens, if that was asked for."""

    text: str
    logprobs: list[dict[str, Any]] | None = None


class End(Struct):
    """The end of an answer: `stop` or `length`, and the counted tokens."""

    finish_reason: str
    prompt_tokens: int
    completion_tokens: int

    def usage(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }
