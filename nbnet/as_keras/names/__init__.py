"""A folder for the search path of child processes, in which nbnet is found as ``keras`` and ``tensorflow``."""
