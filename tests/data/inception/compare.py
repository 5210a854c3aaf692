# SPDX-License-Identifier: MIT
"""ldm's published measures against torch-fidelity 0.4.0, pytorch-fid 0.3.0 and clean-fid's resizer 0.1.35.

    python compare.py LDM WEIGHTS.safetensors [--seed N] [--each N]

Needs them, torch, torchvision, scipy and Pillow. Makes two sets of pictures of six sizes by a seed, so that any other seed
gives pictures that nobody saw before. In each mode every feature must lie within 1e-5 of the other program's (relative L2,
for each picture), and FID, KID, Inception score, precision, recall and sFID within 1e-4. Prints one line a comparison; the
exit code is 1 if one of them fails.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image

import peers

SIZES = ((32, 32), (64, 64), (256, 256), (299, 299), (512, 384), (640, 1024))  # width, height
FEATURE_LIMIT, MEASURE_LIMIT = 1e-5, 1e-4
KID = {"kid_subsets": 5, "kid_subset_size": 5}
SPLITS = 3


def make_picture(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Waves of some directions and grain: contrasts of all scales."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    planes = []
    for _ in range(3):
        waves = sum(rng.uniform(20, 60) * np.sin(rng.uniform(2, 40) * (x * rng.normal() + y * rng.normal()) + rng.uniform(0, 6))
                    for _ in range(4))
        planes.append(128 + waves + rng.normal(0, rng.uniform(2, 25), (height, width)))
    return np.clip(np.stack(planes, 2), 0, 255).astype(np.uint8)


def make_set(rng: np.random.Generator, folder: str, each: int) -> list[np.ndarray]:
    os.makedirs(folder)
    out = [make_picture(rng, *size) for size in SIZES for _ in range(each)]
    for n, p in enumerate(out):
        Image.fromarray(p).save(os.path.join(folder, f"{n:05d}.png"))
    return out


class Peers:
    def __init__(self, weights: str):
        import torch_fidelity.feature_extractor_inceptionv3 as extractor

        extractor.vassert = lambda *a: None  # it takes bytes alone, and clean-fid's resizer gives floats
        self.fidelity = peers.torch_fidelity_network(weights, list(peers.TAPS))
        self.pytorch = peers.pytorch_fid_network(weights)

    def with_fidelity(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        spatial: list = []
        hook = self.fidelity.Mixed_6d.branch1x1.register_forward_hook(lambda m, i, o: spatial.append(o))
        out = self.fidelity(torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None])
        hook.remove()
        taps = {name: t[0].numpy() for name, t in zip(peers.TAPS, out)}
        taps["spatial"] = spatial[0][0, :7].permute(1, 2, 0).reshape(-1).numpy()
        return taps

    def features(self, mode: str, picture: np.ndarray) -> dict[str, np.ndarray]:
        if mode == "tf1":
            return self.with_fidelity(picture)
        if mode == "clean":
            from cleanfid.resize import make_resizer

            return self.with_fidelity(make_resizer("PIL", False, "bicubic", (299, 299))(picture))
        x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        blocks = self.pytorch(x)
        return {str(b.shape[1]): b.mean((2, 3))[0].numpy() for b in blocks}


class Report:
    def __init__(self):
        self.failed = False

    def line(self, what: str, far: float, limit: float):
        good = far <= limit
        self.failed |= not good
        print(f"{what:44s} {far:8.1e}  {'within' if good else 'BEYOND'} {limit:.0e}", flush=True)


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b.astype(np.float64)))


def run_ldm(a: argparse.Namespace, *args: str) -> str:
    r = subprocess.run([a.ldm, "metrics", "--inception", a.weights, "--threads", str(torch.get_num_threads()), *args], capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"ldm metrics {' '.join(args)}: {r.stderr}")
    return r.stdout


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """By the singular values of the product of both sets' centred rows: exact for few rows of many numbers."""
    ma, mb, n, m = a.mean(0), b.mean(0), len(a) - 1, len(b) - 1
    x, y = (a - ma) / np.sqrt(n), (b - mb) / np.sqrt(m)
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(((ma - mb) ** 2).sum() + (x ** 2).sum() + (y ** 2).sum() - 2 * root)


def compare_features(report: Report, mode: str, got: dict, want: list[dict]):
    for tap in want[0]:
        worst = max(far(got[tap][i], w[tap]) for i, w in enumerate(want))
        report.line(f"{mode}: {tap}, worst of {len(want)} pictures", worst, FEATURE_LIMIT)


def fidelity_measures(a: np.ndarray, b: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

    ta, tb = torch.from_numpy(a).double(), torch.from_numpy(b).double()  # KID is a small difference of large sums
    how = dict(verbose=False, rng_seed=2020, kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None,
               kid_kernel_poly_coef0=1, prc_neighborhood=3, prc_batch_size=10000, save_cpu_ram=False, **KID)
    out = dict(metric_kid.kid_features_to_metric(ta, tb, **how))
    out.update(metric_isc.isc_features_to_metric(torch.from_numpy(logits), splits=SPLITS, shuffle=True, rng_seed=2020))
    out.update(metric_prc.prc_features_to_metric(ta, tb, **how))
    out.update(metric_fid.fid_statistics_to_metric(metric_fid.fid_features_to_statistics(ta),
                                                   metric_fid.fid_features_to_statistics(tb), False))
    return {"fid": out["frechet_inception_distance"], "kid": out["kernel_inception_distance_mean"],
            "inception_score": out["inception_score_mean"], "precision": out["precision"], "recall": out["recall"]}


def compare_measures(report: Report, a: argparse.Namespace, mode: str, folders: list[str], sets: list[list[dict]]):
    main = [np.stack([f["2048"] for f in s]) for s in sets]
    peer = "pytorch-fid" if mode == "pytorch" else "torch-fidelity"
    if mode == "pytorch":
        from pytorch_fid.fid_score import calculate_frechet_distance

        stats = [(m.astype(np.float64).mean(0), np.cov(m.astype(np.float64), rowvar=False)) for m in main]
        want = {"fid": calculate_frechet_distance(*stats[0], *stats[1])} if a.pytorch_fid else {}
        want["fid "] = frechet(*[m.astype(np.float64) for m in main])
    else:
        want = fidelity_measures(main[0], main[1], np.stack([f["logits_unbiased"] for f in sets[0]]))
        want["sfid"] = frechet(*[np.stack([f["spatial"] for f in s]).astype(np.float64) for s in sets])
    got = json.loads(run_ldm(a, "--fid", "--kid", "--is", "--pr", "--sfid", "--bootstrap", "0", "--json", "--fid-mode", mode,
                             "--kid-subsets", str(KID["kid_subsets"]), "--kid-subset-size", str(KID["kid_subset_size"]),
                             "--is-splits", str(SPLITS), *folders))
    for key, value in want.items():
        mine = got[key.strip()]["value"]
        by = "NumPy" if key in ("sfid", "fid ") else peer
        report.line(f"{mode}: {key.strip()} {mine:.6g}, by {by} {value:.6g}",
                    abs(mine - value) / abs(value) if value else abs(mine), MEASURE_LIMIT)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("ldm")
    p.add_argument("weights")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--each", type=int, default=2, help="pictures of each size in a set")
    p.add_argument("--modes", default="tf1,pytorch,clean")
    p.add_argument("--pytorch-fid", action="store_true", help="its FID as well, by sqrtm of 2048 x 2048: minutes")
    a = p.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as d, torch.inference_mode():
        rng = np.random.default_rng(a.seed)
        folders = [os.path.join(d, name) for name in ("samples", "reference")]
        pictures = [make_set(rng, f, a.each) for f in folders]
        others = Peers(a.weights)
        for mode in a.modes.split(","):
            want = [[others.features(mode, p) for p in s] for s in pictures]
            for s, folder in zip(want, folders):
                out = os.path.join(d, "features.npz")
                run_ldm(a, "--fid-mode", mode, "--write-features", out, folder)
                with np.load(out) as got:
                    compare_features(report, mode, got, s)
            compare_measures(report, a, mode, folders, want)
    sys.exit(report.failed)


main()
