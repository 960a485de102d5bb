"""Azure's wire: OpenAI's at two addresses, with more statuses, files that fail late, and models to be deployed."""
