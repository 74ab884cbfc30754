"""The grader as an autograder of Gradescope: the bundle that is uploaded, and what runs on the platform."""
