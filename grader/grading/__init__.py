"""One submission from file to report: planned, run in boxes, graded and written down; and re-graded."""
