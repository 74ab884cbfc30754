"""Files of the grader's own: read within bounds, written whole or not at all, locked, and known by their versions."""
