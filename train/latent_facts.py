# SPDX-License-Identifier: MIT
"""Text model, stage 3b: a network that tells a portrait's facts from its latent, for the second part of text.py's loss.

A beard is a small part of a latent, so the squared error hardly counts it, and a UNet that is trained by that error
alone draws beards last: asked for one it gave one in a third of the samples. So text.py also asks this network what it sees in
the predicted x_0, and the answer has to be the facts.

`--likeness` asks for more: what the network's layers make of the predicted x_0 has to be like what they make of the true one. The
squared error alone is least for the mean of all pictures that x_t may come from, half a lens among them; to these layers half a
lens is unlike either. (Lin, Yang: Diffusion Model with Perceptual Loss, 2024, there with the layers of the diffusion model itself.)

It must not be led by traces that no eye sees. So it looks through noise, in its training and in text.py, and learns from latents
that are faded towards others and blurred, as predictions of a noisy x_t are. Figures of the samples come from another judge
(judge.py), which looks at pictures and has learned from other renders.

    python latent_facts.py --state build/text --model models/portrait        # build/text/latent_facts.pt
"""
from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import captions
import common
import kl
import portraits
from text_facts import Facts

NOISE = 0.3             # standard deviation of what it looks through, where a latent's is 1
# facts that are seen at 64x64 and asked for; the others (frame, lips, freckles, light...) are not counted
SEEN = ("hair", "hair_colour", "beard", "glasses", "skin", "sex", "mouth", "hat", "hat_colour", "earrings", "clothes", "scene", "background")
COUNTS = {"beard": 6.0, "glasses": 3.0}     # in text.py's loss: drawn last, so told to learn most; the others once


class LatentFacts(nn.Module):
    """(B, channels, 8, 8) -> logits (B, sum of sizes), fact after fact."""

    def __init__(self, sizes: list[int], channels: int, width: int = 72):
        super().__init__()
        w = width
        layers: list[nn.Module] = []
        for i, o, stride in ((channels, w, 1), (w, 2 * w, 1), (2 * w, 2 * w, 2), (2 * w, 3 * w, 1)):
            layers += [nn.Conv2d(i, o, 3, stride, 1), nn.GroupNorm(o // 12, o), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.hidden, self.out = nn.Linear(3 * w * 16, 192), nn.Linear(192, sum(sizes))

    def forward(self, z: Tensor) -> Tensor:
        return self.tell(self.layers(z))

    def layers(self, z: Tensor) -> list[Tensor]:
        """What each of the four convolutions makes of z."""
        found = []
        for n in range(0, len(self.body), 3):
            z = self.body[n:n + 3](z)
            found.append(z)
        return found

    def tell(self, layers: list[Tensor]) -> Tensor:
        return self.out(F.silu(self.hidden(layers[-1].flatten(1))))


def seen(facts: Facts) -> list[int]:
    """Numbers of the facts that count."""
    return [k for k, name in enumerate(facts.values) if name in SEEN]


def wrong(logits: Tensor, told: Tensor, facts: Facts, counts: dict[str, float]) -> Tensor:
    """Cross entropy (B,), the sum over the facts that count, each times its weight in counts (1); told (B, facts)."""
    parts, names = logits.float().split(facts.sizes, 1), list(facts.values)
    return sum(counts.get(names[k], 1.0) * F.cross_entropy(parts[k], told[:, k], reduction="none") for k in seen(facts))


def unlike(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """(B,): how far the layers' vectors point apart, the squared distance of the unit vectors at each position, the mean over
    positions and layers; from 0 to 4."""
    return sum((F.normalize(x.float(), dim=1) - F.normalize(y.float(), dim=1)).square().sum(1).mean((1, 2)) for x, y in zip(a, b)) / len(a)


def noisy(z: Tensor, gen: torch.Generator) -> Tensor:
    """z through the noise that the network looks through."""
    return z + NOISE * torch.randn(z.shape, generator=gen)


def faded(z: Tensor, gen: torch.Generator) -> Tensor:
    """Latents as predictions are: half of them mixed with the mean of eight others, blurred, shifted by a position."""
    others = z[torch.randint(len(z), (8, len(z)), generator=gen)].mean(0)
    some = (torch.rand(2, len(z), 1, 1, 1, generator=gen) < 0.5) * torch.rand(2, len(z), 1, 1, 1, generator=gen)
    z = z + 0.5 * some[0] * (others - z)
    return z + some[1] * (F.avg_pool2d(F.pad(z, (1, 1, 1, 1), mode="replicate"), 3, 1) - z)


def learn(a: argparse.Namespace) -> None:
    import text                                                         # which imports this file
    torch.manual_seed(a.seed)
    facts = Facts(captions.Grammar(a.model / "grammar.txt"))
    z, persons = text.dataset(a.state, a.parts)
    told = torch.tensor([facts.numbers(f) for f in persons])
    net, gen = LatentFacts(facts.sizes, z.shape[1]), torch.Generator().manual_seed(a.seed)
    opt = torch.optim.AdamW(net.parameters(), a.lr, weight_decay=0.05)
    budget, step, total = common.Budget(a.minutes), 0, 0.0
    while (share := budget.tick()) < 1:
        opt.param_groups[0]["lr"] = a.lr * common.cosine(share, warm=0.03)
        pick = torch.randint(len(z), (a.batch,), generator=gen)
        with common.autocast():
            out = net(noisy(faded(z[pick], gen), gen))
        e = wrong(out, told[pick], facts, {}).mean()
        opt.zero_grad(set_to_none=True)
        e.backward()
        opt.step()
        step, total = step + 1, total + e.item()
        if step % 200 == 0:
            print(f"step {step}: {total / 200:.3f} nats", flush=True)
            total = 0.0
    held = kl.latents(text.first_stage(a.state), np.load(a.state / "heldout.npy"))
    told = torch.tensor([facts.numbers(portraits.person(portraits.HELD_SEED, i)[1]) for i in range(len(held))])
    with torch.no_grad():
        parts = net.eval()(noisy(held, gen)).split(facts.sizes, 1)
    right = {list(facts.values)[k]: (parts[k].argmax(1) == told[:, k]).float().mean().item() for k in seen(facts)}
    common.save(a.state / "latent_facts.pt", dict(net=net.state_dict(), channels=z.shape[1], accuracy=right, steps=step, minutes=a.minutes))
    print(f"latent facts: {step} steps; right on {len(held)} others, through noise: " + ", ".join(f"{k} {v:.3f}" for k, v in right.items()))


def load(state: Path, facts: Facts) -> LatentFacts:
    done = common.load(state / "latent_facts.pt")
    if done is None:
        raise SystemExit(f"{state}/latent_facts.pt is missing: latent_facts.py")
    net = LatentFacts(facts.sizes, done["channels"])
    net.load_state_dict(done["net"])
    return net.eval().requires_grad_(False)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--model", type=Path, default=Path("models/portrait"))
    ap.add_argument("--parts", type=int)
    ap.add_argument("--minutes", type=float, default=5)
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--seed", type=int, default=16)
    learn(ap.parse_args())


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
