"""Holds the stand-ins for modules that only Colab has."""
