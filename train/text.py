# SPDX-License-Identifier: MIT
"""Text model, stage 4: trains the UNet on the latents of the portraits and their mirror images, with the text encoder that
text_facts.py made (facts.pt). The encoder is held as it is: Muon's steps are of one size however weak the gradient, and the
gradient through cross-attention is weak, so trained along it would be walked away from what it knows.

The network predicts v (train/README.md says why).

With `--facts` the loss has a second part: what latent_facts.py's network tells from the predicted x_0 has to be the portrait's
facts. It counts as sqrt(alphas_cumprod) (1 - alphas_cumprod): the noisiest predictions show nothing yet, and where there is hardly
any noise, all is decided: there the network learned to please with traces that no eye sees (the error of v below t = 50 rose from
0.53 to 0.80 within 600 steps while the factor was sqrt(alphas_cumprod) alone).

Captions are made anew for every latent that is seen; one in eight is empty, for guidance. The rate is constant and the
averages of the weights are what is used, so the run may stop at any time. `--fall M` lets the rate fall over the last M of
the minutes and writes text_final.pt; text.pt stays at the constant rate and can be gone on with later. Renders that were added
since are used from the next start on.
"""
from __future__ import annotations

import argparse
import copy
import json
import random
import shutil
import time
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
import torch
from torch import Tensor, nn

import captions
import common
import diffusion
import faces
import kl
import latent_facts
import portraits
from nets import Bert, KlStage, TextUNet
from text_facts import Facts

BUCKETS = [0, 50, 200, 400, 600, 800, 1000]
AC = diffusion.buffers(diffusion.TEXT_START, diffusion.TEXT_END)["alphas_cumprod"]
PROMPTS = ["a woman with long red hair and glasses", "an old man with a white beard in front of a blue background",
           "a smiling dark-skinned woman with a black afro and earrings", "a bald man with sunglasses on a yellow background",
           "a young woman with blond hair in a bun, green background", "a man with short black hair and a moustache in the snow",
           "a pale woman with a red hat by the sea", "a person"]


class Joint(nn.Module):
    """UNet and text encoder: x_t, t, token ids -> prediction."""

    def __init__(self, words: int, width: int, mult: tuple, blocks: int, attn: tuple, text: int, layers: int, latent: tuple):
        super().__init__()
        self.latent = tuple(latent)                                     # (channels, height, width)
        self.unet = TextUNet(width, mult, blocks, attn, channels=latent[0], context=text)
        self.bert = Bert(text, layers, words)

    def forward(self, x: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        return self.unet(x, t, self.bert(ids))


def shapes(a: argparse.Namespace, words: int, latent: tuple) -> dict:
    return dict(words=words, latent=tuple(latent), width=a.width, mult=tuple(a.mult), blocks=a.blocks, attn=tuple(a.attn), text=a.text, layers=a.layers)


def first_stage(state: Path, sharp: bool = False) -> KlStage:
    """The autoencoder; sharp: with the decoder that text_decoder.py made, where it did. Latents are the same."""
    done = (common.load(state / "kl_sharp.pt") if sharp else None) or common.load(state / "kl_final.pt")
    if done is None:
        raise SystemExit(f"{state}/kl_final.pt is missing: train the autoencoder first (kl.py)")
    return kl.stage(done).eval().requires_grad_(False)


def encode(a: argparse.Namespace) -> None:
    """Latents of this worker's share of the renders' files, (N, z, s, s) float16 each, and of their mirror images."""
    first = first_stage(a.state)
    for n, path in enumerate(kl.renders(a.state)[:a.parts]):
        for flip in (0, 1):
            out = latent_file(path, flip)
            if (2 * n + flip) % common.workers() != common.rank() or out.exists():
                continue
            with common.autocast():
                z = kl.latents(first, np.load(path, mmap_mode="r"), bool(flip))
            with open(str(out) + ".part", "wb") as f:
                np.save(f, z.half().numpy())
            Path(str(out) + ".part").rename(out)


def latent_file(renders: Path, flip: int) -> Path:
    return renders.with_name(renders.stem.replace("renders", "flip" if flip else "same") + ".latents.npy")


def dataset(state: Path, parts: int | None) -> tuple[Tensor, list[dict]]:
    """All latents of the first `parts` files, float32, and the facts of each."""
    z, told = [], []
    for path in kl.renders(state)[:parts]:
        facts = json.loads(path.with_suffix(".facts.json").read_text())
        for flip in (0, 1):
            z.append(np.load(latent_file(path, flip)))
            told += [portraits.mirrored(f) for f in facts] if flip else facts
    return torch.from_numpy(np.concatenate(z)).float(), told


def shares(told: list[dict], rare: float) -> Tensor:
    """How often each portrait (N,) is drawn: 1, with a beard or a bald head, which are few and learned last, `rare`."""
    return torch.tensor([rare if f["beard"] != "none" or f["hair"] == "bald" else 1.0 for f in told])


def guided_eps(net: Joint, ids: Tensor, empty: Tensor, scale: float) -> Callable[[Tensor, Tensor], Tensor]:
    """eps of x_t and t, guided by the prompts' ids (B, 77)."""
    c, u = net.bert(ids).float(), net.bert(empty[None]).float().expand(len(ids), -1, -1)

    def eps(x: Tensor, t: Tensor) -> Tensor:
        if scale == 1:
            out = net.unet(x, t, c).float()
        else:
            a, b = net.unet(torch.cat([x, x]), torch.cat([t, t]), torch.cat([u, c])).float().chunk(2)
            out = a + scale * (b - a)
        return diffusion.eps_of(out, x, t, AC)

    return eps


@torch.no_grad()
def guided_latents(net: Joint, ids: Tensor, empty: Tensor, scale: float, steps: int, seed: int) -> Tensor:
    """Latents of the prompts' ids (B, 77) by DDIM."""
    gen = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(ids), *net.latent, generator=gen)
    return diffusion.ddim(guided_eps(net, ids, empty, scale), noise, steps, ac=AC)


@torch.no_grad()
def redrawn(net: Joint, z: Tensor, ids: Tensor, empty: Tensor, scale: float, steps: int, last: int, gen: torch.Generator) -> Tensor:
    """Latents z (B, ...) with the noise of the last `last` of `steps` steps, drawn anew from there."""
    level = float(AC[diffusion.timesteps(steps)[last - 1]])
    noisy = level ** 0.5 * z + (1 - level) ** 0.5 * torch.randn(z.shape, generator=gen)
    return diffusion.ddim(guided_eps(net, ids, empty, scale), noisy, steps, ac=AC, last=last)


@torch.no_grad()
def guided(net: Joint, first: KlStage, ids: Tensor, empty: Tensor, scale: float, steps: int, seed: int) -> np.ndarray:
    """uint8 pictures of the prompts' ids, as guided_latents draws them."""
    z = guided_latents(net, ids, empty, scale, steps, seed)
    return np.concatenate([common.to_uint8(first.decode(part.float())) for part in z.split(16)])


def arguments() -> argparse.Namespace:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["encode", "train"], nargs="?", default="train", help="encode: only makes the latents that are missing")
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--model", type=Path, default=Path("models/portrait"), help="grammar and vocabulary; the log goes there")
    ap.add_argument("--minutes", type=float, default=60, help="of training in all, over interruptions")
    ap.add_argument("--fall", type=float, default=0, help="minutes, the last ones, in which the rate falls to nothing")
    ap.add_argument("--init", type=Path, help="facts.pt or resume.pt to begin with where there is no state")
    ap.add_argument("--parts", type=int, help="files of renders to use, the first ones (all)")
    ap.add_argument("--name", default="text", help="of the state file")
    ap.add_argument("--batch", type=int, default=32, help="latents a worker and step")
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--lr", type=float, default=0.02)
    ap.add_argument("--adam-lr", type=float, default=0.001)
    ap.add_argument("--width", type=int, default=128)
    ap.add_argument("--mult", type=int, nargs="+", default=[1, 1])
    ap.add_argument("--blocks", type=int, default=1)
    ap.add_argument("--attn", type=int, nargs="+", default=[1, 2], help="attention at these downsampling factors")
    ap.add_argument("--text", type=int, default=128, help="width of the text encoder")
    ap.add_argument("--layers", type=int, default=2)
    ap.add_argument("--empty", type=float, default=0.12, help="share of empty captions")
    ap.add_argument("--rare", type=float, default=2.0, help="times as often that a portrait with a beard or a bald head is drawn")
    ap.add_argument("--deny", type=float, default=3.0, help="times as often that captions say what is not there")
    ap.add_argument("--facts", type=float, default=0, help="weight of the loss's second part, 0: neither it nor the third")
    ap.add_argument("--likeness", type=float, default=0, help="weight of the loss's third part")
    ap.add_argument("--ema", type=float, default=0.999)
    ap.add_argument("--compile", type=int, default=int(shutil.which("g++") is not None))
    ap.add_argument("--every", type=float, default=240, help="seconds between states")
    ap.add_argument("--look", type=float, default=900, help="seconds between pictures that show the progress")
    ap.add_argument("--guidance", type=float, default=2.5, help="of these pictures")
    ap.add_argument("--seed", type=int, default=14)
    return ap.parse_args()


def train(a: argparse.Namespace) -> None:
    torch.manual_seed(a.seed)
    chief = common.rank() == 0
    first = first_stage(a.state)
    data, told = dataset(a.state, a.parts)
    drawn = shares(told, a.rare)
    grammar, tokens = captions.Grammar(a.model / "grammar.txt"), captions.Tokenizer(a.model / "vocab.txt")
    grammar.deny_more(a.deny)
    asked = Facts(grammar)
    numbers = torch.tensor([asked.numbers(f) for f in told])
    judge = latent_facts.load(a.state, asked) if a.facts else None
    net = Joint(**shapes(a, len(tokens.ids), data.shape[1:]))
    opt = common.Muon(net.unet, a.lr, a.adam_lr, skip=("input_blocks.0.", "out.", f"output_blocks.{len(net.unet.output_blocks) - 1}.0."))
    ema = copy.deepcopy(net).requires_grad_(False)
    step, used, warm = 0, 0.0, 0
    path = a.state / f"{a.name}.pt"
    old = common.load(path) or (a.init and common.load(a.init))
    if not old:
        raise SystemExit(f"neither {path} nor {a.init}: teach the text encoder first (text_facts.py)")
    net.bert.load_state_dict(old.get("bert") or {k[5:]: v for k, v in old["net"].items() if k.startswith("bert.")})
    net.bert.requires_grad_(False)
    ema.load_state_dict(net.state_dict())
    step, used, latents = old["step"], old["used"], old.get("latents", 0)
    if old.get("net"):
        net.load_state_dict({k: v.float() for k, v in old["net"].items()})
        ema.load_state_dict({k: v.float() for k, v in old.get("ema", old["net"]).items()})
        if old.get("opt"):
            opt.load_state_dict(old["opt"])
        else:
            warm = step                                                 # the optimiser knows nothing: its rate rises again
    if chief:
        print(f"{len(data)} latents, std by channel {data.std((0, 2, 3)).tolist()}; {len(tokens.ids)} pieces; "
              f"{sum(p.numel() for p in net.parameters())} parameters; step {step}, {used / 60:.1f} minutes", flush=True)
    form = torch.channels_last
    net = net.to(memory_format=form)
    run = torch.compile(net) if a.compile else net
    names = [f"v_{lo}_{hi}" for lo, hi in zip(BUCKETS, BUCKETS[1:])]
    log = chief and common.Log(a.model / f"{a.name}.csv", ["minutes", "step", "loss", "facts", "unlike", *names, "rate", "speed"])
    counts_facts = AC.sqrt() * (1 - AC)
    gen = torch.Generator().manual_seed((a.seed * 1000003 + step) * 64 + common.rank())
    words = random.Random((a.seed * 1000003 + step) * 64 + common.rank())
    empty = torch.tensor(tokens(""))
    shown = torch.tensor([tokens(p) for p in PROMPTS for _ in range(2)])
    budget = common.Budget(a.minutes, used)
    missed = strange = 0.0
    share, seen, total, mark, saved = budget.tick(), 0, 0.0, time.time(), time.time()
    sums, counts, edges = torch.zeros(len(names)), torch.zeros(len(names)), torch.tensor(BUCKETS[1:-1])
    falling, looked = False, time.time()
    while share < 1:
        left = (1 - share) * a.minutes
        if left < a.fall and not falling:
            falling = True
            if chief:
                save(path, net, ema, opt, step, latents, budget.used, a)
        rate = min(1.0, (step - warm + 1) / 60, left / a.fall if falling else 1.0)
        opt.rate(rate)
        pick = torch.multinomial(drawn, a.batch, replacement=True, generator=gen)
        ids = torch.stack([empty if words.random() < a.empty else torch.tensor(tokens(grammar.caption(told[i], words))) for i in pick.tolist()])
        x0, t = data[pick], diffusion.pick_times(a.batch, gen)
        xt, v = diffusion.noised(x0, torch.randn(x0.shape, generator=gen), t, AC)
        with common.autocast():
            out = run(xt.contiguous(memory_format=form), t, ids)
        each = (out.float() - v).square().mean((1, 2, 3))
        loss = each.mean()
        if judge:
            seen_x0 = diffusion.column(AC, t).sqrt() * xt - (1 - diffusion.column(AC, t)).sqrt() * out.float()
            with common.autocast():
                veil = latent_facts.noisy(torch.zeros_like(x0), gen)        # the same for both
                layers = judge.layers(seen_x0 + veil)
                answer = judge.tell(layers)
                with torch.no_grad():
                    true = judge.layers(x0 + veil)
            amiss = (latent_facts.wrong(answer, numbers[pick], asked, latent_facts.COUNTS) * counts_facts[t]).mean()
            apart = (latent_facts.unlike(layers, true) * counts_facts[t]).mean()
            (loss + a.facts * amiss + a.likeness * apart).backward()
            missed += float(amiss.detach())
            strange += float(apart.detach())
        else:
            loss.backward()
        for p in net.unet.parameters():
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        share = common.share_gradients(net.unet, budget.tick())
        torch.nn.utils.clip_grad_norm_(net.unet.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        step, seen, total = step + 1, seen + 1, total + float(loss.detach())
        latents += a.batch * common.workers()
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.unet.parameters()), list(net.unet.parameters()), 1 - min(a.ema, (1 + step) / (10 + step)))
            where = torch.bucketize(t, edges, right=True)
            sums.index_add_(0, where, each.detach())
            counts.index_add_(0, where, torch.ones(a.batch))
        if chief and (time.time() - saved > a.every or share >= 1):
            speed = seen * a.batch * common.workers() / (time.time() - mark)
            save(a.state / f"{a.name}_final.pt" if falling else path, net, ema, opt, step, latents, budget.used, a)
            log.row(minutes=budget.used / 60, step=step, loss=total / seen, facts=missed / seen, unlike=strange / seen, rate=rate, speed=speed,
                    **dict(zip(names, (sums / counts.clamp(min=1)).tolist())))
            if time.time() - looked > a.look or share >= 1:
                with common.autocast():
                    shots = guided(ema, first, shown, empty, a.guidance, 20, 42)
                cv2.imwrite(str(a.state / f"{a.name}_{step}.png"), faces.sheet(shots, 8, 2)[..., ::-1])
                looked = time.time()
            budget.tick()
            seen, total, missed, strange, mark, saved = 0, 0.0, 0.0, 0.0, time.time(), time.time()
            sums.zero_()
            counts.zero_()
    if chief:
        print(f"text: {step} steps, {budget.used / 60:.1f} minutes", flush=True)


def save(path: Path, net: Joint, ema: Joint, opt: common.Muon, step: int, latents: int, used: float, a: argparse.Namespace) -> None:
    state = {k: v.contiguous() for k, v in net.state_dict().items()}
    common.save(path, dict(net=state, ema=ema.state_dict(), opt=opt.state_dict(), step=step, latents=latents, used=used, shape=shapes(a, ema.bert.transformer.token_emb.num_embeddings, ema.latent),
                           batch=a.batch * common.workers(), empty=a.empty, rare=a.rare, deny=a.deny, facts=a.facts, counts=latent_facts.COUNTS if a.facts else {}, likeness=a.likeness, average=a.ema))


if __name__ == "__main__":
    options = arguments()
    common.keep_rank()
    if not all(latent_file(p, f).exists() for p in kl.renders(options.state)[:options.parts] for f in (0, 1)):
        common.launch(encode, options, options.workers)
    if options.what == "train":
        common.launch(train, options, options.workers)
