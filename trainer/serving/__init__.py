"""The process that answers chats of one base and of many adapters, in one batch. Runs in the trainer's environment."""
