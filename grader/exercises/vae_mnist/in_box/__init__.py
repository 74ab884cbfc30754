"""Code that runs in the box beside the student's: nothing of it could be handed in for a solution."""
