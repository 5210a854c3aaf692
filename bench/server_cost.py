#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What watching a job costs: CPU seconds of the same job, on the command line and on the server, where a
client reads its events, with previews and without. Rounds are interleaved, so that other work on the machine
meets all of them alike; the median of the rounds' ratios is printed.

    bench/server_cost.py [--rounds 9] [--steps 400] [--count 4] [--ldm build/ldm] [options of the model ...]
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")


def request(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"}))


class Server:
    def __init__(self, program, options, folder):
        self.process = subprocess.Popen([program, "--port", "0", "--out", folder, *options], stdout=subprocess.PIPE,
                                        text=True)
        for line in self.process.stdout:
            if line.startswith("listening on"): # the model is open
                self.url = line.split()[-1].rstrip("/")
                return
        sys.exit("the server did not start")

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def job(self, settings, preview):
        """CPU seconds of a job that is watched. Previews are of the kind that the page asks for."""
        before = self.cpu()
        job = json.load(request(self.url + "/api/v1/jobs", {"settings": settings, "preview": preview}))
        with request(f"{self.url}{job['events']}?preview={int(preview)}") as events:
            if b"\nevent: done\n" not in b"\n" + events.read():
                sys.exit("the job was not done")
        return self.cpu() - before


def command(program, options, settings, folder):
    """CPU seconds of `ldm generate`, which opens the model each time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, "generate", "--quiet", *options, "--steps", str(settings["steps"]), "--seed",
                    str(settings["seed"]), "-n", str(settings["count"]), "-o", folder], check=True,
                   stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--ldm", default="build/ldm")
    a, options = parser.parse_known_args()
    settings = {"steps": a.steps, "count": a.count, "seed": 7}
    short = {"steps": 1, "count": 1, "seed": 7}
    ratios = {"events": [], "events and previews": []}
    with tempfile.TemporaryDirectory() as folder:
        server = Server(a.ldm + "-server", options, folder + "/server")
        try:
            for i in range(a.rounds):
                kinds = [("events", False), ("events and previews", True)]
                seconds = {}
                for name, preview in kinds if i % 2 else kinds[::-1]:
                    seconds[name] = server.job(settings, preview) - server.job(short, False)
                alone = (command(a.ldm, options, settings, f"{folder}/a{i}") -
                         command(a.ldm, options, short, f"{folder}/b{i}"))
                for name, used in seconds.items():
                    ratios[name].append(used / alone)
                print(f"round {i + 1}: ldm generate {alone:.2f} s, "
                      + ", ".join(f"{n} {s:.2f} s" for n, s in seconds.items()), flush=True)
        finally:
            server.process.terminate()
            server.process.wait()
    for name, all_of in ratios.items():
        q = sorted(all_of)
        print(f"{name}: {100 * (statistics.median(q) - 1):+.2f} % of CPU time "
              f"(median of {len(q)} rounds; from {100 * (q[0] - 1):+.2f} to {100 * (q[-1] - 1):+.2f} %)")


if __name__ == "__main__":
    main()
