"""The check of a photo submitted with a row, by its bytes alone.

Recent, bare-headed, white background, JPEG of 358×441 pixels, a light border (domain.md, Checks on an application).
"""

from __future__ import annotations

import hashlib
import io
import warnings

import numpy as np
import pandas as pd
from PIL import Image

from issuance.intake.identifiers import Bools
from issuance.intake.predicates import Predicate, RuleContext

FINDING = "photo_finding"
"""The extra column with the result of `judge_photo`; '' where nothing is wrong or no photo is named."""
WIDTH, HEIGHT = 358, 441
LIGHT = 230
"""Grey value (0-255) from which a border pixel counts as white."""
LIGHT_SHARE = 0.95
MAX_BYTES = 1 << 20
"""The maximum size of a photo in bytes. [rule] A JPEG of these dimensions has 20 to 100 KB."""


def judge_photo(content: bytes, sha256: str) -> str:
    """The code of the first thing wrong with a photo that should have this SHA-256, '' if nothing is.

    Only an image of the right size is decoded, so that a small file which unpacks to a huge one costs nothing.
    """
    if hashlib.sha256(content).hexdigest() != sha256:
        return "PHOTO_DIFFERS"
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
            if image.size != (WIDTH, HEIGHT):
                return "PHOTO_SIZE"
            pixels = np.asarray(image.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "PHOTO_FORMAT"
    return "" if _light_border(pixels) else "PHOTO_BACKGROUND"


def _light_border(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bool:
    """Whether enough of the outermost pixels, shape (HEIGHT, WIDTH), are light."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    return bool((border >= LIGHT).mean() >= LIGHT_SHARE)


def finds(code: str) -> Predicate:
    """Rows whose photo does not have this problem."""

    def passes(frame: pd.DataFrame, context: RuleContext) -> Bools:
        return np.asarray(frame[FINDING] != code, dtype=np.bool_)

    return passes
