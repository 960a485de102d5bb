"""Every code that a check can give, with its severity and what to do about it; OpenAI's cookbook named some of them."""

from enum import StrEnum
from typing import NamedTuple

import msgspec


class Severity(StrEnum):
    """An error keeps the file from being trained on; a warning is for its owner to judge."""

    ERROR = "error"
    WARNING = "warning"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong. `line` counts from 1, `offset` in bytes from the file's start, `path` is as in `$.messages[2]`.

    What concerns the file as a whole has neither line nor offset. The offset is that of the line, or, where the JSON
    itself breaks, of the byte where it does.
    """

    code: str
    severity: Severity
    message: str
    line: int | None = None
    offset: int | None = None
    path: str | None = None
    hint: str | None = None

    def moved(self, lines: int) -> "Problem":
        """The same problem, of a file that has so many lines before it."""
        return self if self.line is None else msgspec.structs.replace(self, line=self.line + lines)


class Code(NamedTuple):
    severity: Severity
    hint: str | None = None


def _errors(**hints: str | None) -> dict[str, Code]:
    return {code: Code(Severity.ERROR, hint) for code, hint in hints.items()}


def _warnings(**hints: str | None) -> dict[str, Code]:
    return {code: Code(Severity.WARNING, hint) for code, hint in hints.items()}


CODES: dict[str, Code] = {
    # the file
    **_errors(
        empty_file="Write one JSON object per line, an example each",
        file_too_large="Split it; many thousand good examples are seldom better than some hundred",
        unsupported_file_type="Upload plain JSON lines: unpack an archive, write a table as one JSON object per line",
        not_utf8="Save the file as UTF-8",
        json_array="Write each element on a line of its own, without the brackets and without commas between them",
        invalid_n_examples="Add examples; some dozens show an effect, some hundreds are common",
        too_many_examples="Leave examples out, or split them into several jobs",
        too_many_image_examples="Leave examples with images out",
        wrong_format_for_method="Choose the method that reads this format, or another file",
        method_not_supported="Choose another model or another method",
    ),
    # a line
    **_errors(
        line_too_long="Link to images instead of embedding them, and split long examples",
        invalid_utf8="Save the file as UTF-8",
        invalid_json="Each line must be one complete JSON object; write the file with a JSON library",
        non_finite_number="JSON has no NaN and no infinity: leave the key out, or write null",
        number_too_long="Write it as a string",
        nested_too_deeply="Flatten it",
        data_type="Each line must be one JSON object",
        unknown_format="Expected `messages`, or `prompt` and `completion`, or `input` with two outputs",
        mixed_formats="All lines of a file must have the same format",
    ),
    # an example
    **_errors(
        missing_messages_list="Give `messages` as a list of at least one message",
        missing_key=None,
        invalid_type=None,
        message_missing_key="Each message needs a `role` and a `content`",
        message_unrecognized_key="Remove the key",
        unrecognized_role="The roles are system, developer, user, assistant, tool and function",
        missing_content="Give the text; only an assistant's message with tool calls or a refusal may be without",
        example_missing_assistant_message="Add the answer that the model is to learn",
        last_message_not_user="For reinforcement, the last message is what the model answers: remove what follows it",
        invalid_weight="The weight of an assistant's message is 0 or 1",
        invalid_part="A part is {type: text, text} or, from the user, {type: image_url, image_url: {url}}",
        invalid_image_url="Give an https address, or a data URL of a JPEG, PNG or WEBP in base64",
        image_too_large="Make the image smaller",
        too_many_images="Leave some images out",
        misplaced_image="Only the user's messages may have images, and no example of a preference file may",
        invalid_tool_call="A tool call is {id, type: function, function: {name, arguments}}",
        arguments_not_a_string="Write the arguments as a JSON text in a string, as the model does",
        invalid_tool="A tool is {type: function, function: {name, description, parameters}}",
        invalid_output="An output is a list of one assistant's message",
    ),
    **_warnings(
        utf8_bom="Save the file without a byte order mark: some providers refuse it",
        blank_line="Remove it: some providers count it as an example",
        duplicate_key="Remove one of the two: which of them counts depends on the reader",
        lone_surrogate="Half of a character was cut off here; no UTF-8 can hold it",
        nul_character="Remove it: databases and tools end a text there",
        unrecognized_key="Providers ignore it, or refuse it: remove it",
        secret="Revoke the key, and write a placeholder instead: a model repeats what it was trained on",
        missing_system_message="If you will send a system message to the model, train it with the same",
        missing_user_message="The model is trained to answer nothing",
        empty_content=None,
        last_message_not_assistant="What follows the last answer trains nothing",
        nothing_trained="All the assistant's messages have the weight 0",
        misplaced_weight="Only an assistant's message has a weight",
        invalid_name="Use letters, digits, _ and -, at most 64",
        many_messages="Is this one conversation?",
        undeclared_tool="Add the function to `tools`, or the model learns to call what it was not offered",
        arguments_not_json="The model learns to write arguments that nobody can read",
        unknown_tool_call_id="A tool's message answers a call of the assistant before it",
        identical_outputs="There is nothing to prefer",
        truncated="The provider cuts the end off: shorten or split it",
        duplicate_example="Keep one, unless the repetition is meant",
        near_duplicate_example="Only case, spaces or punctuation differ: keep one, unless it is meant",
        same_completion="A model that always answers the same needs no training",
        unknown_model="Its limits and its price are not known here",
        model_retired="Choose a newer base",
        in_both_files="Train and validate on different examples, or the validation shows nothing",
    ),
}


def severity_of(code: str) -> Severity:
    return CODES[code].severity


def problem(
    code: str,
    message: str,
    *,
    line: int | None = None,
    offset: int | None = None,
    path: str | None = None,
    hint: str | None = None,
) -> Problem:
    known = CODES[code]
    return Problem(
        code=code,
        severity=known.severity,
        message=message,
        line=line,
        offset=offset,
        path=path,
        hint=hint or known.hint,
    )
