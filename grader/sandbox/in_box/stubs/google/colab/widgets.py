"""Colab's own layouts: what is shown in one is shown as always."""

import contextlib


class _Container:
    def __init__(self, *args, **kwargs):
        pass

    def output_to(self, *args, **kwargs):
        """What is shown in the block is shown as always."""
        return contextlib.nullcontext()

    def clear_cell(self, *args, **kwargs):
        """Does nothing."""

    def clear_tab(self, *args, **kwargs):
        """Does nothing."""


class Grid(_Container):
    """Cells of a table."""


class TabBar(_Container):
    """Tabs, of which each shows one output."""


class AccordionList(_Container):
    """Foldable outputs."""
