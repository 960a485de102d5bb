"""The trainer's HTTP server: OpenAI's wire outside; jobs and answers are processes in the trainer's environment."""
