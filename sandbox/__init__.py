"""A small OpenAI of our own, to try, demo and test against: it speaks the wire, it remembers, and it does not learn."""
