"""One submission from file to report: planned, run in boxes, judged and written down; and judged again."""
