"""What OpenAI's own schema of a chat message allows is never an error, and what it names is never an unknown key.

The strategies follow the schema's `required` and optional properties, type by type. Sentences of the schema that are no
JSON Schema hold as well: an answer has content, a refusal or calls; a call has its answer.
"""

from itertools import chain
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.validation.findings.codes import Severity, severity_of
from shared.datasets.validation.lines.examine import examine_line
from tests.shared.dataset_lines import lines

Object = dict[str, Any]
texts = st.sampled_from(["", "a", "Grüße", "a\nb", "{}", "x" * 70])
breakpoints = {"prompt_cache_breakpoint": st.just({"mode": "explicit"})}
texts_parts = st.fixed_dictionaries({"type": st.just("text"), "text": texts}, optional=breakpoints)
refusals = st.fixed_dictionaries({"type": st.just("refusal"), "refusal": texts})
addresses = st.fixed_dictionaries(
    {"url": st.sampled_from(["https://example.com/a.png", "http://example.com/?a=b"])},
    optional={"detail": st.sampled_from(["auto", "low", "high"])},
)
images = st.fixed_dictionaries({"type": st.just("image_url"), "image_url": addresses}, optional=breakpoints)
sounds = st.fixed_dictionaries(
    {"type": st.just("input_audio"), "input_audio": st.fixed_dictionaries({"data": texts, "format": st.just("wav")})}
)
files = st.fixed_dictionaries(
    {"type": st.just("file"), "file": st.fixed_dictionaries({}, optional={"file_id": texts, "filename": texts})}
)


def parts(of: st.SearchStrategy[Object]) -> st.SearchStrategy[Any]:
    return st.lists(of, min_size=1, max_size=3)


def message(role: str, content: st.SearchStrategy[Any], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries({"role": st.just(role), "content": content}, optional={"name": texts, **more})


instructions = st.one_of(*(message(role, st.one_of(texts, parts(texts_parts))) for role in ("system", "developer")))
questions = message("user", st.one_of(texts, parts(st.one_of(texts_parts, images, sounds, files))))
answers = message(
    "assistant",
    st.one_of(texts, parts(st.one_of(texts_parts, refusals))),
    refusal=st.one_of(st.none(), texts),
    audio=st.one_of(st.none(), st.fixed_dictionaries({"id": texts})),
    function_call=st.one_of(st.none(), st.fixed_dictionaries({"name": texts, "arguments": texts})),
    tool_calls=st.just([]),
)
functions = st.fixed_dictionaries(
    {"role": st.just("function"), "content": st.one_of(st.none(), texts), "name": texts},
)
calls = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("function"), "function": st.fixed_dictionaries({"name": texts, "arguments": texts})}
    ),
    st.fixed_dictionaries(
        {"type": st.just("custom"), "custom": st.fixed_dictionaries({"name": texts, "input": texts})}
    ),
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["type", "properties", "required", "items", "anyOf", "a"]), inner, max_size=3),
    ),
    max_leaves=8,
)
declarations = st.fixed_dictionaries(
    {"name": st.sampled_from(["f", "g-1", "a_b"])},
    optional={
        "description": texts,
        "parameters": st.dictionaries(st.sampled_from(["type", "properties", "required", "a"]), anything, max_size=3),
        "strict": st.one_of(st.none(), st.booleans()),
    },
)
tools = st.fixed_dictionaries({"type": st.just("function"), "function": declarations})


@st.composite
def called_and_answered(draw: st.DrawFn) -> list[Object]:
    made = [{"id": f"c{number}", **call} for number, call in enumerate(draw(st.lists(calls, min_size=1, max_size=3)))]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(st.one_of(texts, parts(texts_parts)))}
        for call in made
    ]
    content = draw(st.one_of(st.none(), texts))
    return [{"role": "assistant", "content": content, "tool_calls": made}, *draw(st.permutations(results))]


turns = st.one_of(
    called_and_answered(), *(each.map(lambda made: [made]) for each in (instructions, questions, answers, functions))
)
examples = st.fixed_dictionaries(
    {"messages": st.lists(turns, max_size=4).flatmap(lambda made: answers.map(lambda last: [*chain(*made), last]))},
    optional={
        "tools": st.lists(tools, max_size=3),
        "functions": st.lists(declarations, max_size=2),
        "parallel_tool_calls": st.booleans(),
    },
)


@settings(max_examples=400, deadline=None, database=None)
@given(examples)
def test_what_openais_schema_allows_is_no_error(example: Object) -> None:
    found = examine_line(lines(example), "chat", "openai")
    assert [each for each in found.findings if severity_of(each.code) is Severity.ERROR] == []
    assert not {each.code for each in found.findings} & {"unrecognized_key", "message_unrecognized_key"}
    assert found.messages
