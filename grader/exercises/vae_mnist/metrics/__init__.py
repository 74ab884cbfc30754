"""Pure functions on arrays: numbers in the field's own terms, no thresholds, no files."""
