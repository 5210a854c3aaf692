# SPDX-License-Identifier: MIT
"""Adds the rounds of one report to another: a comparison that takes hours is made in parts.

    python bench/peers/join.py bench/results/NAME build/peers/more/NAME     # NAME without ending; the first is written anew

Rounds of the second are counted on behind the first's, and its ldm was measured in the same rounds as its peers, so every
ratio stays one of a round. Both must be of one processor, with as many threads, one configuration and one batch of versions.
"""
from __future__ import annotations

import csv
import sys
from pathlib import Path

import report

SAME = ("cpu", "threads", "config")


def read(stem: Path) -> tuple[dict, list[dict]]:
    """(facts, runs) as report.write takes them, of the files that it wrote."""
    facts: dict = {}
    errors: dict = {}
    failed: dict = {}
    names = {label: peer for peer, label in report.LABELS.items()}
    lines = stem.with_name(stem.name + ".csv").read_text().splitlines()
    for line in (x for x in lines if x.startswith("# ")):
        key, value = line[2:].split(": ", 1)
        facts[key] = int(value) if value.isdigit() else value
    for r in csv.DictReader(x for x in lines if not x.startswith("# ")):
        if r["measure"].endswith("_error"):
            errors.setdefault(r["isa"], {})[names[r["program"]], r["measure"][:-6]] = float(r["value"])
        elif r["measure"] == "does not count" and "differs from" not in r["of"]:
            failed.setdefault(r["isa"], {})[names[r["program"]]] = r["of"]
    runs: dict = {}
    with open(stem.with_name(stem.name + "-rounds.csv"), newline="") as f:
        for r in csv.DictReader(f):
            run = runs.setdefault(r["isa"], dict(isa=r["isa"], capped=r["isa"] == "avx2" and bool(runs), rows=[], agree=errors.get(r["isa"], {}),
                                                 failed=failed.get(r["isa"], {})))
            run["rows"].append((r["phase"], int(r["round"]), r["program"], r["measure"], float(r["value"])))
    facts.setdefault("batch", 2 if facts["config"] == "v1-inference" else 1)
    return facts, list(runs.values())


def join(first: Path, second: Path) -> None:
    facts, runs = read(first)
    others, more = read(second)
    for key in SAME:
        if facts[key] != others[key]:
            raise SystemExit(f"{key}: {facts[key]} and {others[key]} are not one comparison")
    for run in more:
        mine = next((r for r in runs if r["isa"] == run["isa"]), None)
        if mine is None:
            runs.append(run)
            continue
        behind = 1 + max(r[1] for r in mine["rows"])
        mine["rows"] += [(phase, n + behind, *rest) for phase, n, *rest in run["rows"]]
        mine["agree"] |= run["agree"]
        mine["failed"] |= run["failed"]
    report.write(first, facts, runs)


if __name__ == "__main__":
    join(*map(Path, sys.argv[1:3]))
