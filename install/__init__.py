"""Installation of the project: set-up, and lock files built from pyproject.toml."""
