"""What students read of a verdict, held to the rules of feedback: short, about their work, and never the answer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from grader.notebook.regions import solution_regions
from grader.records import ItemVerdict, Notebook
from grader.report.words import LONGEST

MOST_SENTENCES = 3
SHORTEST_LINE = 14  # characters of a line of the solution; shorter ones, as `x = x`, anybody may say
INTERNAL = re.compile(
    r"\b(?:components|sampling|trained|quality|decode|replace)\.(?:vae|cvae)\b|\bgrader\.|\bin_box\b|\bevidence\b"
    r"|safetensors|\bTraceback\b|\bnp\.|\bnumpy\.|zero_at|full_at|\bthreshold|\bseed \d|site-packages"
    r"|(?<![\w.])/(?:usr|home|opt|tmp)/|\b[0-9a-f]{32}\b|<(?:class|function|bound)\b| object at 0x",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?](?=\s+[A-Z“(]|$)")


def wording_faults(results: Mapping[str, Iterable[ItemVerdict]], answers: Collection[str]) -> Iterator[tuple[str, str]]:
    """Solution and sentence for each text that breaks a rule; a text is named once, by the first who reads it."""
    seen = set()
    for name, verdicts in results.items():
        for item in verdicts:
            for check in item.checks:
                for kind, text in (("title", check.title), ("message", check.message), ("hint", check.hint)):
                    if text in seen:
                        continue
                    seen.add(text)
                    for why in faults_of(text, answers):
                        yield name, f"{item.id}: {check.id}: the {kind} {why}: {text[:200]}"


def faults_of(text: str, answers: Collection[str] = ()) -> Iterator[str]:
    """What is wrong with the text, each as the end of "the message ..."."""
    sentences = len(_END.findall(text.strip() + ("" if text.rstrip().endswith((".", "!", "?")) else ".")))
    if text and sentences > MOST_SENTENCES:
        yield f"has {sentences} sentences, expected at most {MOST_SENTENCES}"
    if len(text) > LONGEST["message"]:
        yield f"has {len(text)} characters, expected at most {LONGEST['message']}"
    if found := INTERNAL.search(text):
        yield f"names an internal ({found.group()!r})"
    squeezed = "".join(text.split())
    if told := next((line for line in answers if line in squeezed), None):
        yield f"gives the solution ({told!r})"


def answers_of(reference: Notebook) -> frozenset[str]:
    """The lines of the solution that no feedback may hold, without their spaces."""
    lines = (line for region in solution_regions(reference).values() for line in region.source.splitlines())
    squeezed = ("".join(line.partition("#")[0].split()) for line in lines)
    return frozenset(line for line in squeezed if len(line) >= SHORTEST_LINE and re.search(r"[(=]", line))
