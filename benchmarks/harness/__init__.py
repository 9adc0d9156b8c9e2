"""Shared by the scripts: networks and data, rounds in turns, records on disk, tables."""
