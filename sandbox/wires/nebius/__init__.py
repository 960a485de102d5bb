"""Nebius' wire: OpenAI's with hyperparameters at the top, few events, files of checkpoints, and models under `/v0`."""
