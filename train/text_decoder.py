# SPDX-License-Identifier: MIT
"""Text model, between stages 3 and 4: trains the autoencoder's decoder on, for sharp pictures.

As decoder.py does it for the demo model: the reconstruction's loss, and a discriminator of patches whose gradient is scaled to a
share of the other's; part of each batch are latents that the UNet has drawn (random captions, guided), judged by the
discriminator alone. Encoder and latents stay, so the UNet stays valid. Writes kl_sharp.pt, which the export prefers. Resumes from its state.

Another part are latents of renders to which the UNet has put its own hand: noise up to a timestep of some 50 to 200, and drawn
again from there with the render's caption. What is where is given by then, so the render is what should come out, but eyes, lenses and mouths
are as the UNet draws them: the decoder learns to mend what the UNet gets wrong.
"""
from __future__ import annotations

import argparse
import copy
import random
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as nnf

import ae
import captions
import common
import faces
import kl
import text
from decoder import Back, Patches, answer, detail

LAST = (2, 3, 4, 5)                # of 20 steps: how many are drawn again, from t = 51 to 201


def draw(a: argparse.Namespace) -> None:
    """This worker's part of the latents that the UNet draws, from noise and from renders with noise."""
    path = part(a, common.rank())
    if path.exists():
        return
    done = common.load(a.state / "text_final.pt") or common.load(a.state / "text.pt")
    if done is None:
        raise SystemExit(f"{a.state} holds no trained UNet")
    net = text.Joint(**done["shape"]).requires_grad_(False)
    net.load_state_dict(done["ema"])
    grammar, tokens, g = captions.Grammar(a.model / "grammar.txt"), captions.Tokenizer(a.model / "vocab.txt"), random.Random(a.seed * 64 + common.rank())
    empty, gen = torch.tensor(tokens("")), torch.Generator().manual_seed(a.seed * 64 + common.rank())
    ask = lambda facts: torch.tensor([tokens(grammar.caption(f, g)) for f in facts])
    whole, again, which = [], [], []
    with common.autocast():
        for n in range(max(1, a.drawn // (32 * common.workers()))):
            ids = ask([grammar.draw(g) for _ in range(32)])
            whole.append(text.guided_latents(net, ids, empty, a.guidance, a.steps, a.seed * 1000 + n * 64 + common.rank()).half())
        data, told = text.dataset(a.state, None)
        for _ in range(max(1, a.again // (32 * common.workers()))):
            pick = g.sample(range(len(data)), 32)
            again.append(text.redrawn(net, data[pick], ask([told[i] for i in pick]), empty, a.guidance, a.steps, g.choice(LAST), gen).half())
            which += pick
    with open(str(path) + ".part", "wb") as f:
        np.savez(f, whole=torch.cat(whole).numpy(), again=torch.cat(again).numpy(), which=np.array(which))
    Path(str(path) + ".part").rename(path)


def part(a: argparse.Namespace, rank: int) -> Path:
    return a.state / f"drawn_{rank}_of_{a.workers}.npz"


def arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--model", type=Path, default=Path("models/portrait"))
    ap.add_argument("--minutes", type=float, default=13)
    ap.add_argument("--batch", type=int, default=8, help="pictures a worker and step, the drawn ones among them")
    ap.add_argument("--own", type=int, default=2, help="pictures of each batch that the UNet has drawn")
    ap.add_argument("--redrawn", type=int, default=3, help="pictures of each batch that the UNet has drawn again from a render with noise")
    ap.add_argument("--again", type=int, default=2048, help="latents that the UNet draws again for that")
    ap.add_argument("--drawn", type=int, default=320, help="latents that the UNet draws for that")
    ap.add_argument("--steps", type=int, default=20, help="DDIM steps they take")
    ap.add_argument("--guidance", type=float, default=2.5, help="and their guidance scale")
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--lr", type=float, default=6e-4)
    ap.add_argument("--judge-lr", type=float, default=1e-3)
    ap.add_argument("--alone", type=int, default=60, help="steps that the discriminator learns before the decoder does")
    ap.add_argument("--gan", type=float, default=2.0, help="the discriminator's gradient as a share of the reconstruction's")
    ap.add_argument("--match", type=float, default=1.5, help="the gradient of what its layers see otherwise than in the render, as a share of the reconstruction's")
    ap.add_argument("--noise", type=float, default=0.3, help="noise on the latents, at most this share of their deviation")
    ap.add_argument("--ema", type=float, default=0.995)
    ap.add_argument("--every", type=float, default=150, help="seconds between states")
    ap.add_argument("--seed", type=int, default=15)
    return ap.parse_args()


def train(a: argparse.Namespace) -> None:
    torch.manual_seed(a.seed)
    chief = common.rank() == 0
    held = np.load(a.state / "heldout.npy")[:128]
    pics = [np.load(p, mmap_mode="r") for p in kl.renders(a.state)]
    latents, _ = text.dataset(a.state, None)
    made = [np.load(part(a, r)) for r in range(a.workers)]
    drawn, again, which = (np.concatenate([m[key] for m in made]) for key in ("whole", "again", "which"))
    drawn, again = torch.from_numpy(drawn).float(), torch.from_numpy(again).float()
    first = text.first_stage(a.state)
    net, judge = Back(first).requires_grad_(True), Patches()
    opt = torch.optim.Adam(net.parameters(), a.lr, betas=(0.5, 0.95))
    judge_opt = torch.optim.Adam(judge.parameters(), a.judge_lr, betas=(0.5, 0.95))
    ema = copy.deepcopy(first).requires_grad_(False)
    step, used, path = 0, 0.0, a.state / "sharp.pt"
    things = (("net", net), ("judge", judge), ("opt", opt), ("judge_opt", judge_opt), ("ema", ema))
    if (old := common.load(path)) is not None:
        for name, thing in things:
            thing.load_state_dict(old[name])
        step, used = old["step"], old["used"]
    common.agree(judge)
    log = chief and common.Log(a.model / "decoder.csv", ["minutes", "step", "loss", "judge", "psnr", "detail", "rate", "speed"])
    weight, gen = ae.face_weight(64), np.random.default_rng([a.seed, step, common.rank()])
    count, true_detail = a.batch - a.own, detail(held)

    def pictures(which: np.ndarray) -> torch.Tensor:
        """Pictures (n, 3, 64, 64) of latents by their number in text.dataset: a file's renders, their mirror images, the next file's."""
        found = []
        for i in which.tolist():
            k = 0
            while i >= 2 * len(pics[k]):
                i, k = i - 2 * len(pics[k]), k + 1
            flip = i >= len(pics[k])
            found.append(common.batch(pics[k], np.array([i - flip * len(pics[k])]), np.array([flip])))
        return torch.cat(found)

    budget = common.Budget(a.minutes, used)
    share, seen, sums, mark, saved = budget.tick(), 0, np.zeros(2), time.time(), time.time()
    while share < 1:
        rate = common.cosine(share, warm=0.03)
        opt.param_groups[0]["lr"], judge_opt.param_groups[0]["lr"] = a.lr * rate, a.judge_lr * max(rate, 0.2)
        own, mended, plain = gen.integers(len(drawn), size=a.own), gen.integers(len(again), size=a.redrawn), gen.integers(len(latents), size=count - a.redrawn)
        x, z = pictures(np.concatenate([plain, which[mended]])), torch.cat([latents[plain], again[mended], drawn[own]])
        jitter = torch.zeros(len(z), 1, 1, 1)
        jitter[:len(plain)] = torch.from_numpy(gen.random(len(plain)) * (gen.random(len(plain)) < 0.5))[:, None, None, None]
        z = z + a.noise * jitter * torch.randn(z.shape)
        with common.autocast(), torch.set_grad_enabled(step >= a.alone):
            out = net(z).float()

        # the discriminator: as many real pictures as made ones
        with common.autocast():
            said = judge(torch.cat([x, pictures(gen.integers(len(latents), size=a.own)), out.detach()])).float()
        judged = nnf.relu(1 - said[:a.batch]).mean() + nnf.relu(1 + said[a.batch:]).mean()
        judged.backward()
        share = common.share_gradients(judge, budget.tick())
        judge_opt.step()
        judge_opt.zero_grad(set_to_none=True)
        step, seen, sums[1] = step + 1, seen + 1, sums[1] + float(judged.detach())
        if step <= a.alone:
            continue

        leaf = out.detach().requires_grad_(True)
        loss = ae.loss_of(leaf[:count], x, weight)
        out.backward(answer(judge, leaf, loss, x, a.gan, a.match))
        share = common.share_gradients(net, budget.tick())
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        sums[0] += float(loss.detach())
        with torch.no_grad():
            mine = [*ema.post_quant_conv.parameters(), *ema.decoder.parameters()]
            torch._foreach_lerp_(mine, list(net.parameters()), 1 - min(a.ema, (1 + step) / (10 + step)))
        if chief and (time.time() - saved > a.every or share >= 1):
            speed = seen * a.batch * common.workers() / (time.time() - mark)
            common.save(path, dict(step=step, used=budget.used, **{name: thing.state_dict() for name, thing in things}))
            psnr, recs = kl.measure(ema, held)
            log.row(minutes=budget.used / 60, step=step, loss=sums[0] / seen, judge=sums[1] / seen, psnr=psnr, detail=detail(recs) / true_detail,
                    rate=opt.param_groups[0]["lr"], speed=speed)
            with torch.no_grad():
                shots = common.to_uint8(ema.decode(drawn[:32]))
            pair = np.stack([held[:32], recs[:32], shots], 1).reshape(-1, *held.shape[1:])
            cv2.imwrite(str(a.state / "sharp.png"), faces.sheet(pair, 12, 2)[..., ::-1])
            budget.tick()
            seen, sums, mark, saved = 0, np.zeros(2), time.time(), time.time()
    if not chief:
        return
    psnr, _ = kl.measure(ema, np.load(a.state / "heldout.npy"))
    done = common.load(a.state / "kl_final.pt")
    done.update(net=ema.state_dict(), psnr=psnr, sharp=dict(steps=step, minutes=budget.used / 60, batch=a.batch * common.workers(), gan=a.gan, redrawn=a.redrawn / a.batch))
    common.save(a.state / "kl_sharp.pt", done)
    print(f"decoder: {step} steps, held-out PSNR {psnr:.2f} dB")


if __name__ == "__main__":
    options = arguments()
    if not all(part(options, r).exists() for r in range(options.workers)):
        common.launch(draw, options, options.workers)
    common.launch(train, options, options.workers)
