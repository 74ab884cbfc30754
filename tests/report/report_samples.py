"""Made-up reports for the tests: perfect, middling, an empty template and a hostile one."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from PIL import Image

from grader.records import (
    CheckVerdict,
    Comparison,
    Figure,
    GradeReport,
    ItemVerdict,
    MeasuredValue,
    Outcome,
    Plane,
    Remark,
    Status,
)

ITEMS = (
    ("vae.encoder_decoder", 20, "Implement VAE Encoder and Decoder"),
    ("vae.reparameterization", 5, "Implement the reparameterization trick"),
    ("vae.loss", 5, "Implement VAE losses"),
    ("vae.training", 5, "Implement the training loop"),
    ("vae.reconstruction", 5, "Reach acceptable reconstruction quality"),
    ("vae.generation", 10, "Implement the sampling code and reach acceptable generation quality"),
    ("cvae.encoder_decoder", 20, "Implement CVAE Encoder and Decoder"),
    ("cvae.reparameterization", 5, "Implement the reparameterization trick"),
    ("cvae.training", 5, "Implement the training loop"),
    ("cvae.reconstruction", 5, "Reach acceptable reconstruction quality"),
    ("cvae.generation", 15, "Implement the conditional sampling code and reach acceptable generation quality"),
)
EVIL = (
    "</style><script>alert(1)</script><svg onload=alert(1)><img src='https://evil.example/x.png'>"
    "\x1b[2J\x1b]0;owned\x07\x9b31m[bold red]markup[/] [link=https://evil.example]x[/link] {{ 7*7 }} "
    "\u202egpj.exe\u2066 Z\u0300\u0300\u0300\u0300\u0300\u0300 \ud800 \x00\r\n100 / 100\n"
)


def check(item: str, milli: int, share: float, outcome: Outcome | None = None, **more: object) -> CheckVerdict:
    earned = round(milli * share)
    fallen = Outcome.PASSED if share == 1 else Outcome.PARTIAL if share else Outcome.FAILED
    message = (
        "The closed form and your KL agree."
        if share == 1
        else ("Your KL differs from the closed form: for mu = 0 and logvar = 1 it should be 0.36 a latent, got 0.86.")
    )
    values: dict[str, object] = {
        "id": f"kl_matches_closed_form_{milli}",
        "title": "The KL term matches its closed form",
        "message": message,
        "hint": "" if share == 1 else "Look at the sign and the exponent in the formula of lecture 7.",
        "measured": {"worst_relative_error": 1 - share + 3.2e-7, "draws": 4096, "dtype": "float32"},
    }
    return CheckVerdict(outcome=outcome or fallen, points_milli=earned, max_points_milli=milli, **(values | more))  # type: ignore[arg-type]


def item(id: str, points: int, title: str, shares: tuple[float, float], review: bool = False) -> ItemVerdict:
    first, second = points * 600, points * 400
    checks = (
        check(id, first, shares[0], Outcome.NEEDS_REVIEW if review else None),
        check(id, second, shares[1]),
    )
    earned = sum(c.points_milli for c in checks)
    outcome = Outcome.PASSED if earned == points * 1000 else Outcome.PARTIAL if earned else Outcome.FAILED
    return ItemVerdict(id, title, Outcome.NEEDS_REVIEW if review else outcome, earned, points * 1000, checks)


def report_of(items: tuple[ItemVerdict, ...], **more: object) -> GradeReport:
    values: dict[str, object] = {
        "submission": "mustermann_erika",
        "device": "NVIDIA H100 80GB HBM3 (cuda)",
        "status": Status.OK,
        "isolation": "bubblewrap: user, pid, net, ipc, uts and cgroup namespaces",
        "needs_person": False,
        "remarks": (),
        "events": (),
        "seed": "9f86d081884c7d659a2feaa0c55ad015",
        "checksums": {"notebook": "a" * 64, "rubric": "b" * 64, "grader": "c" * 64, "questions": "d" * 64},
        "versions": {"grader": "0.1.0", "python": "3.11.9", "torch": "2.15.0", "numpy": "2.4.1"},
        "wall_s": 183.25,
        "created": "2026-01-31T12:00:00+00:00",
    }
    points = sum(i.points_milli for i in items)
    whole = sum(i.max_points_milli for i in items)
    return GradeReport(items=items, points_milli=points, max_points_milli=whole, **(values | more))  # type: ignore[arg-type]


def perfect() -> GradeReport:
    return report_of(tuple(item(*line, shares=(1, 1)) for line in ITEMS))


def middling() -> GradeReport:
    shares = {"vae.loss": (0.5, 1), "vae.generation": (0, 0.75), "cvae.training": (0.0, 1.0)}
    items = tuple(item(*line, shares=shares.get(line[0], (1, 1))) for line in ITEMS[:-1])
    return report_of(
        (*items, item(*ITEMS[-1], shares=(0, 1), review=True)),
        status=Status.CELL_ERROR,
        needs_person=True,
        device="cpu",
        isolation="none: this machine has no user namespaces",
        remarks=(
            Remark(
                *("given_cell_changed", "A given cell was changed and restored: the data.", 4),
                diff=(" def load_mnist(train):", "-    return mnist(train)", "+    return mnist(False)"),
            ),
            Remark(
                *("outputs_differ", "The output kept in the notebook is not what the re-run shows.", 17, True),
                beside=(Comparison("loss, 10 of 10", "61.02", "106.03"),),
            ),
            Remark("outputs_missing", "3 of 24 code cells carry no output."),
        ),
        events=("Cell 12 raised NameError: name 'plt' is not defined.", "The kernel was started again once."),
    )


def borderline() -> GradeReport:
    level = MeasuredValue("share of right digits", 0.7391, 0.0137, 0.3, 0.75)
    near = check("x", 2000, 1, level=level, borderline=True, measured={"share of right digits": 0.7391})
    one = ItemVerdict("vae.reconstruction", "Reconstruct", Outcome.PASSED, 2000, 2000, (near,))
    gained = ItemVerdict(
        *("vae.generation", "Generate", Outcome.PARTIAL, 1500, 2000, (check("y", 2000, 0),)),
        lost_in=("vae.loss",),
        gained_milli=1500,
    )
    return report_of((one, gained))


def empty() -> GradeReport:
    return report_of(tuple(item(*line, shares=(0, 0)) for line in ITEMS), status=Status.TIMEOUT, wall_s=1800.0)


def hostile() -> GradeReport:
    evil_check = check(
        "x", 1234, 0, id=EVIL, title=EVIL, message=EVIL + "A" * 100_000, hint=EVIL,
        measured={EVIL: EVIL * 50, "nan": float("nan"), "infinite": float("inf")},
    )  # fmt: skip
    bad = ItemVerdict(EVIL, EVIL, Outcome.FAILED, 0, 1234, (evil_check,))
    return replace(
        report_of((bad,)),
        submission=EVIL,
        device=EVIL,
        isolation="none" + EVIL,
        needs_person=True,
        remarks=(Remark(EVIL, EVIL * 100, 1, True, ("+    " + EVIL,) * 50, (Comparison(EVIL, EVIL, EVIL),) * 50),)
        * 300,
        events=(EVIL * 100,) * 300,
        versions={EVIL: EVIL},
        checksums={EVIL: EVIL},
    )


def figures(count: int = 4) -> tuple[Figure, ...]:
    random = np.random.default_rng(0)
    drawings = []
    for number in range(count):
        drawing = Drawing(figsize=(5, 5), dpi=100)
        FigureCanvasAgg(drawing)
        axes = drawing.add_subplot()
        axes.imshow(random.random((280, 280)), cmap="gray")
        axes.set_axis_off()
        buffer = io.BytesIO()
        drawing.savefig(buffer, format="png")
        caption = "Above the originals, below what the decoder made of them; drawn by the grader from evidence."
        drawings.append(Figure(f"figure_{number}", f"Reconstructions {number + 1}", caption, buffer.getvalue()))
    return tuple(drawings)


def planes() -> tuple[Figure, ...]:
    """Two planes, the second with choices; the grey level of a tile is twice its number on the sheet."""
    drawings = []
    for name, choices, rows in (("VAE", (), 5), ("CVAE", tuple("0123"), 10)):
        per_row = 2 if choices else 1
        levels = 2 * np.arange(rows * 5 * per_row, dtype=np.uint8).reshape(rows, 5 * per_row)
        buffer = io.BytesIO()
        Image.fromarray(np.kron(levels, np.ones((28, 28), np.uint8))).save(buffer, format="PNG")
        dots = ((0.0, 0.0, "3"), (1.0, -1.0, "7"), (-1.7, 1.2, "3"))
        plane = Plane(5, 2.0, choices, "Digit asked for" if choices else "", per_row, dots, "Two directions.")
        words = f"{name}: your code space", "Each point of this map is a code."
        drawings.append(Figure(f"{name}-plane", *words, buffer.getvalue(), alt="A sheet.", plane=plane))
    return tuple(drawings)
