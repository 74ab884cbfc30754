"""The forms of a report: JSON, Gradescope, terminal and one HTML page.

Everything here turns a `GradeReport` into text or bytes; nothing here decides points, and the only thing that
touches the disk is `write_atomically`.
"""
