# SPDX-License-Identifier: MIT
"""Text model, stage 3: teaches the text encoder the grammar's facts, from captions alone.

A UNet that is trained together with an encoder that knows nothing hears the words late: after 3,400 steps the error of a
caption that belongs to the portrait and that of another one's differed by 1 %. So the encoder learns first what it can
learn without pictures: from its output at every position, padding included, one linear layer tells each fact of the
portrait, as far as the caption tells it. Whatever position the UNet's cross-attention looks at, the facts are there and
one matrix multiplication away. The layer is thrown away.

The encoder takes its place in the state of text.py, which then holds it fixed. Where facts.pt is there, its encoder learns on and
the UNet beside it keeps its weights. A new encoder keeps the UNet of `--init` but for the weights that read the text: they begin
anew, without effect.

    python text_facts.py --state build/text --model models/portrait --init models/portrait/resume.pt
"""
from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import captions
import common
from nets import Bert


class Facts:
    """The grammar's facts as class numbers: fact k has `sizes[k]` values."""

    def __init__(self, grammar: captions.Grammar):
        self.values = {name: sorted({w.text for w in ways}) for name, ways in grammar.facts.items()}
        self.sizes = [len(v) for v in self.values.values()]

    def numbers(self, facts: dict) -> list[int]:
        return [v.index(facts[name]) for name, v in self.values.items()]


def loss(logits: Tensor, told: Tensor, sizes: list[int]) -> Tensor:
    """Mean cross entropy of logits (B, n, sum of sizes) against told (B, facts): the sum over facts, the mean over positions."""
    n = logits.shape[1]
    return sum(F.cross_entropy(part.flatten(0, 1), told[:, k].repeat_interleave(n)) for k, part in enumerate(logits.split(sizes, 2)))


@torch.no_grad()
def accuracy(bert: Bert, head: nn.Linear, ids: Tensor, told: Tensor, facts: Facts) -> dict[str, float]:
    """Share of right answers by fact, over all positions."""
    parts = head(bert(ids)).split(facts.sizes, 2)
    return {name: (part.argmax(2) == told[:, k, None]).float().mean().item() for k, (name, part) in enumerate(zip(facts.values, parts))}


def learn(a: argparse.Namespace, tokens: captions.Tokenizer, known: dict | None) -> Bert:
    """Trains an encoder, from the weights `known` on where there are any."""
    grammar = captions.Grammar(a.model / "grammar.txt")
    grammar.deny_more(a.deny)
    facts, g = Facts(grammar), random.Random(a.seed)
    torch.manual_seed(a.seed)
    bert = Bert(a.text, a.layers, len(tokens.ids))
    if known:
        bert.load_state_dict(known)
    head = nn.Linear(a.text, sum(facts.sizes))
    opt = torch.optim.AdamW([*bert.parameters(), *head.parameters()], a.lr, betas=(0.9, 0.98), weight_decay=0.01)

    def batch(count: int) -> tuple[Tensor, Tensor]:
        drawn = [grammar.draw(g) for _ in range(count)]
        return torch.tensor([tokens(grammar.caption(f, g)) for f in drawn]), torch.tensor([facts.numbers(f) for f in drawn])

    began, total = time.time(), 0.0
    for step in range(a.steps):
        for group in opt.param_groups:
            group["lr"] = a.lr * min(1.0, (step + 1) / 100) * common.cosine(step / a.steps)
        ids, told = batch(a.batch)
        seen = torch.randperm(ids.shape[1])[:a.positions]
        e = loss(head(bert(ids)[:, seen]), told, facts.sizes)
        opt.zero_grad(set_to_none=True)
        e.backward()
        torch.nn.utils.clip_grad_norm_([*bert.parameters(), *head.parameters()], 1.0)
        opt.step()
        total += e.item()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: {total / 100:.3f} nats for {len(facts.sizes)} facts, {time.time() - began:.0f} s", flush=True)
            total = 0.0
    right = accuracy(bert, head, *batch(256), facts)
    print("right: " + ", ".join(f"{k} {v:.2f}" for k, v in right.items()), flush=True)
    return bert


def hears(key: str) -> bool:
    return ".attn2." in key


def put_in(net: dict, bert: Bert, anew: bool) -> dict:
    """Weights of a Joint with this encoder. anew: the encoder is another one, so what reads the text begins without effect."""
    out = {k: v.float() for k, v in net.items() if not k.startswith("bert.")}
    for k in filter(hears, list(out) if anew else []):
        if k.endswith(("to_k.weight", "to_v.weight")):
            out[k] = torch.empty(out[k].shape[0], bert.transformer.token_emb.embedding_dim)
            nn.init.kaiming_uniform_(out[k], a=5 ** 0.5)
        elif "to_out" in k:
            out[k] = torch.zeros_like(out[k])
    return out | {f"bert.{k}": v.detach().clone() for k, v in bert.state_dict().items()}


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--model", type=Path, default=Path("models/portrait"))
    ap.add_argument("--init", type=Path, help="resume file whose UNet is gone on with; none begins anew")
    ap.add_argument("--text", type=int, default=128, help="width of the text encoder")
    ap.add_argument("--layers", type=int, default=2)
    ap.add_argument("--steps", type=int, default=3600)
    ap.add_argument("--batch", type=int, default=32)
    ap.add_argument("--positions", type=int, default=16, help="of the output, that a step looks at")
    ap.add_argument("--deny", type=float, default=6.0, help="times as often that captions say what is not there")
    ap.add_argument("--lr", type=float, default=0.001)
    ap.add_argument("--seed", type=int, default=15)
    a = ap.parse_args()
    began = time.time()
    before = common.load(a.state / "facts.pt")                          # the command given again goes on
    old = before or (a.init and common.load(a.init)) or {}
    bert = learn(a, captions.Tokenizer(a.model / "vocab.txt"), before and before["bert"])
    net = old.get("net") and put_in(old["net"], bert, anew=not before)
    used = old.get("used", 0.0) + time.time() - began
    shape = {**old.get("shape", {}), "text": a.text, "layers": a.layers}
    common.save(a.state / "facts.pt", dict(bert=bert.state_dict(), net=net, step=old.get("step", 0), latents=old.get("latents", 0), used=used, shape=shape))


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
