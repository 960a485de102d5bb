"""Nebius Token Factory: OpenAI's wire with hyperparameters of its own; a tuned model must be deployed there."""
