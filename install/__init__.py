"""How the project is installed: the lock files, made from pyproject.toml."""
