# SPDX-License-Identifier: MIT
"""Stage 6: the model card. Reads the logs and the checkpoint, samples, measures and writes README.md.

Every figure in the card comes from here; `figures.json` beside it holds them all.
"""
from __future__ import annotations

import argparse
import csv
import hashlib
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml

import ae
import common
import diffusion
import export
import faces
import features
import nets
import plot
import sample
import study

CARD = """# Demo model: portraits, 64x64

A latent diffusion model of the FFHQ LDM-VQ-4 topology with fewer channels and blocks, in the format of CompVis' latent-diffusion:
`model.ckpt` (PyTorch zip, float16, {keys} keys, {megabytes:.1f} MB) and `config.yaml`. It ships so that a first run needs no
download. All figures here are written by `train/card.py`; the raw ones are in `figures.json`.

![64 samples, DDIM-{steps}](samples.png)

## What it was trained on

{pictures} procedural portraits of 64x64{mirrored}, made by `train/faces.py`: ray-marched heads with light, soft
shadow, skin tones over the whole human range, hair, glasses, beards and calm backgrounds. No photograph and no downloaded
data are involved, so no person is depicted. OpenCV's Haar cascade frontalface_alt2 (pictures enlarged to 192 pixels,
scale step 1.1, three neighbours) finds a face in {render_hits} of {render_count} of them.

![64 renders](renders.png)

## How

| | first stage | its decoder again | UNet |
|---|---|---|---|
| class | VQModelInterface, f4, 3 channels, {entries} codes, no attention | decoder and post_quant_conv alone | UNetModel, width {width} x {mult}, {blocks} residual block(s) a level, heads of 32 channels |
| parameters | {first_params:,} | {decoder_params:,} of these | {unet_params:,} |
| objective | L1 on a pyramid and on differences, squared error; the same of latents reduced by two, which decode to the reduced picture; noise on the latents; no codebook at first, then k-means and straight-through | the same, and a discriminator of patches (hinge) with what its layers see; noise on the latents, some of them drawn by the UNet | v, with its means over 4 x 4 latents |
| optimiser | Muon for matrices, Adam for the rest, cosine decay | Adam, cosine decay, exponential average of the weights | as the first stage, exponential average of the weights |
| steps | {ae_steps:,} | {decoder_steps:,} | {ldm_steps:,} |
| pictures or latents seen | {ae_seen:,} | {decoder_seen:,} | {ldm_seen:,} |
| minutes on {cpus} shared cores | {ae_minutes:.0f} | {decoder_minutes:.0f} | {ldm_minutes:.0f} |

{history}

The latents are zero-mean with std {latent_std:.3f} after multiplication by the scale factor 0.18215. `conditioning_key` is
crossattn and the conditioning stage `__is_unconditional__`, as in the study; the averaged weights are stored as `model.*`. The network
predicts v (`parameterization: v`), which Stability AI's version of CompVis' code reads; CompVis' own knows eps and x0 alone.

![Loss curves](curves.png)

The three logs lie beside this file. Other work ran on the machine at the same time, so the speed column of the logs is no
measure of the machine, and the minutes are those of the clock on the wall.

## Measured

| | |
|---|---|
| held-out reconstruction, {held} renders | {psnr:.2f} dB PSNR, {codes:.0%} of the codebook used |
| faces found in reconstructions | {rec_hits} of {rec_count} (in the originals {rec_orig}) |
| faces found in 64 samples, DDIM-50 / DDIM-150 | {hits50} / {hits150} |
| faces found in {samples} samples, DDIM-{steps} | {hits_all} ({hits_share:.1%}) |
| Frechet distance, {samples} samples against {samples} renders | {fd:.3f} |
| the same, {samples} renders against {samples} others | {fd_self:.3f} |
| mean pixel distance between two of 64 samples / renders | {spread:.4f} / {spread_renders:.4f} |
| mean squared error of v by timestep | {buckets} |

Distances are root mean squares over pixels of 0..1. The Frechet distance uses 448 numbers a picture: the means and the
standard deviations over the positions after each level of this model's own encoder (`train/features.py`). It is not
comparable with an Inception FID. The {samples} samples are drawn in bfloat16 where that is faster, the 64 in float32.

## Is it new?

Distances to the nearest of {pool} renders that the model was trained on; a render among these is compared with the others:

| | least | 5 % are below | median |
|---|---|---|---|
{near_rows}

{novelty}

## What the heads are worth

`num_head_channels: 32` is not in any tensor's shape: a file loads without a word under other settings. The squared error of
v at t = 50 over {head_count} held-out latents, with the same weights and the attention split otherwise:

| | heads at {head_widths} channels | mean squared error of v |
|---|---|---|
{head_rows}

## Limits

Rendered heads, not people: smooth skin, simple hair, one light, moderate pose, 64x64. In some samples an eye or a mouth is off,
hair fades into the background, or glasses are half there: the training was short. Of the model's use beyond
demonstrations and tests of `ldm` nothing is claimed.

## Make it again

    pip install -r train/requirements.txt      # and Debian's opencv-data for the detector
    make train                                 # or train/run.sh; resumes after an interruption
"""


def history(f: dict) -> str:
    """How the weights came to be, run by run."""
    runs = f["ldm_runs"]
    first = "; then, begun with its weights, ".join(f"{r['steps']:,} steps of {r['batch']} pictures in {r['minutes']:.0f} minutes, noise of {r['noise']:g} on the latents"
                                                    for r in f["ae_runs"])
    rows = [f"The autoencoder: {first}."]
    for r in f["decoder_runs"]:
        rows[0] += (f" Then its decoder: {r['steps']:,} steps of {r['batch']} pictures in {r['minutes']:.0f} minutes (`DECODER_MINUTES={r['budget']:g}`),\n"
                    f"the discriminator at {r['gan']:g} of the other gradient's size, what its layers see at {r['match']:g}, {r['pictures']:,} renders and their mirror images to draw from.")
    rows[0] += f"\nThe UNet was trained in {len(runs)} run{'s' if len(runs) > 1 else ''}:\n"
    for n, r in enumerate(runs):
        own, rate = ("LDM_INIT=models/demo ", f", rates {r['factor']:g} of those of a first run") if n else ("", "")
        rows.append(f"{n + 1}. {r['steps']:,} steps of {r['batch']} latents in {r['minutes']:.0f} minutes (`{own}LDM_MINUTES={r['budget']:.0f}`), "
                    f"begun with {r['begin']}{rate}; {r['latents']:,} latents to draw from")
    return "\n".join(rows)


def novelty(f: dict) -> str:
    """What the distances to the nearest render say."""
    gap, error = f["near_gap"], f["near_error"]
    says = "as far from the nearest render as" if abs(gap) <= 2 * error else "farther from the nearest render than" if gap > 0 else "nearer to a render than"
    least = "no sample is as near to a render as the closest two renders are" if f["near_least"] > f["near_twins_least"] else "some are nearer than the closest two renders"
    return (f"Samples lie {says} unseen renders do: their medians differ by {gap:+.4f}, and such a difference has a standard error\n"
            f"of {error:.4f} (bootstrap); {least}.")


def near_rows(kinds: dict[str, np.ndarray]) -> str:
    return "\n".join(f"| {len(d)} {name} | {d.min():.4f} | {np.quantile(d, 0.05):.4f} | {np.median(d):.4f} |" for name, d in kinds.items())


def gap_of_medians(a: np.ndarray, b: np.ndarray, rounds: int = 2000) -> tuple[float, float]:
    """Difference of the medians and its standard error."""
    rng = np.random.default_rng(8)
    again = [np.median(rng.choice(a, len(a))) - np.median(rng.choice(b, len(b))) for _ in range(rounds)]
    return float(np.median(a) - np.median(b)), float(np.std(again))


def write(model: Path, figures: dict) -> None:
    (model / "README.md").write_text(CARD.format(**figures, history=history(figures), novelty=novelty(figures)))


def spread(pics: np.ndarray) -> float:
    """Mean root-mean-square distance between two of the pictures, in 0..1."""
    f = pics.reshape(len(pics), -1).astype(np.float32) / 255
    d = torch.pdist(torch.from_numpy(f)).numpy() / f.shape[1] ** 0.5
    return float(d.mean())


def nearest(pics: np.ndarray, pool: np.ndarray, own: bool = False) -> np.ndarray:
    """Root-mean-square distance of each picture to the nearest of the pool; own: to the nearest other, as the pool begins
    with these pictures."""
    f = torch.from_numpy(pics.reshape(len(pics), -1).astype(np.float32) / 255)
    best = torch.full((len(pics),), 1e9)
    for lo in range(0, len(pool), 1000):
        g = torch.from_numpy(pool[lo:lo + 1000].reshape(-1, f.shape[1]).astype(np.float32) / 255)
        d = torch.cdist(f, g)
        if own:
            d[torch.arange(len(f))[:, None] == torch.arange(lo, lo + len(g))] = 1e9
        best = torch.minimum(best, d.min(1).values)
    return (best / f.shape[1] ** 0.5).numpy()


def table(path: Path) -> dict[str, np.ndarray]:
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    return {k: np.asarray([float(r[k]) for r in rows]) for k in rows[0]}


def of_renders(state: Path, first, renders: np.ndarray, held: np.ndarray, n: int, detector) -> dict:
    """All figures that depend on the autoencoder and the renders alone; kept in the state."""
    digest = hashlib.sha256(b"".join(v.numpy().tobytes() for v in first.state_dict().values())).hexdigest()[:12]
    path = state / f"card_{n}_{digest}.pt"
    if (old := common.load(path)) is not None:
        return old
    psnr, codes, recs = ae.measure(first, held, True)
    pool = np.asarray(renders[:20000])
    one, other = (features.moments(features.features(first, np.asarray(renders[k:k + n]))) for k in (0, n))
    found = dict(psnr=psnr, codes=codes, rec_hits=int(study.hits(recs, detector).sum()), rec_orig=int(study.hits(held, detector).sum()),
                 rec_count=len(held), one=one, other=other, latent_std=float(ae.latents(first, held).std()) * diffusion.SCALE_FACTOR,
                 render_hits=int(study.hits(np.asarray(renders[:512]), detector).sum()), render_count=512,
                 near={"renders among these": nearest(pool[:512], pool, own=True), "unseen renders": nearest(held, pool),
                       "reconstructions of unseen renders": nearest(recs, pool)})
    common.save(path, found)
    return found


HEADS = [("num_head_channels 32 (as trained)", lambda c: c // 32), ("num_head_channels 16", lambda c: c // 16),
         ("num_heads 8", lambda c: 8), ("num_heads 1", lambda c: 1)]


def widths(unet: nets.UNet) -> list[int]:
    """Channels that there is attention at, each once."""
    return sorted({m.proj_out.weight.shape[0] for m in unet.modules() if isinstance(m, nets.Attention)})


@torch.no_grad()
def heads(first, unet: nets.UNet, held: np.ndarray, t: int = 50) -> list[tuple[str, str, float]]:
    """Error of v at t with the attention split into other heads: (setting, heads at each width, mean square)."""
    x0 = ae.latents(first, held) * diffusion.SCALE_FACTOR
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(7))
    (xt, v), rows = diffusion.noised(x0, noise, torch.full((len(x0),), t), diffusion.buffers()["alphas_cumprod"]), []
    layers = [m for m in unet.modules() if isinstance(m, nets.Attention)]
    own = [m.heads for m in layers]
    for name, split in HEADS:
        for m in layers:
            m.heads = split(m.proj_out.weight.shape[0])
        e = torch.cat([unet(part, torch.full((len(part),), t)) for part in xt.split(64)]) - v
        rows.append((name, ", ".join(str(split(c)) for c in widths(unet)), float(e.square().mean())))
    for m, n in zip(layers, own):
        m.heads = n
    return rows


def size(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def curves(model: Path) -> None:
    a, d = table(model / "autoencoder.csv"), table(model / "ldm.csv")
    g = table(model / "decoder.csv") if (model / "decoder.csv").exists() else None
    again = [] if g is None else [
        plot.chart("Decoder again: PSNR of held-out renders, dB", g["step"], {"PSNR": g["psnr"]}, False, "steps", height=220),
        plot.chart("Decoder again: detail and distance, renders = 1", g["step"], {"detail": g["detail"], "nearest": g["nearest"]}, False, "steps", height=220)]
    errors = {k[2:].replace("_", "-"): v for k, v in d.items() if k.startswith("v_")}
    plot.save(str(model / "curves.png"), [
        plot.chart("Autoencoder: loss", a["minutes"], {"loss": a["loss"]}, True, "minutes", height=220),
        plot.chart("Autoencoder: PSNR of held-out renders, dB", a["minutes"], {"PSNR": a["psnr"]}, False, "minutes", height=220), *again,
        plot.chart("UNet: loss", d["minutes"], {"loss": d["loss"]}, True, "minutes", height=220),
        plot.chart("UNet: squared error of v by timestep", d["minutes"], errors, True, "minutes"),
        plot.chart("UNet: faces found in 64 samples (DDIM-25, averaged weights)", d["minutes"], {"faces": d["faces"]}, False, "minutes", height=220)])


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=common.STATE)
    ap.add_argument("--model", type=Path, default=common.MODEL)
    ap.add_argument("--samples", type=int, default=2000)
    ap.add_argument("--steps", type=int, default=50)
    ap.add_argument("--cpus", type=int, default=2)
    ap.add_argument("--cascade", default=study.CASCADE)
    ap.add_argument("--text", action="store_true", help="write README.md from figures.json, measure nothing")
    a = ap.parse_args()
    if a.text:
        return write(a.model, json.loads((a.model / "figures.json").read_text()))
    began = time.time()
    torch.set_num_threads(1)
    with open(a.model / "config.yaml") as f:
        conf = yaml.safe_load(f)
    unet, first = export.read(a.model / "model.ckpt", conf)
    detector = study.detector(a.cascade)
    renders, held = np.load(a.state / "renders.npy", mmap_mode="r"), np.load(a.state / "heldout.npy")
    stage, runs = export.first_state(a.state), export.all_runs(common.load(a.state / "ldm.pt"))
    again = stage["decoder_runs"]
    last = {k: v[-1] for k, v in table(a.model / "ldm.csv").items()}

    n = a.samples
    fixed = of_renders(a.state, first, renders, held, n, detector)
    shots = sample.many(a.model, n, a.steps, seed=1000, workers=a.cpus)
    with torch.multiprocessing.get_context("spawn").Pool(min(a.cpus, 2)) as pool:
        grid = dict(zip((150, 50), pool.map(sample.job, [(str(a.model), 64, s, 0.0, 42, False) for s in (150, 50)], chunksize=1)))
    cv2.imwrite(str(a.model / "samples.png"), faces.sheet(grid[50], 8, 2)[..., ::-1])
    cv2.imwrite(str(a.model / "renders.png"), faces.sheet(held[:64], 8, 2)[..., ::-1])
    mine = features.moments(features.features(first, shots))
    one, other, near = (fixed.pop(k) for k in ("one", "other", "near"))
    pool = np.asarray(renders[:20000])
    near = {"samples": nearest(shots[:512], pool), **near}
    gap, gap_error = gap_of_medians(near["samples"], near["unseen renders"])
    hits = study.hits(shots, detector)
    params = conf["model"]["params"]
    figures = dict(
        keys=len(torch.load(a.model / "model.ckpt", map_location="cpu", weights_only=True)["state_dict"]),
        megabytes=(a.model / "model.ckpt").stat().st_size / 1e6, steps=a.steps, pictures=len(renders),
        mirrored=" and their mirror images" if max(r["latents"] for r in runs) > len(renders) else "",
        entries=params["first_stage_config"]["params"]["n_embed"], width=params["unet_config"]["params"]["model_channels"],
        mult=params["unet_config"]["params"]["channel_mult"], blocks=params["unet_config"]["params"]["num_res_blocks"], first_params=size(first),
        decoder_params=size(first.decoder) + size(first.post_quant_conv), unet_params=size(unet), cpus=a.cpus,
        ae_runs=stage["ae_runs"], ae_steps=sum(r["steps"] for r in stage["ae_runs"]), ae_seen=sum(r["steps"] * r["batch"] for r in stage["ae_runs"]),
        ae_minutes=sum(r["minutes"] for r in stage["ae_runs"]),
        decoder_runs=again, decoder_steps=sum(r["steps"] for r in again), decoder_seen=sum(r["steps"] * r["batch"] for r in again),
        decoder_minutes=sum(r["minutes"] for r in again), ldm_runs=runs, ldm_steps=sum(r["steps"] for r in runs),
        ldm_seen=sum(r["steps"] * r["batch"] for r in runs), ldm_minutes=sum(r["minutes"] for r in runs), held=len(held),
        hits50=int(study.hits(grid[50], detector).sum()), hits150=int(study.hits(grid[150], detector).sum()), samples=n,
        hits_all=int(hits.sum()), hits_share=float(hits.mean()), fd=features.frechet(mine, one), fd_self=features.frechet(other, one),
        spread=spread(grid[50]), spread_renders=spread(held[:64]), pool=len(pool), near_rows=near_rows(near), near_gap=gap, near_error=gap_error,
        near_least=float(near["samples"].min()), near_twins_least=float(near["renders among these"].min()),
        head_count=len(held), head_widths=", ".join(map(str, widths(unet))), head_rows="\n".join(f"| {name} | {split} | {e:.4f} |" for name, split, e in heads(first, unet, held)),
        buckets=", ".join(f"{k[2:].replace('_', '-')}: {v:.4f}" for k, v in last.items() if k.startswith("v_")), **fixed)
    curves(a.model)
    (a.model / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    write(a.model, figures)
    print(f"{a.model}/README.md: {figures['hits50']} and {figures['hits150']} faces of 64, Frechet {figures['fd']:.3f} "
          f"(renders {figures['fd_self']:.3f}), {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
