"""Text metrics without fonts: how wide a string is in a Helvetica-like face, and how to break or shorten it."""

import re
import unicodedata
from functools import lru_cache

# Advance widths of printable ASCII (space to tilde) in thousandths of the font size. Helvetica, Arial and
# Liberation Sans share them, so boxes sized with this table fit in every browser.
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
_OTHER_WIDTHS = {"…": 1000, "→": 1000, "·": 278, "×": 584, "–": 556, "—": 1000, "−": 584, "∞": 713, "µ": 576}
_BOLD_FACTOR = 1.07
_ELLIPSIS = "…"
_BREAKS = re.compile(r"[\s,/_.:;|-]+|(?<=[a-z0-9])(?=[A-Z])")
_STRONG_BREAKS = re.compile(r"[)\]}],\s*|;\s*")  # between shapes rather than within one


@lru_cache(maxsize=4096)
def _character_width(character: str) -> int:
    code = ord(character)
    if 32 <= code < 127:
        return _WIDTHS[code - 32]
    if character in _OTHER_WIDTHS:
        return _OTHER_WIDTHS[character]
    if unicodedata.combining(character):
        return 0
    return 1000 if unicodedata.east_asian_width(character) in "WF" else 640


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Estimated width of one line of text, in the unit of ``size`` (pixels).

    >>> round(text_width("Dense", 10), 2)
    28.9
    """
    width = sum(map(_character_width, text)) * size / 1000
    return width * _BOLD_FACTOR if bold else width


def shorten(text: str, size: float, width: float, bold: bool = False) -> str:
    """The text itself when it fits into ``width`` pixels, otherwise its two ends around an ellipsis.

    >>> shorten("block_12_expand_batch_normalization", 10, 80)
    'block_1…lization'
    """
    if text_width(text, size, bold) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        kept = (low + high + 1) // 2
        if text_width(_around_ellipsis(text, kept), size, bold) <= width:
            low = kept
        else:
            high = kept - 1
    return _around_ellipsis(text, low)


def _around_ellipsis(text: str, kept: int) -> str:
    tail = (kept + 1) // 2
    return text[: kept - tail].rstrip() + _ELLIPSIS + (text[-tail:].lstrip() if tail else "")


def wrap(text: str, size: float, width: float, bold: bool = False, max_lines: int = 4) -> list[str]:
    """Breaks text into lines of at most ``width`` pixels: between shapes or words, else where it must.

    What would need more than ``max_lines`` lines is shortened in the middle of the last one.

    >>> wrap("(batch, 28, 28, 1)", 10, 60)
    ['(batch, 28,', '28, 1)']
    """
    lines: list[str] = []
    rest = text
    while rest and text_width(rest, size, bold) > width and len(lines) < max_lines - 1:
        fitting = _fitting_prefix(rest, size, width, bold)
        cut = _break(rest, fitting)
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if rest or not lines:
        lines.append(shorten(rest, size, width, bold))
    return lines


def _break(text: str, fitting: int) -> int:
    """Where to break: not too close to the line's start, which would leave a ragged stub."""
    for pattern, least in ((_STRONG_BREAKS, fitting // 2), (_BREAKS, fitting // 3)):
        ends = [match.end() for match in pattern.finditer(text) if least < len(text[: match.end()].rstrip()) <= fitting]
        if ends:
            return ends[-1]
    return fitting


def _fitting_prefix(text: str, size: float, width: float, bold: bool) -> int:
    used = 0.0
    for count, character in enumerate(text):
        used += text_width(character, size, bold)
        if used > width:
            return max(count, 1)
    return len(text)
