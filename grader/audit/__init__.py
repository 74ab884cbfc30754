"""The rubric on trial: right and wrong solutions, calibration of thresholds, and the page for instructors."""
