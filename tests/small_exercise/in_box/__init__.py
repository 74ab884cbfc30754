"""The toy's probe."""
