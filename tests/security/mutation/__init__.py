"""Structure-aware mutation of files: samples of all kinds, ways to change them, and processes that try each."""
