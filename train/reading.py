# SPDX-License-Identifier: MIT
"""Does the text encoder read a prompt right? What it misreads, no guidance can mend.

    python reading.py --state build/text --model models/portrait        # of the encoder in facts.pt
    python reading.py --checkpoint models/portrait/model.ckpt           # of an exported one

One linear layer learns to tell the facts of the grammar's captions from the encoder's output, which is held as it is. Then it tells
those of the judge's prompts (judge.py), which are no captions of the grammar. Printed: the share of attributes told right, by how many
a prompt asks for, and some that were not.
"""
from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from torch import Tensor, nn

import captions
import common
import judge
import text_facts
import text_restore
from nets import Bert

PROMPTS = 600                # of each length


def encoder(a: argparse.Namespace, tokens: captions.Tokenizer) -> Bert:
    """The encoder that is asked for, held."""
    if a.checkpoint:
        weights = text_restore.part(a.checkpoint, "cond_stage_model.")
    else:
        done = common.load(a.state / "facts.pt")
        if done is None:
            raise SystemExit(f"{a.state}/facts.pt is missing: text_facts.py")
        weights = done["bert"]
    bert = Bert(a.text, a.layers, len(tokens.ids))
    bert.load_state_dict(weights)
    return bert.requires_grad_(False)


def reader(a: argparse.Namespace, bert: Bert, tokens: captions.Tokenizer, grammar: captions.Grammar, facts: text_facts.Facts) -> nn.Linear:
    """The linear layer, trained on captions."""
    torch.manual_seed(a.seed)
    g, head = random.Random(a.seed), nn.Linear(a.text, sum(facts.sizes))
    opt = torch.optim.Adam(head.parameters(), 3e-3)
    for step in range(a.steps):
        opt.param_groups[0]["lr"] = 3e-3 * common.cosine(step / a.steps)
        drawn = [grammar.draw(g) for _ in range(64)]
        out = bert(torch.tensor([tokens(grammar.caption(f, g)) for f in drawn]))
        e = text_facts.loss(head(out[:, torch.randperm(out.shape[1])[:12]]), torch.tensor([facts.numbers(f) for f in drawn]), facts.sizes)
        opt.zero_grad(set_to_none=True)
        e.backward()
        opt.step()
    return head


@torch.no_grad()
def told(head: nn.Linear, bert: Bert, ids: Tensor, facts: text_facts.Facts) -> list[dict[str, str]]:
    """The facts read from each prompt's ids (B, 77): the mean over positions decides."""
    parts = head(bert(ids)).mean(1).split(facts.sizes, 1)
    return [{name: values[int(parts[k][n].argmax())] for k, (name, values) in enumerate(facts.values.items())} for n in range(len(ids))]


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", type=Path, default=Path("build/text"))
    ap.add_argument("--model", type=Path, default=Path("models/portrait"))
    ap.add_argument("--checkpoint", type=Path)
    ap.add_argument("--text", type=int, default=128, help="width of the text encoder")
    ap.add_argument("--layers", type=int, default=2)
    ap.add_argument("--steps", type=int, default=400)
    ap.add_argument("--seed", type=int, default=5)
    a = ap.parse_args()
    grammar, tokens = captions.Grammar(a.model / "grammar.txt"), captions.Tokenizer(a.model / "vocab.txt")
    facts, bert = text_facts.Facts(grammar), encoder(a, tokens)
    head = reader(a, bert, tokens, grammar, facts)
    for fewest, most in ((1, 1), (2, 2), (3, 3), (4, 4), (5, 6)):
        g = random.Random(a.seed)
        asked = [judge.prompt(g, fewest, most) for _ in range(PROMPTS)]
        read = told(head, bert, torch.tensor([tokens(p) for p, _ in asked]), facts)
        right = {k: [r[k] == ask[k] for r, (_, ask) in zip(read, asked) if k in ask] for k in judge.SAYING}
        every = [x for hits in right.values() for x in hits]
        print(f"{fewest} to {most} attributes: {100 * sum(every) / len(every):.1f} % read right; " +
              ", ".join(f"{k.replace('_', ' ')} {100 * sum(v) / len(v):.1f} %" for k, v in right.items()), flush=True)
        wrong = [f'  "{p}": {k} {r[k]}' for r, (p, ask) in zip(read, asked) for k in right if k in ask and r[k] != ask[k]]
        for line in wrong[:3]:
            print(line, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
