"""The decoder's images along a plane of the code space: a sheet of tiles for the interactive map in a report."""

from __future__ import annotations

import io

import numpy as np

from grader.evidence import answer, give_up
from grader.exercises.vae_mnist.checks.answers import not_trained
from grader.exercises.vae_mnist.figures.drawing import NAMES, clean
from grader.exercises.vae_mnist.plane import DIGITS, SIDES, CodePlane, count_of_images, plane_of
from grader.exercises.vae_mnist.questions import PIXELS
from grader.records import Address, Array, Evidence, Figure, Plane, Stage

LEVELS = 16  # of grey, four bits per pixel; noise does not compress further, digits take a third of that
MOST_BYTES = {"vae": 50_000, "cvae": 145_000}  # of the PNG; with dots and base64 both stay below 300 kB
DOTS = 200  # codes of images that the map shows
PER_ROW = 5  # planes side by side on the sheet


def code_plane(evidence: Evidence, part: str) -> Figure:
    """The decoded plane, with the codes of some hidden images as dots."""
    if not_trained(evidence, part):
        give_up("a model that was not trained draws nothing to look at")
    (mu,) = answer(evidence, Address.of("quality", part, "encode"), "mu")
    (images,) = answer(evidence, Address.of("plane", part, "plane"), "images")
    labels = evidence.questions[Stage.of("quality", part).array("y")]
    plane = plane_of(part, mu, labels)
    if plane is None or images.size != count_of_images(part) * PIXELS:
        give_up("expected one image for each point of the plane")
    side, digits = SIDES[part], DIGITS[part]
    tiles = np.clip(clean(images), 0, 1).reshape(digits, side, side, 28, 28)
    sheet = png(tiles)
    while len(sheet) > MOST_BYTES[part] and tiles.shape[1] > 3:
        tiles = tiles[:, ::2, ::2]  # every second point, since noise does not compress
        sheet = png(tiles)
    side = tiles.shape[1]
    return Figure(
        f"{part}-plane",
        f"{NAMES[part]}: your code space",
        caption="Every point of the map is a code. Choose one, and the square beside it shows what your decoder draws "
        "from it. Each small digit is a test image of that digit, placed at its code.",
        png=sheet,
        alt=f"{digits * side * side} pictures that your decoder drew along a plane of the code space.",
        plane=Plane(
            side,
            plane.reach,
            tuple(map(str, range(digits))) if digits > 1 else (),
            "Digit asked for" if digits > 1 else "",
            min(digits, PER_ROW),
            _dots(plane, mu[:DOTS], labels[:DOTS]),
            _note(part, mu.shape[1], side),
        ),
    )


def _note(part: str, size: int, side: int) -> str:
    """The explanation of the map's axes and pictures."""
    if size == 2:
        where = "x and y are the two numbers of the code; the prior's standard deviation is 1 for both."
    else:
        apart = "codes of test images differ most" if part == "cvae" else "codes of different digits lie furthest apart"
        where = (
            f"x and y are the code's coordinates along the two directions in which the {apart}, measured from the mean "
            "code; the prior's standard deviation is 1 in every direction. In all other directions of the "
            f"{size} numbers, the code stays at its mean. The picture at a small digit can therefore differ from the "
            "reconstruction of that image."
        )
    each = " for each digit" if DIGITS[part] > 1 else ""
    drawn = f"Your decoder drew {side} × {side} points{each} when your notebook was graded; you see the nearest one."
    return f"{where} {drawn}"


def _dots(plane: CodePlane, mu: Array, labels: Array) -> tuple[tuple[float, float, str], ...]:
    """The codes that lie within the plane's reach, each with the digit that its image shows."""
    places = plane.coordinates(clean(mu).astype(np.float64))
    return tuple(
        (float(x), float(y), str(int(label)))
        for (x, y), label in zip(places, labels, strict=True)
        if max(abs(x), abs(y)) <= plane.reach
    )


def png(tiles: Array) -> bytes:
    """`tiles` `(planes, side, side, 28, 28)` in [0, 1] as one sheet, black on white, `PER_ROW` planes side by side."""
    from PIL import Image

    planes, side = tiles.shape[:2]
    squares = tiles.transpose(0, 1, 3, 2, 4).reshape(planes, side * 28, side * 28)
    per_row = min(planes, PER_ROW)
    raster = np.concatenate([np.concatenate(squares[at : at + per_row], 1) for at in range(0, planes, per_row)])
    levels = np.round((1 - raster) * (LEVELS - 1)).astype(np.uint8)
    picture = Image.fromarray(levels, mode="P")
    picture.putpalette([grey for level in range(LEVELS) for grey in [level * 255 // (LEVELS - 1)] * 3])
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True, bits=4)
    return buffer.getvalue()
