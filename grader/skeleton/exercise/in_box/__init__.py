"""Code that runs beside the student's code: it asks questions and records raw numbers, but grades nothing."""
