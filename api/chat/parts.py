"""What a question may consist of: messages, items, their parts and tools, without any way to what an account stores.

All projects may share an account at a provider, so an id of something stored there, such as a file or a response, may
be another project's. A type or a field that is not here is refused, since a provider may add more of them at any time.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

_ADDRESS = "^(?i:https?://|data:)"  # other schemes lead into a provider's own storage
FREE = Raw()  # any value, as nothing in it is looked up; left out by default
_Address = Annotated[str, Meta(pattern=_ADDRESS)]
_MaybeAddress = _Address | UnsetType | None


class _Known(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Each field is read once and written once, so that the provider reads what has been judged."""


class _Part(_Known, kw_only=True):
    cache_control: Raw = FREE
    prompt_cache_breakpoint: Raw = FREE


class _Text(_Part, tag="text"):
    text: Raw


class _Refusal(_Part, tag="refusal"):
    refusal: Raw


class _Sound(_Known):
    data: str
    format: Raw = FREE


class _InputAudio(_Part, tag="input_audio"):
    input_audio: _Sound


class _Url(_Known):
    url: _Address
    detail: Raw = FREE


class _Image(_Part, tag="image_url"):
    image_url: _Url | _Address


class _Video(_Part, tag="video_url"):
    video_url: _Url


class _Audio(_Part, tag="audio_url"):
    audio_url: _Url


class _FileContent(_Known):
    file_data: Raw
    filename: Raw = FREE
    file_id: None = None


class _File(_Part, tag="file"):
    file: _FileContent


class Message(_Known):
    """A message of a chat. What the model has said before is sent back with it, such as `tool_calls`.

    `parsed`: what OpenAI's SDK has made of an answer, and sends back with it.
    """

    role: Raw
    content: str | list[_Text | _Refusal | _InputAudio | _Image | _Video | _Audio | _File] | UnsetType | None = UNSET
    name: Raw = FREE
    refusal: Raw = FREE
    tool_calls: Raw = FREE
    tool_call_id: Raw = FREE
    function_call: Raw = FREE
    annotations: Raw = FREE
    reasoning: Raw = FREE
    reasoning_content: Raw = FREE
    parsed: Raw = FREE
    audio: None = None


class _FunctionTool(_Known, tag="function"):
    function: Raw


class _CustomTool(_Known, tag="custom"):
    custom: Raw


Tools = list[_FunctionTool | _CustomTool] | None


class Prediction(_Known, tag="content"):
    content: str | list[_Text]


class Voice(_Known):
    """Spoken by a voice that has a name; one that somebody has made has an id."""

    voice: str
    format: Raw = FREE


class CacheOptions(_Known):
    """Not a response to compare with."""

    mode: Raw = FREE
    ttl: Raw = FREE
    prewarm: Raw = FREE


class _InputText(_Part, tag="input_text"):
    text: Raw


class _SummaryText(_Part, tag="summary_text"):
    text: Raw


class _ReasoningText(_Part, tag="reasoning_text"):
    text: Raw


class _UrlCitation(_Known, tag="url_citation"):
    url: Raw
    title: Raw = FREE
    start_index: Raw = FREE
    end_index: Raw = FREE


class _OutputText(_Part, tag="output_text"):
    text: Raw
    annotations: list[_UrlCitation] | UnsetType = UNSET
    logprobs: Raw = FREE


class _InputImage(_Part, tag="input_image"):
    image_url: _MaybeAddress = UNSET
    detail: Raw = FREE
    file_id: None = None


class _InputFile(_Part, tag="input_file"):
    file_data: Raw = FREE
    file_url: _MaybeAddress = UNSET
    filename: Raw = FREE
    detail: Raw = FREE
    file_id: None = None


_Parts = list[
    _InputText | _OutputText | _Refusal | _SummaryText | _ReasoningText | _InputAudio | _InputImage | _InputFile
]
_Said = str | _Parts | UnsetType | None
_ItemType = Literal[
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "reasoning",
    "web_search_call",
]


class Item(_Known):
    """An item of a response's input. Without a type it is a message.

    `async_` is what OpenAI's SDK calls `async` in a dump of what the model has said.
    """

    type: _ItemType | UnsetType = UNSET
    id: Raw = FREE
    status: Raw = FREE
    role: Raw = FREE
    phase: Raw = FREE
    content: _Said = UNSET
    call_id: Raw = FREE
    name: Raw = FREE
    arguments: Raw = FREE
    input: Raw = FREE
    output: _Said = UNSET
    summary: _Said = UNSET
    encrypted_content: str | UnsetType | None = UNSET
    action: Raw = FREE
    namespace: Raw = FREE
    caller: Raw = FREE
    is_async: Raw = field(name="async", default=FREE)
    async_: None = None

    def __post_init__(self) -> None:
        """Here, so that a list of such items ends at the first one."""
        if self.type is UNSET and not bytes(self.role):
            raise ValueError("an item without a type is a message, which needs a role")


class _Callable(_Known, kw_only=True):
    name: Raw
    description: Raw = FREE
    allowed_callers: Raw = FREE
    defer_loading: Raw = FREE
    is_async: Raw = field(name="async", default=FREE)


class _Function(_Callable, tag="function"):
    parameters: Raw = FREE
    strict: Raw = FREE
    output_schema: Raw = FREE


class _Custom(_Callable, tag="custom"):
    format: Raw = FREE


class _WebSearch(_Known, tag="web_search"):
    search_context_size: Raw = FREE
    user_location: Raw = FREE
    filters: Raw = FREE
    external_web_access: Raw = FREE
    search_content_types: Raw = FREE


class _WebSearch20250826(_WebSearch, tag="web_search_2025_08_26"):
    """By its date."""


class _WebSearchPreview(_WebSearch, tag="web_search_preview"):
    """Its older name."""


class _WebSearchPreview20250311(_WebSearch, tag="web_search_preview_2025_03_11"):
    """Its older name, by its date."""


_Searches = _WebSearch | _WebSearch20250826 | _WebSearchPreview | _WebSearchPreview20250311
ResponseTools = list[_Function | _Custom | _Searches] | None
