"""Every code that a check can report, with its severity and what to do; some names are from OpenAI's cookbook."""

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """A file with an error cannot be trained on; a warning does not prevent training."""

    ERROR = "error"
    WARNING = "warning"


class Code(NamedTuple):
    severity: Severity
    hint: str


def _errors(**hints: str) -> dict[str, Code]:
    return {code: Code(Severity.ERROR, hint) for code, hint in hints.items()}


def _warnings(**hints: str) -> dict[str, Code]:
    return {code: Code(Severity.WARNING, hint) for code, hint in hints.items()}


CODES: dict[str, Code] = {
    # the file
    **_errors(
        empty_file="Write one JSON object per line, one for each example",
        file_too_large="Split the file, or keep the best examples: a few hundred good ones are often enough",
        unsupported_file_type="Upload plain JSON lines: unpack an archive, write a table as one JSON object per row",
        not_utf8="Save the file as UTF-8",
        json_array="Write each element on its own line, without the outer brackets and without commas between elements",
        wrong_shape="Write one JSON object per line, one for each example",
        invalid_n_examples="Add examples: a few dozen show an effect, a few hundred are common",
        too_many_examples="Remove examples, or split them into several jobs",
        too_many_image_examples="Remove examples with images",
        wrong_format_for_method="Choose a method that reads this format, or another file",
        check_stopped="Correct what is listed, then check again",
        method_not_supported="Choose another model or another method",
        model_retired="Choose a newer base model",
    ),
    # a line
    **_errors(
        line_too_long="Link to images instead of embedding them, and split long examples",
        invalid_utf8="Save the file as UTF-8",
        invalid_json="Write one complete JSON object per line; use a JSON library to write the file",
        non_finite_number="Remove the key or write null: JSON has no NaN and no infinity",
        number_too_long="Write the number as a string",
        nested_too_deeply="Use fewer nested objects and lists",
        data_type="Write one JSON object per line",
        unknown_format="Give `messages`, or `prompt` and `completion`, or `input` with two outputs",
        too_many_findings="Correct what is listed, then check again",
        mixed_formats="Use the same format in all lines of a file",
    ),
    # an example
    **_errors(
        missing_messages_list="Give `messages` as a list of at least one message",
        missing_key="Add the key",
        invalid_type="Give a value of the expected type",
        message_missing_key="Add the key: each message needs a `role` and a `content`",
        message_unrecognized_key="Remove the key",
        unrecognized_role="Use one of the roles system, developer, user, assistant, tool and function",
        missing_content="Add the text; only an assistant's message with tool calls or a refusal may omit it",
        example_missing_assistant_message="Add the answer that the model is to learn",
        last_message_not_user="Remove what follows the user's last message: that is the one the model answers",
        invalid_weight="Set the weight of the assistant's message to 0 or 1",
        invalid_part="Write a part as {type: text, text} or, from the user, {type: image_url, image_url: {url}}",
        invalid_image_url="Give an https URL, or a data URL of a JPEG, PNG or WEBP in base64",
        image_cut_off="Encode the whole file again: what is missing was lost when it was read or copied",
        image_unreadable="Give the data of a JPEG, PNG or WEBP: convert other images first",
        image_too_large="Make the image smaller",
        too_many_images="Remove some of the images",
        misplaced_image="Move the image to a user's message; examples of a preference file cannot have images",
        invalid_tool_call="Write a tool call as {id, type: function, function: {name, arguments}}",
        duplicate_tool_call_id="Give each call of a message an id of its own",
        unanswered_tool_call="Add a tool message with this `tool_call_id` right after the call, or remove the call",
        unknown_tool_call_id="Use the id of a call in the assistant's message directly before, once",
        arguments_not_a_string="Write the arguments as a string of JSON, as the model does",
        invalid_tool="Write a tool as {type: function, function: {name, description, parameters}}",
        invalid_output="Write an output as a list of one assistant's message",
    ),
    **_warnings(
        utf8_bom="Save the file without a byte order mark: some providers refuse it",
        blank_line="Remove the line: some providers count it as an example",
        duplicate_key="Remove one of the two: which one counts depends on the reader",
        lone_surrogate="Remove the character or write it whole: half a surrogate pair cannot be encoded in UTF-8",
        nul_character="Remove the character: databases and tools end a text there",
        unrecognized_key="Remove the key: providers ignore or refuse it",
        secret="Revoke the key, and write a placeholder instead: a model repeats what it was trained on",
        missing_system_message="Add the system message that you will send to the model, if you will send one",
        missing_user_message="Add the question: without one the model is trained to answer nothing",
        empty_content="Add the text, or remove the message",
        last_message_not_assistant="Remove what follows the last answer: it trains nothing",
        nothing_trained="Set the weight of at least one of the assistant's messages to 1",
        misplaced_weight="Remove the weight: only an assistant's message has one",
        invalid_name="Use letters, digits, _ and -, at most 64 characters",
        many_messages="Split the example if it holds more than one conversation",
        undeclared_tool="Add the function to `tools`, or the model learns to call functions it was not offered",
        arguments_not_json="Write valid JSON, or the model learns to write arguments that nobody can read",
        tool_content_parts="Write the `content` as one text: providers and chat templates read parts there differently",
        invalid_parameters="Give a JSON Schema of the type object: the chat API refuses tools with any other",
        duplicate_tool="Keep one of them, or rename it: calls cannot say which of the two they mean",
        pointless_key="Remove the key, or add what it needs",
        image_type_differs="Write the type that the data has",
        untrained_part="Remove the part, or write its content as text: training reads only texts and images",
        untrained_tool="Use a function instead: training reads only functions",
        mixed_parts="Write the refusal alone: a message has either texts or one refusal",
        identical_outputs="Make the outputs differ, or remove the example: there is nothing to prefer",
        truncated="Shorten or split the example: the provider cuts off its end",
        duplicate_example="Keep one of them, unless the repetition is intended",
        near_duplicate_example="Keep one of them, unless it is intended: only case, spaces or punctuation differ",
        same_completion="Vary the answers: a model that always answers the same needs no training",
        unknown_model="Check the model's name: its limits and its price are not known here",
        model_stops_soon="Choose a base model that lives longer, if you will use the tuned one for long",
        in_both_files="Train and validate on different examples, or the validation shows nothing",
    ),
}


def severity_of(code: str) -> Severity:
    return CODES[code].severity
