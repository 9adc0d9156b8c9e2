"""What is measured: a module each.

``TITLE`` and ``NOTES`` are for readers, ``CASES`` are the names of what is measured one after the other. ``VALUES`` are
the numbers in what a turn found, by unit.
``measure(session, cases)`` does the rounds that are missing, and ``draw(record, folder)``, where there is one, writes
pictures.
"""
