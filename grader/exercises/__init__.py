"""An exercise: its questions, checks, pictures and data; a rubric names the package."""
