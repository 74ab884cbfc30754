"""Files read within limits and written atomically; locks, versions, and where the course's files are."""
