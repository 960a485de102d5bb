"""The provider of our own, which trains open weights: OpenAI's wire, and options beside it."""
