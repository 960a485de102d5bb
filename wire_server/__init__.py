"""The provider's side of OpenAI's wire, with an engine behind it: the sandbox rehearses, the trainer trains."""
