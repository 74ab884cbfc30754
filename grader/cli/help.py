"""How help looks: plain text in the width of the terminal, headings and names coloured, examples as they are typed.

Typer's own panels load a Markdown parser and a highlighter for it, half of the time that help takes, and put borders
around what somebody wants to copy. Its types are not public, hence `Any`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from grader.cli.entry import MODULE
from grader.cli.refusals import one_of

WIDEST = 110  # columns; a wider line is hard to read
COLUMN = 34  # of options and verbs, where they fit


class Verb(TyperCommand):
    """One verb, with its options by heading."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, what is true afterwards, examples, arguments and options."""
        self.format_usage(ctx, formatter)
        _write_text(self.help or "", ctx, formatter)
        _write_options(self, ctx, formatter)


class Verbs(TyperGroup):
    """All verbs, by heading."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, the verbs with a line each, what holds for all of them."""
        self.format_usage(ctx, formatter)
        first, _, rest = (self.help or "").partition("\n\n")
        _write_text(first, ctx, formatter)
        panels: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name, verb in self.commands.items():
            line = (verb.help or "").partition("\n\n")[0].replace("\n", " ")
            panels[str(getattr(verb, "rich_help_panel", ""))].append((name, line))
        widest = max(map(len, self.commands))
        for heading, rows in panels.items():
            _write_rows(heading, [(name.ljust(widest), line) for name, line in rows], formatter)
        _write_options(self, ctx, formatter)
        _write_text(rest, ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that is named first.

        Raises:
            GraderError: for one that there is not, with the nearest.
        """
        if not ctx.resilient_parsing:  # between two keys nothing is refused
            one_of("verb", args[0], self.commands)
        return super().resolve_command(ctx, args)


def _write_text(text: str, ctx: Any, formatter: Any) -> None:
    """Paragraphs are wrapped; indented lines stay as they are, under the name by which the command was called."""
    called = ctx.find_root().info_name or MODULE
    for paragraph in filter(None, text.split("\n\n")):
        formatter.write_paragraph()
        if paragraph.startswith(" "):
            formatter.buffer.pop()  # examples stand together
            formatter.write("".join(f"{line}\n" for line in paragraph.replace(MODULE, called).splitlines()))
        elif paragraph.endswith(":") and "\n" not in paragraph:
            formatter.write(_heading(paragraph))
        else:
            formatter.write_text(paragraph.replace("\n", " "))


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    panels: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for param in command.get_params(ctx):
        if (record := param.get_help_record(ctx)) is not None:
            kind = "Arguments" if param.param_type_name == "argument" else "Options"
            panels[getattr(param, "rich_help_panel", None) or kind].append(record)
    for heading in sorted(panels, key=lambda name: (name != "Arguments", name != "Options")):
        _write_rows(heading, panels[heading], formatter)


def _write_rows(heading: str, rows: list[tuple[str, str]], formatter: Any) -> None:
    formatter.write_paragraph()
    formatter.write(_heading(f"{heading}:"))
    with formatter.indentation():
        formatter.write_dl([(typer.style(name, fg="cyan"), told) for name, told in rows], col_max=COLUMN)


def _heading(text: str) -> str:
    return typer.style(text, bold=True) + "\n"
