"""Tables of text in a given width, framed with box-drawing characters; long cells are broken into lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

LEAST = 6


class Table:
    """Rows of cells below a header; `right` and `centre` are columns so aligned."""

    def __init__(self, headers: Sequence[str], right: Sequence[int] = (), centre: Sequence[int] = ()) -> None:
        self.headers = list(headers)
        self.rows: list[list[str]] = []
        self.right = set(right)
        self.centre = set(centre)

    def row(self, cells: Sequence[str]) -> None:
        """Add a row."""
        self.rows.append(list(cells))

    def lines(self, width: int, positions: Sequence[float] | None = None) -> list[str]:
        """The table, no wider than `width` characters; `positions` are ends of columns, as fractions or characters."""
        widths = self.widths(width) if positions is None else self.given_widths(width, positions)
        head = self._cells(self.headers, widths, "┃")
        rows = [line for row in self.rows for line in self._cells(row, widths, "│")]
        rule = ["━" * (w + 2) for w in widths]
        return [
            f"┏{'┳'.join(rule)}┓",
            *head,
            f"┡{'╇'.join(rule)}┩",
            *rows,
            f"└{'┴'.join('─' * (w + 2) for w in widths)}┘",
        ]

    def widths(self, width: int) -> list[int]:
        """Widths of the columns' text: as long as the cells, the widest columns narrowed until the table fits."""
        columns = list(zip(self.headers, *self.rows, strict=True))
        widths = [max(len(cell) for cell in column) for column in columns]
        room = width - 3 * len(widths) - 1
        while sum(widths) > room and max(widths) > LEAST:
            widths[widths.index(max(widths))] -= 1
        return widths

    def given_widths(self, width: int, positions: Sequence[float]) -> list[int]:
        """Widths of the columns' text from where columns end."""
        if len(positions) != len(self.headers):
            raise ValueError(
                f"positions must hold {len(self.headers)} ends of columns ({', '.join(self.headers)}), "
                f"got {len(positions)}"
            )
        ends = [int(p * width) if p <= 1 else int(p) for p in positions]
        widths = [end - start - 3 for start, end in zip([0, *ends], ends, strict=False)]
        if min(widths) < 1:
            raise ValueError(f"positions must increase and leave room for each column, got {list(positions)}")
        return widths

    def _cells(self, row: Sequence[str], widths: Sequence[int], bar: str) -> list[str]:
        """A row as lines."""
        parts = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        height = max(len(part) for part in parts)
        found = []
        for i in range(height):
            texts = []
            for column, (part, width) in enumerate(zip(parts, widths, strict=True)):
                text = part[i] if i < len(part) else ""
                is_right, is_centre = column in self.right, column in self.centre
                texts.append(text.rjust(width) if is_right else text.center(width) if is_centre else text.ljust(width))
            found.append(f"{bar} {f' {bar} '.join(texts)} {bar}")
        return found


def wrap(text: str, width: int) -> list[str]:
    """A cell as lines of at most `width` characters, broken between words where that is possible."""
    text_start = len(text) - len(text.lstrip(" └├│─"))
    hanging = text[:text_start].replace("├─", "│ ").replace("└─", "  ") if text_start < width // 2 else ""
    lines = textwrap.wrap(text[text_start:], width - len(hanging), break_on_hyphens=False) or [""]
    return [text[: len(hanging)] + lines[0], *[hanging + line for line in lines[1:]]]
