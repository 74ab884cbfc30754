"""Tests of the rubric: correct and wrong solutions, calibration of thresholds, and the page for instructors."""
