#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs that a job is watched: how much processor time a server uses beside its network, while one client
reads a job's events. The server says it itself (/metrics): the time of the thread that answers, and the time in the
function that the library calls at each step, previews included. Both are clocks of one thread each, so that other
work on the machine, which makes whole jobs take a third more or less, hardly changes them.

The library's own part in previews (a decoding, once for each model and size, and a map at each step) has no clock.
It is the difference of the least processor time of many short jobs, made in turn with previews and without.

    bench/server_cost.py [--jobs 5] [--steps 50] [--pairs 60] [--write docs/SERVER.md] [options of ldm serve ...]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import urllib.request

MARKS = "<!-- cost -->", "<!-- /cost -->"


def request(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"}))


class Server:
    def __init__(self, program, options, folder):
        self.process = subprocess.Popen([program, "--port", "0", "--metrics", "--threads", "1", "--out", folder, *options],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()  # when the model is open
        if not line.startswith("listening on"):
            sys.exit("the server did not start")
        self.url = line.split()[-1].rstrip("/")

    def used(self):
        """Processor seconds so far: of all threads, for answers, for progress."""
        values = {}
        for line in request(self.url + "/metrics").read().decode().splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return (values["process_cpu_seconds_total"], values['ldm_overhead_cpu_seconds_total{of="answers"}'],
                values['ldm_overhead_cpu_seconds_total{of="progress"}'])

    def job(self, settings, preview):
        """What a job that is watched uses of each; answers: from the moment that the job is taken."""
        before = self.used()
        job = json.load(request(self.url + "/api/v1/jobs", {"settings": settings, "preview": preview}))
        taken = self.used()
        with request(f"{self.url}{job['events']}?preview={int(preview)}") as events:
            if b"\nevent: done\n" not in b"\n" + events.read():
                sys.exit("the job was not done")
        after = self.used()
        return after[0] - before[0], after[1] - taken[1], after[2] - before[2]


def measure_kind(server, a, preview):
    rows = [server.job({"steps": a.steps, "count": 1, "seed": 7}, preview) for _ in range(a.jobs)]
    total, answers, progress = (statistics.median(column) for column in zip(*rows))
    network = total - answers - progress
    return {"network": network, "answers": answers / network, "progress": progress / network}


def library_previews(server, a):
    """Seconds that a job of one step takes longer where the library makes previews: the first such job, the others."""
    short = {"steps": 1, "count": 1, "seed": 7}

    def network(preview):
        total, answers, progress = server.job(short, preview)
        return total - answers - progress

    bare = min(network(False) for _ in range(8))
    first = network(True)
    pairs = [(network(False), network(True)) for _ in range(a.pairs)]
    least = [min(column) for column in zip(*pairs)]
    return max(0, first - min(bare, least[0])), max(0, least[1] - least[0])


def table(a, rows, first, each, width, height):
    def row(name, r, more):
        whole = r["answers"] + r["progress"] + more / r["network"]
        return (f"| {name} | {100 * r['answers']:.2f} % | {100 * r['progress']:.2f} % | "
                f"{100 * more / r['network']:.2f} % | {100 * whole:.2f} % |")

    return [f"A picture of {width} x {height} pixels in {a.steps} steps of the default model takes "
            f"{rows[0]['network']:.2f} s of one processor. One client that reads its events costs, in parts of that "
            f"(median of {a.jobs} jobs, `bench/server_cost.py`):", "",
            "| events | answers | at each step | in the library | all |", "|---|---|---|---|---|",
            row("without previews", rows[0], 0),
            row("with the page's previews", rows[1], each), "",
            f"The first job with previews of a model and size takes {1000 * first:.0f} ms more, for a decoding."]


def write(path, lines):
    text = pathlib.Path(path).read_text()
    begin, end = (text.index(m + "\n") for m in MARKS)
    new = text[:begin] + MARKS[0] + "\n" + "\n".join(lines) + "\n" + text[end:]
    part = path + ".part"
    pathlib.Path(part).write_text(new)
    os.replace(part, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("--server", default="build/ldm-server")
    a, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(a.server, options, folder)
        try:
            first, each = library_previews(server, a)
            rows = [measure_kind(server, a, preview) for preview in (False, True)]
            model = json.load(request(server.url + "/api/v1/model"))
        finally:
            server.process.terminate()
            server.process.wait()
    lines = table(a, rows, first, each, model["width"], model["height"])
    print("\n".join(lines))
    if a.write:
        write(a.write, lines)


if __name__ == "__main__":
    main()
