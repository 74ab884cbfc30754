"""All that runs beside student code, in the box: the standard library and Jupyter alone, nothing of the grader."""
