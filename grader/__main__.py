"""`python -m grader` is the command line."""

from grader.cli import program

program()
