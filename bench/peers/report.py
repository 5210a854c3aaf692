# SPDX-License-Identifier: MIT
"""Table, CSV and plot of one comparison."""
from __future__ import annotations

import csv
from pathlib import Path
from statistics import median

LABELS = {"ldm": "ldm", "eager": "PyTorch eager", "channels_last": "PyTorch channels_last",
          "compile": "torch.compile (frozen)", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO",
          "sdcpp-f32": "stable-diffusion.cpp, f32", "sdcpp-f16": "stable-diffusion.cpp, f16"}
SDCPP = ("sdcpp-f32", "sdcpp-f16")
STUDY_STEPS = 167  # CompVis runs 167 steps where 150 are asked for
AGREE = 1e-4  # relative L2 distance from ldm's output up to which a row counts
MEASURES = {"eps": "warm", "decode": "warm", "ready": "cold", "load": "cold", "first": "cold", "memory": "cold",
            "batch": "batch"}  # and the phase that each belongs to


class Numbers:
    """What was measured, by phase, peer and measure; rounds are kept apart."""

    def __init__(self, rows: list[tuple]):
        self.by: dict[tuple, dict[int, float]] = {}
        for phase, n, peer, measure, value in rows:
            self.by.setdefault((phase, peer, measure), {})[n] = value

    def value(self, phase: str, peer: str, measure: str) -> float | None:
        got = self.by.get((phase, peer, measure))
        return median(got.values()) if got else None

    def ratios(self, phase: str, peer: str, measure: str) -> list[float]:
        """peer / ldm of each round that has both."""
        a, b = self.by.get((phase, peer, measure), {}), self.by.get((phase, "ldm", measure), {})
        return [a[n] / b[n] for n in sorted(a) if n in b]


def spread(values: list[float]) -> tuple[float, float, float]:
    return median(values), min(values), max(values)


def table(run: dict) -> list[dict]:
    """One row a program. A ratio above 1 means that ldm is faster or takes less memory."""
    numbers, out = Numbers(run["rows"]), []
    for peer, label in LABELS.items():
        if peer in run["failed"]:
            out.append({"program": label, "peer": peer, "counts": "no", "why": run["failed"][peer]})
            continue
        if numbers.value("warm", peer, "eps") is None:
            continue
        row: dict = {"program": label, "peer": peer, "counts": "yes"}
        for part in ("eps", "decode"):
            d = run["agree"].get((peer, part))
            row[part + "_error"] = d
            if d is not None and not d <= AGREE:
                row["counts"], row["why"] = "no", f"{part} differs from ldm's by {d:.1e} (limit {AGREE:.0e})"
        for measure, phase in MEASURES.items():
            row[measure] = numbers.value(phase, peer, measure)
            if peer != "ldm" and row["counts"] == "yes":
                r = numbers.ratios(phase, peer, measure)
                if r and measure != "batch":
                    row[measure + "_ratio"], row[measure + "_low"], row[measure + "_high"] = spread(r)
        out.append(row)
    return out


def study(run: dict) -> dict | None:
    """The study's run (150 steps asked for), from the cost of a step: ready + steps + decode, of either program.
    Seconds, and the ratios of the rounds."""
    numbers = Numbers(run["rows"])
    ldm = numbers.by.get(("study", "ldm", "once"), {})
    once, twice = (numbers.by.get(("study", "eager", m), {}) for m in ("once", "twice"))
    if not (ldm and once and twice):
        return None

    def whole(peer: str, step: float) -> float:
        return numbers.value("cold", peer, "ready") + STUDY_STEPS * step + numbers.value("warm", peer, "decode")

    out: dict = {"ldm": whole("ldm", median(ldm.values()))}
    for name, steps in (("once", once), ("twice", twice)):
        out[name] = whole("eager", median(steps.values()))
        out[name + "_ratio"] = spread([whole("eager", steps[n]) / whole("ldm", ldm[n]) for n in steps if n in ldm])
    return out


# name in the table of the README and in the CSV: what it says, goal, its direction, unit
BARS_GUIDED = {
    "guided_fastest": ("one guided evaluation, against the fastest f32 peer", 1.4, ">=", "×"),
    "guided_sdcpp": ("one guided evaluation, against stable-diffusion.cpp", 2.0, ">=", "×"),
    "decode_fastest": ("decode to 512×512, against the fastest peer", 2.0, ">=", "×"),
    "guided_fastest_avx2": ("one guided evaluation with AVX2 on both sides, against the fastest peer", 1.3, ">=", "×"),
    "ready": ("ready to sample, from process start", 1.0, "<=", " s"),
    "memory": ("peak resident memory", 2.7, "<=", " GB"),
    "memory_of_smallest": ("peak resident memory, of the smallest peer's", 1.0, "<=", "×"),
}
BARS = {
    "eps_fastest": ("eps evaluation, against the fastest peer", 2.2, ">=", "×"),
    "decode_fastest": ("decode, against the fastest peer", 2.0, ">=", "×"),
    "eps_fastest_avx2": ("eps evaluation with AVX2 on both sides, against the fastest peer", 1.6, ">=", "×"),
    "ready": ("ready to sample, from process start", 0.85, "<=", " s"),
    "first_over_eps": ("first eps evaluation, of the median", 1.2, "<=", "×"),
    "load_pytorch": ("ready, against torch.load + build + load_state_dict", 12, ">=", "×"),
    "memory": ("peak resident memory", 2.6, "<=", " GB"),
    "memory_of_pytorch": ("peak resident memory, of PyTorch eager's", 0.55, "<=", "×"),
    "batch8": ("batch 8, of eight batches of 1", 0.85, "<=", "×"),
    "study_once": ("the study's run, against one evaluation a step in PyTorch eager", 2.5, ">=", "×"),
    "study_twice": ("the study's run, against two evaluations a step", 5.0, ">=", "×"),
}


def bar(out: list[dict], name: str, value, low=None, high=None, peer="") -> None:
    if value is not None:
        out.append(dict(name=name, value=value, low=low, high=high, peer=peer))


def least(rows: list[dict], measure: str) -> tuple | None:
    """The lowest ratio of a measure among rows: ratio, low, high, program."""
    counted = [r for r in rows if r.get(measure + "_ratio")]
    if not counted:
        return None
    r = min(counted, key=lambda r: r[measure + "_ratio"])
    return r[measure + "_ratio"], r[measure + "_low"], r[measure + "_high"], r["program"]


def bars_guided(runs: list[dict]) -> list[dict]:
    """`bars` of a model that is evaluated with guidance, two latents at a time."""
    out: list[dict] = []
    for run in runs:
        rows = [r for r in table(run) if r["counts"] == "yes"]
        peers = [r for r in rows if r["peer"] != "ldm"]
        fastest = least([r for r in peers if r["peer"] not in SDCPP], "eps")
        bar(out, "guided_fastest" + ("_avx2" if run["capped"] else ""), *(fastest or (None,)))
        if run["capped"]:
            continue
        bar(out, "guided_sdcpp", *(least([r for r in peers if r["peer"] in SDCPP], "eps") or (None,)))
        bar(out, "decode_fastest", *(least(peers, "decode") or (None,)))
        ready = Numbers(run["rows"]).by.get(("cold", "ldm", "ready"))
        if ready:
            bar(out, "ready", *spread(list(ready.values())))
        bar(out, "memory", next((r["memory"] * 1e-9 for r in rows if r["peer"] == "ldm" and r["memory"]), None))
        memory = least(peers, "memory")
        if memory:
            bar(out, "memory_of_smallest", 1 / memory[0], 1 / memory[2], 1 / memory[1], memory[3])
    return sorted(out, key=lambda b: list(BARS_GUIDED).index(b["name"]))


def bars(runs: list[dict]) -> list[dict]:
    """The figures that speak for the whole, where they were measured: name, value, low, high, peer."""
    out: list[dict] = []

    def add(name: str, *rest, **more) -> None:
        bar(out, name, *rest, **more)

    for run in runs:
        rows = table(run)
        by = {r["peer"]: r for r in rows if r["counts"] == "yes"}
        for measure in ("eps", "decode"):
            fastest = least(list(by.values()), measure)
            if fastest and not (run["capped"] and measure == "decode"):
                add(f"{measure}_fastest" + ("_avx2" if run["capped"] else ""), *fastest)
        if run["capped"] or "ldm" not in by:
            continue
        ldm, eager, numbers = by["ldm"], by.get("eager", {}), Numbers(run["rows"])
        add("ready", *spread(list(numbers.by["cold", "ldm", "ready"].values())))
        over = numbers.by.get(("cold", "ldm", "first_over_eps"))
        if over:
            add("first_over_eps", *spread(list(over.values())))
        add("load_pytorch", eager.get("load_ratio"), eager.get("load_low"), eager.get("load_high"), "PyTorch eager")
        add("memory", ldm["memory"] * 1e-9)
        if eager.get("memory_ratio"):
            add("memory_of_pytorch", 1 / eager["memory_ratio"], 1 / eager["memory_high"], 1 / eager["memory_low"],
                "PyTorch eager")
        add("batch8", ldm.get("batch"))
        whole = study(run)
        for name in ("once", "twice"):
            if whole:
                add("study_" + name, *whole[name + "_ratio"], "PyTorch eager")
    return sorted(out, key=lambda b: list(BARS).index(b["name"]))


def cell(row: dict, key: str, form: str, scale: float = 1.0) -> str:
    if row.get(key) is None:
        return "–"
    text = f"{row[key] * scale:{form}}"
    if row.get(key + "_ratio") is not None:
        text += f" (**{row[key + '_ratio']:.2f}×**)"
    return text


def found_bars(facts: dict, runs: list[dict]) -> list[dict]:
    return bars_guided(runs) if facts["batch"] == 2 else bars(runs)


def markdown_bars(found: list[dict]) -> list[str]:
    known = BARS | BARS_GUIDED if any(b["name"].startswith("guided") for b in found) else BARS
    s = ["| | goal | measured | rounds | against |", "|---|---|---|---|---|"]
    for b in found:
        text, goal, direction, unit = known[b["name"]]
        met = b["value"] >= goal if direction == ">=" else b["value"] <= goal
        rounds = "–" if b["low"] is None else f"{b['low']:.2f} to {b['high']:.2f}"
        s.append(f"| {text} | {'≥' if direction == '>=' else '≤'} {goal:g}{unit} | {'**' if met else ''}"
                 f"{b['value']:.2f}{unit}{'**' if met else ''} | {rounds} | {b['peer'] or '–'} |")
    return s


def markdown_run(run: dict) -> list[str]:
    s = ["| program | eps evaluation, s | decode, s | ready from process start, s | load, s | first eps, s "
         "| peak memory, MB | batch 8 / 8 × batch 1 | error of eps, decode |",
         "|---|---|---|---|---|---|---|---|---|"]
    for r in table(run):
        if r["counts"] == "no":
            s.append(f"| {r['program']} | does not count: {r['why']} |" + " |" * 7)
            continue
        errors = ", ".join(f"{r[k]:.0e}" for k in ("eps_error", "decode_error") if r.get(k) is not None) or "–"
        s.append("| " + " | ".join([
            r["program"], cell(r, "eps", ".3f"), cell(r, "decode", ".3f"), cell(r, "ready", ".2f"),
            cell(r, "load", ".2f"), cell(r, "first", ".3f"), cell(r, "memory", ".0f", 1e-6),
            cell(r, "batch", ".2f"), errors]) + " |")
    return s


def markdown(facts: dict, runs: list[dict], plot: str) -> str:
    s = [f"# {facts['cpu']}, {facts['threads']} threads", "",
         f"{facts['date']}, {facts['config']}, float32" + (", batch 2 (a guided evaluation)" if facts["batch"] == 2 else "") +
         f"; {facts['ldm']}; {facts['versions']}; {facts['rounds']} interleaved rounds. Only ratios within this run count; see [README](../README.md) for what each number "
         "means.", "", f"![ratios]({plot})", "", *markdown_bars(found_bars(facts, runs))]
    for run in runs:
        s += ["", f"## {run['isa']}" + (", capped to AVX2 on both sides" if run["capped"] else ""), "",
              "In brackets: median of the rounds' ratios, peer / ldm; above 1 ldm is ahead.", "", *markdown_run(run)]
        whole = study(run)
        if whole:
            s += ["", "The study's run (150 steps asked for, 167 run, eta 0, guidance 7.5, zero conditioning, one "
                  "picture), extrapolated from the measured cost of a step: ready + 167 steps + decode.", "",
                  "| | seconds | ratio |", "|---|---|---|", f"| ldm | {whole['ldm']:.0f} | |"]
            for k, text in (("once", "CompVis' loop in PyTorch eager, one evaluation a step"),
                            ("twice", "the same, conditional and unconditional in one batch of 2")):
                s.append(f"| {text} | {whole[k]:.0f} | **{whole[k + '_ratio'][0]:.2f}×** |")
    return "\n".join(s) + "\n"


def draw(path: Path, facts: dict, runs: list[dict]) -> None:
    """Bars of the ratios of eps evaluation and decode, with the range over the rounds."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ldm"
    from matplotlib import pyplot
    rows = []
    for run in runs:
        for r in table(run):
            if r.get("eps_ratio") and r.get("decode_ratio"):
                rows.append(dict(r, program=r["program"] + (", AVX2" if run["capped"] else "")))
    rows.reverse()
    fig, ax = pyplot.subplots(figsize=(7.5, 1.4 + 0.62 * len(rows)), layout="constrained")
    kinds = ((0.19, "eps", "eps evaluation", "#20639b"), (-0.19, "decode", "decode", "#8fb8de"))
    for shift, key, text, colour in kinds:
        y = [i + shift for i in range(len(rows))]
        v = [r[key + "_ratio"] for r in rows]
        whiskers = [[r[key + "_ratio"] - r[key + "_low"] for r in rows],
                    [r[key + "_high"] - r[key + "_ratio"] for r in rows]]
        ax.barh(y, v, 0.36, xerr=whiskers, color=colour, label=text, error_kw={"lw": 0.8, "ecolor": "#444444"})
        for at, r in zip(y, rows):
            ax.annotate(f"{r[key + '_ratio']:.2f}", (r[key + "_high"], at), xytext=(4, 0), textcoords="offset points",
                        va="center", fontsize=8)
    ax.axvline(1, color="black", lw=1)
    ax.set_yticks(range(len(rows)), [r["program"] for r in rows])
    ax.set_xlim(left=0)
    ax.margins(x=0.12)
    ax.set_xlabel("time / ldm's time in the same round (ldm = 1)")
    ax.set_title(f"{facts['cpu']}, {facts['threads']} threads, float32", fontsize=9)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    fig.legend(frameon=False, fontsize=8, loc="outside lower right", ncols=2)
    fig.savefig(path, metadata={"Date": None})
    pyplot.close(fig)


def number(v) -> str:
    return "" if v is None else f"{v:.6g}"


def write_csv(path: Path, facts: dict, runs: list[dict]) -> None:
    """The bars first (program "bars", `of` the peer), then every program's medians and ratios."""
    with open(path, "w", newline="") as f:
        for k in ("cpu", "threads", "date", "config", "batch", "ldm", "versions", "rounds"):
            f.write(f"# {k}: {facts[k]}\n")
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["isa", "program", "measure", "value", "ratio", "low", "high", "of"])
        for b in found_bars(facts, runs):
            isa = next(r["isa"] for r in runs if r["capped"] == b["name"].endswith("_avx2"))
            out.writerow([isa, "bars", b["name"], number(b["value"]), "", number(b["low"]), number(b["high"]),
                          b["peer"]])
        for run in runs:
            for r in table(run):
                if r["counts"] == "no":
                    out.writerow([run["isa"], r["program"], "does not count", "", "", "", "", r["why"]])
                for m in (*MEASURES, "eps_error", "decode_error"):
                    if r.get(m) is not None:
                        out.writerow([run["isa"], r["program"], m, number(r[m]),
                                      *(number(r.get(m + e)) for e in ("_ratio", "_low", "_high")), ""])


def write(stem: Path, facts: dict, runs: list[dict]) -> None:
    """STEM.md, STEM.csv (what it shows), STEM-rounds.csv (all that was measured), STEM.svg. A run is a dict of isa,
    capped, rows (phase, round, peer, measure, value), agree and failed."""

    def beside(end: str) -> Path:
        return stem.with_name(stem.name + end)

    write_csv(beside(".csv"), facts, runs)
    with open(beside("-rounds.csv"), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["isa", "phase", "round", "program", "measure", "value"])
        for run in runs:
            out.writerows([run["isa"], *r[:4], f"{r[4]:.6g}"] for r in run["rows"])
    draw(beside(".svg"), facts, runs)
    beside(".md").write_text(markdown(facts, runs, beside(".svg").name))
