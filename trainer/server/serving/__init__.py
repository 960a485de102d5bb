"""Chats: a process for each base, which are started, watched and stopped here."""
