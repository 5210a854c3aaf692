#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Simulates 1 to 10,000 processes that share a run, by the rules of src/cluster/work.c.

    tools/cluster_sim.py --measure FOLDER   block times of a run in FOLDER -> bench/cluster/blocks.csv
    tools/cluster_sim.py --write            simulates, and writes the tables of docs/CLUSTER.md
    tools/cluster_sim.py --check            are they what it would write? (needs no run)

Every block's time is drawn from the measured ones, relative to their mean; the mean is what a picture of
the FFHQ model takes by bench/results. Each process has a speed of its own (within 20 %), some die.
"""
import csv
import glob
import heapq
import json
import os
import random
import statistics
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BLOCKS = os.path.join(ROOT, "bench", "cluster", "blocks.csv")
PAGE = os.path.join(ROOT, "docs", "CLUSTER.md")
PICTURES, LEASE, BATCH = 50000, 300.0, 4
RANKS = (1, 10, 100, 1000, 3000, 10000)
# work.c: choose_even and largest_share, BLOCKS_A_RANK and MOST of choose_block, POLLS_A_LEASE, first_poll, poll_a_block
BLOCKS_A_RANK, MOST_BLOCK, POLLS_A_LEASE, FIRST_POLL, POLL_A_BLOCK = 8, 64, 20, 0.05, 1e-4
# Calls that reach the file server: of a claim (touch, stat, link, access), of a block's end (create,
# write, flush, rename, access), of a picture (the same, and an access), of a look into claims/ and
# done/ (open, close, and a readdir for every 500 names: 32 kB of Linux' getdents64 hold 1000).
CLAIM_CALLS, DONE_CALLS, PICTURE_CALLS, NAMES_A_CALL = 4, 5, 6, 500


def measure(folder):
    rows = []
    for path in sorted(glob.glob(os.path.join(folder, ".ldm-run", "done", "[0-9]*"))):
        with open(path) as f:
            record = json.load(f)
        if record["pictures"]:
            rows.append((record["block"], record["pictures"], record["seconds"] / record["pictures"]))
    if len(rows) < 20:
        sys.exit(f"{folder}: {len(rows)} blocks that were made here; 20 or more are needed")
    os.makedirs(os.path.dirname(BLOCKS), exist_ok=True)
    with open(BLOCKS, "w") as f:
        f.write("block,pictures,seconds_a_picture\n")
        for block, pictures, seconds in rows:
            f.write(f"{block},{pictures},{seconds:.4f}\n")
    print(f"{len(rows)} blocks in {os.path.relpath(BLOCKS)}")


def spread():
    with open(BLOCKS) as f:
        times = [float(row["seconds_a_picture"]) for row in csv.DictReader(f)]
    mean = statistics.mean(times)
    return [t / mean for t in times]


def largest_share(ranks, block):
    blocks = -(-PICTURES // block)
    share = -(-blocks // ranks) * block
    return share if (blocks - 1) % ranks else share - (blocks * block - PICTURES)


def choose_block(ranks):
    if ranks > 1 and PICTURES < 2 * ranks * BATCH:
        return min(range(max(PICTURES // ranks, 1), 0, -1), key=lambda block: largest_share(ranks, block))
    block = min(PICTURES // (ranks * BLOCKS_A_RANK), MOST_BLOCK)
    return block // BATCH * BATCH if block > BATCH else BATCH


class Free:
    """Blocks that nobody has begun; the next one from a place on, going round."""

    def __init__(self, n):
        self.n, self.left = n, n
        self.next = list(range(n + 1))

    def find(self, i):
        path = []
        while self.next[i] != i:
            path.append(i)
            i = self.next[i]
        for k in path:
            self.next[k] = i
        return i

    def take(self, block):
        if self.next[block] != block:
            return False
        self.next[block] = block + 1
        self.left -= 1
        return True

    def from_place(self, start):
        block = self.find(start)
        if block == self.n:
            block = self.find(0)
        return block


def simulate(ranks, seconds, deaths, factors):
    """deaths: the share of the processes that die, at a random moment of the run."""
    rng = random.Random(ranks)
    block = choose_block(ranks)
    blocks = -(-PICTURES // block)
    speed = [rng.uniform(0.8, 1.2) for _ in range(ranks)]
    ideal = PICTURES * seconds / sum(speed)
    dies = [rng.uniform(0, ideal) if rng.random() < deaths else float("inf") for _ in range(ranks)]
    if min(d == float("inf") for d in dies) and ranks > 1:
        dies[0] = float("inf")  # one is left at least
    free, own, holder, done = Free(blocks), list(range(ranks)), {}, 0
    calls, claims = {}, {}
    poll = [0.0] * ranks
    abandoned = []  # (when its lease ends, block)
    idle_from, lost, now = None, 0.0, 0.0
    events = [(rng.uniform(0, 30), r, None) for r in range(ranks)]  # they do not start together
    heapq.heapify(events)

    def count(table, at, n):
        table[int(at)] = table.get(int(at), 0) + n

    while events and done < blocks:
        now, r, made = heapq.heappop(events)
        if made is not None:
            if now >= dies[r]:  # it died in the middle
                continue
            done += 1
            del holder[made]
            count(calls, now, DONE_CALLS + PICTURE_CALLS * block)
            if done == blocks:
                break
        if now >= dies[r]:
            continue
        taken = None
        while own[r] < blocks and taken is None:
            if free.take(own[r]):
                taken = own[r]
            count(calls, now, CLAIM_CALLS)
            own[r] += ranks
        if taken is None:
            count(calls, now, 2 * (blocks // NAMES_A_CALL + 3))
            if free.left:
                taken = free.from_place(blocks * r // ranks)
                free.take(taken)
            elif abandoned and abandoned[0][0] <= now:
                taken = heapq.heappop(abandoned)[1]
            count(calls, now, CLAIM_CALLS)
        if taken is None:
            idle_from = now if idle_from is None else idle_from
            poll[r] = min(2 * poll[r] or FIRST_POLL + POLL_A_BLOCK * blocks, LEASE / POLLS_A_LEASE)
            heapq.heappush(events, (now + poll[r], r, None))
            continue
        poll[r] = 0.0
        holder[taken] = r
        count(claims, now, 1)
        pictures = min(block, PICTURES - taken * block)
        end = now + pictures * seconds * rng.choice(factors) / speed[r]
        if end >= dies[r]:
            heapq.heappush(abandoned, (dies[r] + LEASE, taken))
            lost += dies[r] - now
        heapq.heappush(events, (end, r, taken))
    return {"ranks": ranks, "block": block, "ideal": ideal, "took": now, "lost": lost,
            "tail": now - idle_from if idle_from is not None else 0.0, "done": done, "blocks": blocks,
            "dead": sum(d < now for d in dies),
            "claims": max(claims.values()), "calls": max(calls.values()),
            "mean_calls": sum(calls.values()) / now}


def duration(s):
    if s < 120:
        return f"{s:.0f} s"
    if s < 7200:
        return f"{s / 60:.0f} min"
    if s < 172800:
        return f"{s / 3600:.1f} h"
    return f"{s / 86400:.1f} days"


def machines():
    """Seconds of a 256 x 256 face of 50 steps, by processor, from bench/results."""
    found = []
    for path in sorted(glob.glob(os.path.join(ROOT, "bench", "results", "*.csv"))):
        if path.endswith("-rounds.csv"):
            continue
        head, value = {}, {}
        with open(path) as f:
            for line in f:
                if line.startswith("# "):
                    key, _, text = line[2:].strip().partition(": ")
                    head[key] = text
                else:
                    cell = line.strip().split(",")
                    if cell[1] == "ldm" and cell[2] in ("eps", "decode"):
                        value[cell[0], cell[2]] = float(cell[3])
        if not head["config"].startswith("ffhq"):
            continue  # other models have results there, too
        for isa in ("avx512", "avx2"):
            if (isa, "eps") in value and (isa, "decode") in value:
                found.append((head["cpu"], int(head["threads"]), isa,
                              50 * value[isa, "eps"] + value[isa, "decode"]))
    return found


def cost_table():
    lines = ["| processor, threads | a picture | 50,000 on one process | on 16 | on 100 | on 1000 |",
             "|---|---|---|---|---|---|"]
    for cpu, threads, isa, seconds in machines():
        row = [duration(PICTURES * seconds / n) for n in (1, 16, 100, 1000)]
        lines.append(f"| {cpu}, {threads}, {isa} | {seconds:.0f} s | " + " | ".join(row) + " |")
    return lines


def sim_table():
    factors = spread()
    seconds = min(m[3] for m in machines())
    lines = [f"Block times: {len(factors)} measured ones (bench/cluster/blocks.csv), from "
             f"{min(factors):.2f} to {max(factors):.2f} of their mean; the mean is {seconds:.0f} s a picture "
             "(the fastest row above).", "",
             "| processes | die | pictures a block | without any loss | takes | tail | work lost | most claims in a "
             "second | file calls a second, mean | most |", "|" + "---|" * 10]
    for ranks in RANKS:
        for deaths in (0, 0.01, 0.1):
            if deaths and ranks * deaths < 1:
                continue
            r = simulate(ranks, seconds, deaths, factors)
            assert r["done"] == r["blocks"], "blocks were lost"
            lines.append(f"| {ranks:,} | {r['dead']:,} | {r['block']} | {duration(r['ideal'])} | "
                         f"{duration(r['took'])} | {duration(r['tail'])} | "
                         f"{100 * r['lost'] / (PICTURES * seconds):.2f} % | {r['claims']} | "
                         f"{r['mean_calls']:.0f} | {r['calls']} |")
    return lines


def splice(text, name, lines):
    begin, end = f"<!-- {name}: written by tools/cluster_sim.py -->\n", f"<!-- /{name} -->\n"
    head, tail = text.index(begin) + len(begin), text.index(end)
    return text[:head] + "\n".join(lines) + "\n" + text[tail:]


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--measure":
        return measure(sys.argv[2])
    if len(sys.argv) != 2 or sys.argv[1] not in ("--write", "--check"):
        sys.exit(__doc__)
    with open(PAGE) as f:
        old = f.read()
    new = splice(splice(old, "cost", cost_table()), "simulation", sim_table())
    if sys.argv[1] == "--write":
        with open(PAGE, "w") as f:
            f.write(new)
    elif new != old:
        sys.exit("docs/CLUSTER.md: the tables are old; run tools/cluster_sim.py --write")


main()
