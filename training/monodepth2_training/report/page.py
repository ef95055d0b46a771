# SPDX-License-Identifier: Apache-2.0
"""Puts a report together as one HTML file that needs nothing else, on screen and on paper.

Everything that comes from outside goes through ``html.escape``; sections are HTML already.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the page."""

    name: str
    """Anchor, letters and dashes."""
    title: str
    """Heading."""
    body: str
    """HTML."""


def render_page(
    title: str,
    *,
    verdict: str,
    notes: Sequence[str],
    sections: Iterable[Section],
    kind: str = 'Training report',
) -> str:
    """The whole page.

    Args:
        title: what the run is called.
        verdict: the sentence that matters most.
        notes: small print below it.
        sections: in order.
        kind: what sort of report it is, above the title.
    """
    parts = '\n'.join(
        f'<section id="{s.name}"><h2>{escape(s.title)}</h2>\n{s.body}\n</section>'
        for s in sections
    )
    small = ''.join(f'<p class="note">{escape(note)}</p>' for note in notes)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n'
        f'<header><p class="kind">{escape(kind)}</p><h1>{escape(title)}</h1>'
        f'<p class="verdict">{escape(verdict)}</p>{small}</header>\n{parts}\n'
        '</main></body></html>\n'
    )


def paragraph(text: str) -> str:
    """Text as a paragraph."""
    return f'<p>{escape(text)}</p>'


def note(text: str) -> str:
    """Small print."""
    return f'<p class="note">{escape(text)}</p>'


def facts_table(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values."""
    cells = ''.join(f'<tr><th>{escape(n)}</th><td>{escape(v)}</td></tr>' for n, v in rows)
    return f'<table class="facts">{cells}</table>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of figures; the first column names, the others are aligned right."""
    head = ''.join(f'<th>{escape(cell)}</th>' for cell in header)
    body = ''.join(
        '<tr>' + ''.join(f'<td>{escape(cell)}</td>' for cell in row) + '</tr>' for row in rows
    )
    return f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def bullets(items: Iterable[str]) -> str:
    """A list of sentences."""
    return '<ul>' + ''.join(f'<li>{escape(item)}</li>' for item in items) + '</ul>'


def findings(items: Iterable[tuple[str, str, bool]]) -> str:
    """What was found, what to do about it, and whether it is urgent."""
    rows = ''.join(
        f'<li class="{"urgent" if urgent else "calm"}"><b>{escape(finding)}</b> {escape(action)}'
        '</li>'
        for finding, action, urgent in items
    )
    return f'<ul class="findings">{rows}</ul>'


def commands(lines: Iterable[tuple[str, str]]) -> str:
    """Commands to copy, each with what it does."""
    return ''.join(
        f'<p class="lead">{escape(purpose)}</p><pre>{escape(command)}</pre>'
        for purpose, command in lines
    )


def figure(svg: str, caption: str = '') -> str:
    """A chart, kept on one page of paper."""
    words = f'<figcaption>{escape(caption)}</figcaption>' if caption else ''
    return f'<figure>{svg}{words}</figure>'


def picture_grid(title: str, pictures: Iterable[tuple[str, bytes]]) -> str:
    """JPEG pictures with a word below each, kept on one page of paper: three in a row, or two."""
    shown = list(pictures)
    rows = 'grid' if len(shown) % 3 == 0 else 'grid pairs'
    cells = ''.join(
        f'<div><img alt="{escape(name)}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(jpeg).decode()}"><span>{escape(name)}</span></div>'
        for name, jpeg in shown
    )
    return f'<figure class="{rows}"><h3>{escape(title)}</h3><div>{cells}</div></figure>'


def wide_pictures(pictures: Iterable[tuple[str, bytes]]) -> str:
    """JPEG pictures with a word below each, as wide as the page."""
    return ''.join(
        figure(
            f'<img class="wide" alt="{escape(name)}" src="data:image/jpeg;base64,'
            f'{base64.b64encode(jpeg).decode()}">',
            name,
        )
        for name, jpeg in pictures
    )


_STYLE = """
:root { --ink: #22303c; --grey: #66737f; --line: #d9dfe5; --blue: #2b6a99; --orange: #d07a1f; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink);
  font: 15px/1.5 Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 32px 28px 48px; }
header { border-bottom: 2px solid var(--ink); padding-bottom: 14px; }
.kind { margin: 0; color: var(--blue); font-weight: bold; letter-spacing: .02em; }
h1 { margin: 0 0 10px; font-size: 28px; line-height: 1.2; }
h2 { margin: 34px 0 10px; font-size: 19px; }
h3 { margin: 14px 0 6px; font-size: 14px; }
p { margin: 6px 0; }
.verdict { font-size: 18px; line-height: 1.4; }
.note, figcaption { color: var(--grey); font-size: 13px; }
table { border-collapse: collapse; width: 100%; margin: 8px 0; }
th, td { border-bottom: 1px solid var(--line); padding: 5px 10px 5px 0; text-align: left;
  vertical-align: top; }
.facts th { width: 150px; color: var(--grey); font-weight: normal; }
td { overflow-wrap: anywhere; }
.figures th { color: var(--grey); font-weight: normal; font-size: 13px; }
.figures td { font-variant-numeric: tabular-nums; }
.figures td + td, .figures th + th { text-align: right; }
ul { margin: 8px 0; padding-left: 20px; }
.findings { list-style: none; padding: 0; }
.findings li { border-left: 4px solid var(--line); padding: 5px 0 5px 12px; margin: 8px 0; }
.findings .urgent { border-color: var(--orange); }
pre { background: #f3f5f7; border: 1px solid var(--line); border-radius: 4px; margin: 4px 0 12px;
  padding: 9px 12px; font: 13px/1.5 "DejaVu Sans Mono", Menlo, Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.lead { margin-bottom: 2px; }
figure { margin: 12px 0; }
figure svg { display: block; width: 100%; height: auto; }
.grid > div { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px 10px; }
.pairs > div { grid-template-columns: repeat(2, 1fr); }
.grid img { display: block; width: 100%; border-radius: 2px; }
.wide { display: block; width: 100%; border-radius: 2px; }
.grid span { color: var(--grey); font-size: 12px; }
@page { size: A4; margin: 16mm 15mm; }
@media print {
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  h1 { font-size: 19pt; }
  h2 { font-size: 13.5pt; margin-top: 18pt; }
  .verdict { font-size: 12.5pt; }
  h2, h3, .lead { break-after: avoid; }
  .grid img { width: auto; max-width: 100%; max-height: 42mm; }
  figure, .figures, tr, .findings li, pre { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
