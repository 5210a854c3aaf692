#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the tables of src/tokenize: HTML's entities, and what ftfy looks for in damaged text.

    python3 tools/make_text_tables.py src/tokenize     # entities.inc, mojibake.inc, codepages.inc

Needs ftfy 6.3.1, whose character classes these are (Apache-2.0, by Robyn Speer); the entities are
HTML's own list as Python holds it, the codepages are Python's codecs. Only facts are taken: which
character is in which class. Run it again for another version of ftfy, and compare.
"""
import html.entities
import re
import sys

import ftfy
from ftfy import badness, chardata

WIDTH = 98
CLASSES = "common c1 bad law currency start_punctuation end_punctuation numeric kaomoji " \
          "upper_accented lower_accented upper_common lower_common box".split()
CLUES = "first_of_2 first_of_3 first_of_4 continuation continuation_strict".split()


def write(path, head, rows):
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"/* SPDX-License-Identifier: MIT */\n/* {head}\n * Written by tools/make_text_tables.py. */\n/* clang-format off */\n")
        line = ""
        for row in rows:
            if len(line) + len(row) > WIDTH:
                out.write(line.rstrip() + "\n")
                line = ""
            line += row + " "
        out.write(line.rstrip() + "\n")


def entities():
    table = html.entities.html5
    rows = []
    for name in sorted(n[:-1] for n in table if n.endswith(";")):
        chars = [f"{ord(c):#x}" for c in table[name + ";"]] + ["0"]
        bare = " | BARE" if name in table else ""
        rows.append(f'{{"{name}", {chars[0]}{bare}, {chars[1]}}},')
    assert all(n.rstrip(";") + ";" in table and table[n] == table[n.rstrip(";") + ";"] for n in table)
    return rows


def members(text):
    """The code points of a set as it stands inside the square brackets of a regular expression."""
    one = re.compile("[" + text + "]")
    assert {chr(c) for c in range(0x80) if one.match(chr(c))} <= {" "}  # the C code adds the space
    return {c for c in range(0x80, 0x10000) if not 0xD800 <= c < 0xE000 and one.match(chr(c))}


def classes():
    of = {}
    sets = [(n.upper(), members(badness.MOJIBAKE_CATEGORIES[n])) for n in CLASSES]
    sets += [(n.upper(), members(chardata.UTF8_CLUES["utf8_" + n])) for n in CLUES]
    for name, points in sets:
        for c in points:
            of.setdefault(c, []).append(name)
    rows, first = [], None
    for c in sorted(of):
        if first is None:
            first = c
        if of.get(c + 1) != of[c]:
            rows.append(f"{{{first:#06x}, {c:#06x}, {' | '.join(of[c])}}},")
            first = None
    return rows


def codepages():
    """A row for each character: its byte in every encoding that ftfy tries, 0 where it has none.
    Latin-1 needs no table: its bytes are the code points themselves."""
    of = {}
    for i, name in enumerate(chardata.CHARMAP_ENCODINGS[1:]):
        for byte, char in zip([*range(0x80, 0x100), 0x1A],
                              bytes([*range(0x80, 0x100), 0x1A]).decode(name)):
            if ord(char) >= 0x80:
                of.setdefault(ord(char), [0] * 9)[i] = byte
    return [f"{{{c:#06x}, {{{', '.join(f'{b:#04x}' if b else '0' for b in of[c])}}}}},"
            for c in sorted(of)]


def main():
    if len(sys.argv) != 2 or ftfy.__version__ != "6.3.1":
        sys.exit(__doc__)
    write(sys.argv[1] + "/entities.inc", "HTML's named entities: name, one or two characters.",
          entities())
    write(sys.argv[1] + "/mojibake.inc", "First and last character of a range, its classes.",
          classes())
    write(sys.argv[1] + "/codepages.inc",
          "A character, its byte in each encoding of mojibake.c but Latin-1; 0: it has none.",
          codepages())


main()
