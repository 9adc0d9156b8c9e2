"""What is measured: a module each.

``TITLE`` and ``NOTES`` are for readers, ``CASES`` are the names of what is measured one after the other. ``VALUES`` are
the numbers in what a turn found, by unit; ``GOALS``, where there are some, are about the first of them.
``measure(session, cases)`` does the rounds that are missing, and ``draw(record, folder)``, where there is one, writes
pictures.
"""
