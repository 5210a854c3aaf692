# SPDX-License-Identifier: MIT
"""Does a picture show what the words say? A classifier of attributes, trained on renders that the text model never saw.

    python judge.py train --state build/text               # judge.pt; prints each attribute's accuracy on other renders
    python judge.py measure                                 # the accuracy again, where the autoencoder is another than it was trained with
    python judge.py words --model models/portrait           # samples of prompts at several guidance scales, judged
    python judge.py pictures FILE.npy                       # what it sees in stored pictures (N, 64, 64, 3) uint8

Renders of a series of their own (seed 21; held out: seed 22). In training half of the pictures are what the autoencoder makes of
noisy latents, as samples are, and all are shifted, mirrored, blurred and made noisy. Beards of nearly the skin's colour are left out:
only the jaw's width tells them, so a judge that had learned from them saw beards in a third of the samples of "a man with
no beard", where by eye one or two of 32 have one. An attribute whose accuracy stays below 95 %, on renders or on what the
autoencoder makes of them, is not used.
"""
from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
import yaml
from torch import Tensor, nn

import common
import faces
import kl
import portraits
import program
import study
import text

VALUES = {"hair_colour": ["black", "brown", "red", "blond", "grey", "white"], "glasses": ["none", "glasses"], "beard": ["none", "full"],
          "skin": ["light", "medium", "dark"], "hair": ["short", "medium", "long", "afro", "bun", "bald"],
          "background": ["grey", "white", "black", "blue", "green", "red", "pink", "purple", "yellow", "orange", "brown", "teal"],
          "sex": ["man", "woman"], "mouth": ["smile", "serious"]}
# how a prompt says a value; the rest of it comes from the other attributes
SAYING = {"hair_colour": "{} hair", "skin": {"light": "pale skin", "medium": "tanned skin", "dark": "dark skin"},
          "glasses": {"none": "no glasses", "glasses": "glasses"}, "beard": {"none": "no beard", "full": "a beard"},
          "hair": {"short": "short hair", "medium": "shoulder-length hair", "long": "long hair", "afro": "an afro", "bun": "hair in a bun", "bald": "a bald head"},
          "background": "a {} background"}
# opposite words, each drawn from the same noise: does the answer turn?
OPPOSITES = {"hair_colour": [("red", "black"), ("blond", "brown")], "glasses": [("glasses", "none")], "beard": [("full", "none")],
             "skin": [("light", "dark")], "background": [("blue", "yellow"), ("green", "purple")]}
HIDDEN = {("blond", "light"), ("blond", "medium"), ("white", "light"), ("grey", "light")}   # hair and skin: such a beard is not seen
GUIDANCES = (1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0)


class Judge(nn.Module):
    """(B, 3, 64, 64) in [-1, 1] -> logits by attribute."""

    def __init__(self, width: int = 24):
        super().__init__()
        w = width
        layers: list[nn.Module] = []
        for i, o, stride in ((3, w, 1), (w, 2 * w, 2), (2 * w, 3 * w, 2), (3 * w, 4 * w, 2), (4 * w, 6 * w, 2)):
            layers += [nn.Conv2d(i, o, 3, stride, 1), nn.GroupNorm(o // 12, o), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.hidden = nn.Linear(6 * w * 16, 192)
        self.heads = nn.ModuleDict({k: nn.Linear(192, len(v)) for k, v in VALUES.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = nnf.silu(self.hidden(self.body(x).flatten(1)))
        return {k: head(h) for k, head in self.heads.items()}


def answers(told: list[dict]) -> dict[str, Tensor]:
    """Index of each fact among the values of its attribute, -100 where it is none of them, or cannot be seen."""
    told = [f | {"beard": "hidden"} if f["beard"] != "none" and (f["hair_colour"], f["skin"]) in HIDDEN else f for f in told]
    return {k: torch.tensor([v.index(f[k]) if f[k] in v else -100 for f in told]) for k, v in VALUES.items()}


def renders(state: Path, name: str, seed: int, count: int, workers: int) -> tuple[np.ndarray, dict[str, Tensor]]:
    path = state / f"{name}.npy"
    if not path.exists():
        np.save(path, faces.series(seed, count, 64, workers, 0, portraits.portrait))
    return np.load(path), answers([portraits.person(seed, i)[1] for i in range(count)])


def worn(x: Tensor, gen: torch.Generator) -> Tensor:
    """Pictures as samples have them: mirrored, shifted by up to 3 pixels, some blurred, some noisy."""
    out = []
    for pic in x:
        if torch.rand((), generator=gen) < 0.5:
            pic = pic.flip(2)
        dy, dx = torch.randint(-3, 4, (2,), generator=gen).tolist()
        pic = nnf.pad(pic[None], (3, 3, 3, 3), mode="replicate")[0, :, 3 + dy:67 + dy, 3 + dx:67 + dx]
        out.append(pic)
    x = torch.stack(out)
    soft = nnf.avg_pool2d(nnf.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    k = torch.rand(len(x), 1, 1, 1, generator=gen) * (torch.rand(len(x), 1, 1, 1, generator=gen) < 0.6)
    x = x + k * (soft - x)
    return x + torch.randn(x.shape, generator=gen) * 0.06 * torch.rand(len(x), 1, 1, 1, generator=gen)


@torch.no_grad()
def soften(x: Tensor, first: kl.KlStage, g: np.random.Generator) -> Tensor:
    """What the autoencoder makes of the pictures, with noise on their latents."""
    z = first.encode(x)
    z = z + torch.randn(z.shape) * torch.from_numpy(g.uniform(0, 0.25, (len(z), 1, 1, 1))).float()
    return first.decode(z).clamp(-1, 1)


def softened(pics: np.ndarray, first: kl.KlStage, g: np.random.Generator) -> np.ndarray:
    """All of the uint8 pictures as `soften` makes them."""
    out = []
    for n in range(0, len(pics), 64):
        with common.autocast():
            soft = soften(common.batch(pics, np.arange(n, min(n + 64, len(pics)))), first, g)
        out.append(common.to_uint8(soft.float()))
    return np.concatenate(out)


@torch.no_grad()
def says(net: Judge, pics: np.ndarray) -> dict[str, np.ndarray]:
    """Index of the value seen, by attribute, (N,)."""
    parts = [net(common.batch(pics, np.arange(i, min(i + 128, len(pics))))) for i in range(0, len(pics), 128)]
    return {k: torch.cat([p[k].argmax(1) for p in parts]).numpy() for k in VALUES}


def train(a: argparse.Namespace) -> None:
    torch.manual_seed(1)
    pics, told = renders(a.state, "judge_renders", 21, a.count, a.workers)
    soft = softened(pics, text.first_stage(a.state, sharp=True), np.random.default_rng(4))
    net = Judge()
    opt = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.02)
    gen, end, began, step = torch.Generator().manual_seed(2), a.minutes * 60, time.time(), 0
    while (share := (time.time() - began) / end) < 1:
        opt.param_groups[0]["lr"] = 2e-3 * common.cosine(share, warm=0.03)
        pick = np.sort(np.random.default_rng([3, step]).integers(len(pics), size=64))
        x = worn(torch.cat([common.batch(pics, pick[::2]), common.batch(soft, pick[1::2])]), gen)
        pick = np.concatenate([pick[::2], pick[1::2]])
        with common.autocast():
            out = net(x)
        loss = sum(nnf.cross_entropy(out[k].float(), told[k][pick], ignore_index=-100) for k in VALUES)
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
    keep(a, net, steps=step, pictures=len(pics))


def keep(a: argparse.Namespace, net: Judge, steps: int, pictures: int) -> None:
    """Measures on renders that the judge never saw, plain and as the autoencoder makes them, and writes judge.pt."""
    held, true = renders(a.state, "judge_heldout", 22, 1024, a.workers)
    soft = softened(held, text.first_stage(a.state, sharp=True), np.random.default_rng(4))
    net.eval()
    right: dict[str, float] = {}
    for seen in (says(net, held), says(net, soft)):                     # the worse of the two counts
        for k in VALUES:
            known = true[k].numpy() >= 0
            right[k] = min(right.get(k, 1.0), float((seen[k] == true[k].numpy())[known].mean()))
    common.save(a.state / "judge.pt", dict(net=net.state_dict(), accuracy=right, steps=steps, pictures=pictures))
    print(f"judge: {steps} steps on {pictures} renders; accuracy on {len(held)} others, the worse of plain and softened: " +
          ", ".join(f"{k} {100 * v:.1f} %" for k, v in right.items()))


def measure(a: argparse.Namespace) -> None:
    """A judge that was trained with another autoencoder, measured with the present one."""
    net, done = load(a.state)
    keep(a, net, done["steps"], done["pictures"])


def load(state: Path) -> tuple[Judge, dict]:
    """The judge, and what judge.pt says of it."""
    done = common.load(state / "judge.pt")
    if done is None:
        raise SystemExit(f"{state}/judge.pt is missing: judge.py train")
    net = Judge()
    net.load_state_dict(done["net"])
    return net.eval(), done


def prompt(g: random.Random, fewest: int, most: int) -> tuple[str, dict]:
    """A prompt of `fewest` to `most` attributes (a woman has one less to ask for) and what it asks for."""
    ask = {"sex": g.choice(VALUES["sex"])}
    words = []
    known = [k for k in SAYING if k != "beard" or ask["sex"] == "man"]
    for k in g.sample(known, min(g.randint(fewest, most), len(known))):
        if k == "hair_colour" and ask.get("hair") == "bald":
            continue
        ask[k] = g.choice([v for v in VALUES[k] if not (k == "hair" and v == "bald" and ("hair_colour" in ask or ask["sex"] == "woman"))])
        words.append(said(k, ask[k]))
    return f"a {ask['sex']} with " + (", ".join(words[:-1]) + " and " if len(words) > 1 else "") + words[-1], ask


def said(k: str, value: str) -> str:
    return SAYING[k][value] if isinstance(SAYING[k], dict) else SAYING[k].format(value)


def sampling(a: argparse.Namespace) -> dict:
    """The configuration's, with what --sampling changes."""
    with open(a.model / "config.yaml") as f:
        return yaml.safe_load(f)["ldm"]["sampling"] | program.settings(a.sampling)


def turns(a: argparse.Namespace, net: Judge, k: str, how: dict) -> float:
    """Share of noises from which both of two opposite prompts give what they say; how: options of the drawing."""
    right = []
    for pair in OPPOSITES[k]:
        prompts = [f"a {'man' if k == 'beard' else 'person'} with {said(k, value)}" for value in pair]
        seen = [says(net, program.draw(a.model, [p], 16, a.seed, **how))[k] for p in prompts]
        right += [VALUES[k][x] == pair[0] and VALUES[k][y] == pair[1] for x, y in zip(*seen)]
    return float(np.mean(right))


def within(pics: np.ndarray, each: int) -> float:
    """Variety of the pictures of one prompt, `each` in a row: text_export.variety of each prompt's, the root of their mean square."""
    import text_export
    return float(np.sqrt(np.mean([text_export.variety(pics[n:n + each]) ** 2 for n in range(0, len(pics), each)])))


def words(a: argparse.Namespace) -> None:
    import patchy
    import text_export
    net, done = load(a.state)
    accuracy = done["accuracy"]
    used = [k for k in VALUES if accuracy[k] >= 0.95]
    g, cascade = random.Random(a.seed), study.detector(a.cascade)
    asked = [prompt(g, *a.asks) for _ in range(a.prompts)]
    how, out = sampling(a), []
    turn = a.turn or how["scale"]
    del how["scale"]                                                    # it is varied
    for scale in a.guidance:
        pics = program.draw(a.model, [p for p, _ in asked], a.each, a.seed, scale=scale, **how)
        seen = says(net, pics)
        row: dict = dict(guidance=scale, count=len(pics), faces=float(study.hits(pics, cascade).mean()), variety=text_export.variety(pics),
                         within=within(pics, a.each))
        if (a.state / "patchy.pt").exists():
            row["patchy"] = patchy.share(a.state, pics)
        hits = []
        for k in used:
            got = [VALUES[k][seen[k][n]] == ask[k] for n, (_, ask) in enumerate(r for r in asked for _ in range(a.each)) if k in ask]
            row[k] = float(np.mean(got)) if got else None
            hits += got
        row["all"] = float(np.mean(hits))
        out.append(row)
        print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
    turned = {k: turns(a, net, k, how | {"scale": turn}) for k in used if k in OPPOSITES}
    print(json.dumps({k: round(v, 4) for k, v in turned.items()}), flush=True)
    found = common.load(a.state / "patchy.pt") or {}
    a.out.write_text(json.dumps(dict(judge=accuracy, patchy=found.get("found"), turns=turned, turn_guidance=turn, sampling=how, prompts=a.prompts, asks=list(a.asks), each=a.each, seed=a.seed, rows=out), indent=1) + "\n")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["train", "measure", "words", "pictures"])
    ap.add_argument("file", type=Path, nargs="?")
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--model", type=Path, default=Path("models/portrait"))
    ap.add_argument("--out", type=Path, default=Path("models/portrait/words.json"))
    ap.add_argument("--count", type=int, default=8192, help="renders to train on")
    ap.add_argument("--minutes", type=float, default=8)
    ap.add_argument("--prompts", type=int, default=200)
    ap.add_argument("--asks", type=int, nargs=2, default=(2, 4), metavar=("FEWEST", "MOST"), help="attributes a prompt asks for, 1 to 6")
    ap.add_argument("--each", type=int, default=4, help="samples a prompt")
    ap.add_argument("--sampling", nargs="+", default=[], help="KEY=VALUE in the place of the configuration's, eta=0 for instance")
    ap.add_argument("--guidance", type=float, nargs="+", default=GUIDANCES)
    ap.add_argument("--turn", type=float, help="guidance of the opposite prompts; default: the configuration's")
    ap.add_argument("--seed", type=int, default=5)
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--cascade", default=study.CASCADE)
    a = ap.parse_args()
    torch.set_num_threads(a.workers if a.what == "train" else 1)
    if a.what == "train":
        train(a)
    elif a.what == "measure":
        measure(a)
    elif a.what == "words":
        words(a)
    else:
        net, _ = load(a.state)
        seen = says(net, np.load(a.file))
        for n in range(len(seen["sex"])):
            print(" ".join(f"{k}={VALUES[k][seen[k][n]]}" for k in VALUES))


if __name__ == "__main__":
    main()
