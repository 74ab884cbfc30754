"""A class of submissions: find them, grade several at a time, resume, re-grade, and write gradebooks."""
