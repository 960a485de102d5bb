"""Refuses a job that cannot fit before its base is loaded."""
