"""Code that runs in the box beside the student's; `stand_in` is also imported by the keeper."""
