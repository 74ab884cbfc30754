"""Code that runs in the box next to the student's code; none of it could be submitted as a solution."""
