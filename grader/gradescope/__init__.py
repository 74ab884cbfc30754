"""The grader as an autograder for Gradescope: the bundle to upload, and the code that runs on the platform."""

ISOLATIONS = ("bubblewrap", "user", "none")  # that can work in its containers
