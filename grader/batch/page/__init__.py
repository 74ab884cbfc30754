"""The class as one page for the staff."""

from grader.batch.page.page import class_page

__all__ = ["class_page"]
