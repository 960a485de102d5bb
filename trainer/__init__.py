"""A provider of one's own: trains open weights on one's own machines, and answers with what it trained."""
