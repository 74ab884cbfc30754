"""The students of a class: finds the submissions in a download, and matches each with a student of the roster."""
