# SPDX-License-Identifier: MIT
"""Pieces of HTML."""

import html
import re
from pathlib import Path

FOLDER = Path(__file__).parent


def escape(text):
    """Text as text."""
    return html.escape(str(text), quote=True)


def number(value, digits=3):
    """For a cell: that many digits, at least; nothing where there is none."""
    if value is None:
        return "–"
    if isinstance(value, int) or value >= 10 ** digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def table(head, rows, *, words=1, caption=None):
    """Of rows of cells; the first @words columns are no numbers."""
    out = ["<div class=wide><table>"]
    if caption:
        out.append(f"<caption>{escape(caption)}</caption>")
    out.append("<thead><tr>" + "".join(
        f"<th scope=col{' class=word' if i < words else ''}>{escape(h)}</th>"
        for i, h in enumerate(head)) + "</tr></thead>")
    out.append("<tbody>")
    for row in rows:
        cells = [f"<th scope=row>{escape(c)}</th>" if i < words else
                 f"<td>{escape(c)}</td>" for i, c in enumerate(row)]
        out.append(f"<tr>{''.join(cells)}</tr>")
    out.append("</tbody></table></div>")
    return "\n".join(out)


def details(summary, body):
    """What is there for who asks."""
    return (f"<details><summary>{escape(summary)}</summary>\n{body}\n"
            "</details>")


def figure(chart):
    """A chart, and its data as a table."""
    svg = chart.svg.replace("<svg", f'<svg role="img" aria-label='
                            f'"{escape(chart.title)}"', 1)
    return (f"<figure><figcaption>{escape(chart.title)}</figcaption>\n{svg}\n"
            + details("data", chart_table(chart)) + "</figure>")


def chart_table(chart):
    """The points of a chart, those behind its lines, too."""
    head = ["", chart.xlabel or "", chart.ylabel]
    rows = []
    series = dict(chart.series)
    if chart.behind:
        series[chart.behind[0]] = chart.behind[1]
    spreads = any(len(p) == 4 for s in series.values() for p in s)
    if spreads:
        head += ["least", "most"]
    if chart.kind == "bars":
        del head[1]
    for name, points in series.items():
        for x, *ys in points:
            cells = [name, *(number(y) for y in ys)]
            if chart.kind != "bars":
                cells.insert(1, chart.ticks[x] if chart.ticks else number(x, 4))
            rows.append(cells)
    return table(head, rows)


def section(ident, title, body):
    """A part of the page, which the list at its top leads to."""
    return (ident, title, f"<section id={ident} tabindex=-1>\n"
            f"<h2>{escape(title)}</h2>\n{body}\n</section>")


def page(title, sections, data):
    """All of it, @data being for the script."""
    links = "\n".join(f'<li><a href="#{ident}">{escape(name)}</a></li>'
                      for ident, name, _ in sections)
    parts = {
        "@title@": escape(title),
        "@links@": links,
        "@css@": (FOLDER / "page.css").read_text(encoding="utf-8"),
        "@js@": (FOLDER / "page.js").read_text(encoding="utf-8"),
        # Nothing in it ends the element that it is in.
        "@data@": data.replace("<", "\\u003c"),
        "@body@": "\n".join(body for _, _, body in sections),
    }
    text = (FOLDER / "page.html").read_text(encoding="utf-8")
    return re.sub("|".join(parts), lambda m: parts[m[0]], text)
