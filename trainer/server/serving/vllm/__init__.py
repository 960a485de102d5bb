"""Chats that a vLLM answers: one at an address of its own, or one that is started here for each base."""
