"""Reads, matches and restores a student's notebook; makes the template from the reference."""
