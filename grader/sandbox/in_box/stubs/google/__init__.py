"""Holds the stand-ins for what only Colab has."""
