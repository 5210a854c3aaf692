"""Table, CSV and plot of one comparison."""
from __future__ import annotations

import csv
from pathlib import Path
from statistics import median

LABELS = {"ldm": "ldm", "eager": "PyTorch eager", "channels_last": "PyTorch channels_last",
          "compile": "torch.compile, frozen", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
STUDY_STEPS = 167  # CompVis runs 167 steps where 150 are asked for


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


def table(numbers: Numbers, agree: dict, failed: dict, limit: float) -> list[dict]:
    """One row a program. A ratio above 1 means that ldm is faster or takes less memory."""
    out = []
    for peer, label in LABELS.items():
        if peer in failed:
            out.append({"program": label, "counts": "no", "why": failed[peer]})
            continue
        if numbers.value("warm", peer, "eps") is None:
            continue
        row: dict = {"program": label, "counts": "yes"}
        for part in ("eps", "decode"):
            d = agree.get((peer, part))
            row[part + "_error"] = d
            if d is not None and not d <= limit:
                row["counts"], row["why"] = "no", f"{part} differs from ldm's by {d:.1e} (limit {limit:.0e})"
        for phase, measure in (("warm", "eps"), ("warm", "decode"), ("cold", "ready"), ("cold", "load"),
                               ("cold", "first"), ("cold", "memory")):
            row[measure] = numbers.value(phase, peer, measure)
            if peer != "ldm" and row["counts"] == "yes":
                r = numbers.ratios(phase, peer, measure)
                if r:
                    row[measure + "_ratio"], row[measure + "_low"], row[measure + "_high"] = median(r), min(r), max(r)
        row["batch8"] = numbers.value("batch", peer, "batch")
        out.append(row)
    return out


def study(numbers: Numbers) -> dict | None:
    """The study's run (150 steps asked for), from the cost of a step: ready + steps + decode, of either program."""
    ldm = numbers.value("study", "ldm", "once")
    once, twice = numbers.value("study", "eager", "once"), numbers.value("study", "eager", "twice")
    if not (ldm and once and twice):
        return None

    def whole(peer: str, step: float) -> float:
        return numbers.value("cold", peer, "ready") + STUDY_STEPS * step + numbers.value("warm", peer, "decode")

    return {"ldm": whole("ldm", ldm), "once": whole("eager", once), "twice": whole("eager", twice)}


def cell(row: dict, key: str, form: str, scale: float = 1.0) -> str:
    if row.get(key) is None:
        return "–"
    text = f"{row[key] * scale:{form}}"
    if row.get(key + "_ratio") is not None:
        text += f" (**{row[key + '_ratio']:.2f}×**)"
    return text


def markdown(facts: dict, rows: list[dict], whole: dict | None, plot: str) -> str:
    cap = ", capped to AVX2 on both sides" if facts["capped"] else ""
    s = [f"# {facts['cpu']}, {facts['isa']}{cap}, {facts['threads']} threads", "",
         f"{facts['date']}, {facts['config']}, float32; {facts['ldm']}; {facts['versions']}; {facts['rounds']} "
         "interleaved rounds. In brackets: median of the rounds' ratios, peer / ldm; above 1 ldm is ahead. Only "
         "ratios within this run count; see [README](../README.md) for what each number means.", "",
         f"![ratios]({plot})", "",
         "| program | eps evaluation, s | decode, s | ready from process start, s | load, s | first eps, s "
         "| peak memory, MB | batch 8 / 8 × batch 1 | error of eps, decode |",
         "|---|---|---|---|---|---|---|---|---|"]
    for r in rows:
        if r["counts"] == "no":
            s.append(f"| {r['program']} | does not count: {r['why']} |" + " |" * 7)
            continue
        errors = ", ".join(f"{r[k]:.0e}" for k in ("eps_error", "decode_error") if r.get(k) is not None) or "–"
        s.append("| " + " | ".join([
            r["program"], cell(r, "eps", ".3f"), cell(r, "decode", ".3f"), cell(r, "ready", ".2f"),
            cell(r, "load", ".2f"), cell(r, "first", ".3f"), cell(r, "memory", ".0f", 1e-6),
            cell(r, "batch8", ".2f"), errors]) + " |")
    counted = [r for r in rows if r.get("eps_ratio")]
    if counted:
        best = min(counted, key=lambda r: r["eps_ratio"])
        s += ["", f"Fastest peer: {best['program']}; ldm's eps evaluation is {best['eps_ratio']:.2f} times as fast "
              f"(rounds {best['eps_low']:.2f} to {best['eps_high']:.2f})."]
        best = min(counted, key=lambda r: r["decode_ratio"])
        s += [f"Decode: {best['program']}, {best['decode_ratio']:.2f} times "
              f"(rounds {best['decode_low']:.2f} to {best['decode_high']:.2f})."]
    if whole:
        s += ["", "The study's run (150 steps asked for, 167 run, eta 0, guidance 7.5, zero conditioning, one "
              "picture), extrapolated from the measured cost of a step: ready + 167 steps + decode.", "",
              "| | seconds | ratio |", "|---|---|---|", f"| ldm | {whole['ldm']:.0f} | |"]
        for k, text in (("once", "CompVis' loop in PyTorch eager, one evaluation a step"),
                        ("twice", "the same, conditional and unconditional in one batch of 2")):
            s.append(f"| {text} | {whole[k]:.0f} | **{whole[k] / whole['ldm']:.2f}×** |")
    return "\n".join(s) + "\n"


def draw(path: Path, facts: dict, rows: list[dict]) -> None:
    """Bars of the ratios of eps evaluation and decode, with the range over the rounds."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ldm"
    from matplotlib import pyplot
    rows = [r for r in rows if r.get("eps_ratio") and r.get("decode_ratio")][::-1]
    fig, ax = pyplot.subplots(figsize=(7.5, 1.4 + 0.62 * len(rows)), layout="constrained")
    bars = ((0.19, "eps", "eps evaluation", "#20639b"), (-0.19, "decode", "decode", "#8fb8de"))
    for shift, key, text, colour in bars:
        y = [i + shift for i in range(len(rows))]
        v = [r[key + "_ratio"] for r in rows]
        spread = [[r[key + "_ratio"] - r[key + "_low"] for r in rows],
                  [r[key + "_high"] - r[key + "_ratio"] for r in rows]]
        ax.barh(y, v, 0.36, xerr=spread, color=colour, label=text, error_kw={"lw": 0.8, "ecolor": "#444444"})
        for at, r in zip(y, rows):
            ax.annotate(f"{r[key + '_ratio']:.2f}", (r[key + "_high"], at), xytext=(4, 0), textcoords="offset points",
                        va="center", fontsize=8)
    ax.axvline(1, color="black", lw=1)
    ax.set_yticks(range(len(rows)), [r["program"] for r in rows])
    ax.set_xlim(left=0)
    ax.margins(x=0.12)
    ax.set_xlabel("time / ldm's time in the same round (ldm = 1)")
    cap = ", capped to AVX2" if facts["capped"] else ""
    ax.set_title(f"{facts['cpu']}, {facts['isa']}{cap}, {facts['threads']} threads, float32", fontsize=9)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    fig.legend(frameon=False, fontsize=8, loc="outside lower right", ncols=2)
    fig.savefig(path, metadata={"Date": None})
    pyplot.close(fig)


COLUMNS = ["program", "counts", "why", "eps_error", "decode_error"] + [
    m + s for m in ("eps", "decode", "ready", "load", "first", "memory") for s in ("", "_ratio", "_low", "_high")
] + ["batch8"]


def write(stem: Path, facts: dict, raw: list[tuple], agree: dict, failed: dict, limit: float) -> None:
    """STEM.md, STEM.csv (the table), STEM-rounds.csv (all that was measured), STEM.svg."""
    numbers = Numbers(raw)
    rows = table(numbers, agree, failed, limit)

    def beside(end: str) -> Path:
        return stem.with_name(stem.name + end)

    with open(beside(".csv"), "w", newline="") as f:
        out = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        out.writeheader()
        for r in rows:
            out.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in r.items()})
    with open(beside("-rounds.csv"), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["phase", "round", "program", "measure", "value"])
        out.writerows([*r[:4], f"{r[4]:.6g}"] for r in raw)
    draw(beside(".svg"), facts, rows)
    beside(".md").write_text(markdown(facts, rows, study(numbers), beside(".svg").name))
