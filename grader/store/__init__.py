"""Files of the grader's own: read within limits, written completely or not at all, and locked; also its versions."""
