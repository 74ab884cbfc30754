"""A student's executed notebook as a page shows it: cells in safe HTML, and the remarks beside them.

Text, outputs and pictures come from a submission. What is shown of them is rebuilt from a short list of forms: escaped
text, a few tags of Markdown without attributes, formulas, PNG and JPEG. HTML that a cell shows is never shown.
"""
