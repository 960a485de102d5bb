"""A stand-in for OpenAI's API for trials, demos and tests: it keeps files and jobs in memory, and trains nothing."""
