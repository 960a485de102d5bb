"""A job on several devices: one process for each, its ranks, which train together and end together."""
