"""An autograder that keeps student code away from the code that grades it."""

__version__ = "0.1.0"
