"""The forms of a report: two HTML pages, plain text, JSON, Gradescope's JSON, and the terminal's table.

Everything here turns a `GradeReport` into text, bytes or terminal output. Nothing here decides points or writes files.
"""
