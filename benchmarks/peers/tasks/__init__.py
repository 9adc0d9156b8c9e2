"""The tasks that are measured, a module for each.

``TITLE`` and ``NOTES`` are for readers, ``CASES`` are the names of the cases that are measured one after the other.
``VALUES`` are functions that read numbers from the findings of a turn, by unit.
``measure(session, cases)`` does the rounds that are missing, and ``draw(record, folder)``, where there is one, writes
pictures.
"""
