# SPDX-License-Identifier: MIT
"""Sentences from the facts of a portrait, by the rules of grammar.txt, and the text model's WordPiece vocabulary.

The grammar file says how it is read. The vocabulary is BERT's kind: special tokens, characters, their ##pieces, the words
of the grammar and pieces of common endings; tokenised as bert-base-uncased does it, [CLS] ids [SEP], padded with 0.

    python captions.py vocab models/portrait/vocab.txt       # writes the vocabulary of the grammar
    python captions.py random --count 20 --seed 1            # captions of portraits drawn from the grammar's shares
    python captions.py facts FILE.facts.json --count 20      # captions of rendered portraits
"""
from __future__ import annotations

import argparse
import json
import random
import re
import unicodedata
from pathlib import Path

GRAMMAR = Path("models/portrait/grammar.txt")
LENGTH = 77
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
DENIALS = ("no beard", "without a beard", "clean - shaven", "no glasses", "without glasses")
ENDINGS = ["s", "es", "ed", "er", "est", "ing", "ly", "y", "ish", "like", "ness", "less", "ful", "en", "ion", "al", "ic"]


class Way:
    """One line of the grammar: share, conditions, topic, text in parts."""

    FACT = re.compile(r"\s+(?P<share>[0-9.]+) (?P<text>\w+)(?: \[(?P<cond>[^\]]*)\])?")
    RULE = re.compile(r"\s+(?P<share>[0-9.]+)(?: \[(?P<cond>[^\]]*)\])?(?: @(?P<topic>\w+))?(?: (?P<text>[^\[@].*))?")

    def __init__(self, line: str, form: re.Pattern):
        m = form.fullmatch(line)
        if not m:
            raise SystemExit(f"grammar: cannot read {line!r}")
        self.share = float(m["share"])
        self.conditions = [self.condition(c) for c in (m["cond"] or "").split()]
        self.topic = m["topic"] if form is Way.RULE else None
        self.text = (m["text"] or "").strip()
        self.parts = re.findall(r"\{[^}]*\}|[^{]+", self.text)

    @staticmethod
    def condition(c: str) -> tuple[str, bool, frozenset]:
        key, not_, values = re.fullmatch(r"(\w+)(!?)=([\w|]+)", c).groups()
        return key, not not_, frozenset(values.split("|"))

    def holds(self, facts: dict) -> bool:
        return all((facts[k] in values) == want for k, want, values in self.conditions)


class Grammar:
    def __init__(self, path: Path = GRAMMAR):
        self.facts: dict[str, list[Way]] = {}
        self.rules: dict[str, list[Way]] = {}
        ways: list[Way] = []
        kind = ""
        for line in path.read_text().splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            if line[0] != " ":
                kind, name = line.split()
                ways = []
                (self.facts if kind == "fact" else self.rules)[name] = ways
            else:
                ways.append(Way(line, Way.FACT if kind == "fact" else Way.RULE))
        for ways in self.rules.values():
            for part in (p for w in ways for p in w.parts if p[0] == "{"):
                name = part[1:-1].split()
                if (name[1] if len(name) > 1 else name[0]) not in self.rules:
                    raise SystemExit(f"grammar: no rule for {part}")
        self.keys = {name: sorted({k for w in ways for k, _, _ in w.conditions}) for name, ways in self.rules.items()}
        self.held: dict[tuple, list[Way]] = {}             # the lines of a rule that hold, by the facts they ask for

    def holding(self, rule: str, facts: dict) -> list[Way]:
        key = (rule, *(facts[k] for k in self.keys[rule]))
        if key not in self.held:
            self.held[key] = [w for w in self.rules[rule] if w.holds(facts)]
        return self.held[key]

    def deny_more(self, times: float) -> None:
        """Makes captions say `times` as often that there is no beard and that there are no glasses. They are rare in the grammar, as in
        what people write: "no beard" was in one caption of fifty, so the UNet drew beards all the same, and the text encoder read
        "glasses and no beard" as neither."""
        for ways in self.rules.values():
            for way in ways:
                if way.text in DENIALS:
                    way.share *= times

    def draw(self, g: random.Random) -> dict:
        """Facts of a random portrait, by the shares."""
        facts: dict[str, str] = {}
        for name, ways in self.facts.items():
            usable = [w for w in ways if w.holds(facts)]
            facts[name] = pick(usable, g).text
        return facts

    def caption(self, facts: dict, g: random.Random) -> str:
        return finish(self.expand("caption", facts, set(), g))

    def expand(self, rule: str, facts: dict, told: set, g: random.Random) -> str | None:
        """A text of the rule, or None where nothing can be told; `told` gains the topics it tells."""
        usable = [w for w in self.holding(rule, facts) if w.topic is None or w.topic not in told]
        while usable:
            way = pick(usable, g)
            mine = set(told)
            if way.topic:
                mine.add(way.topic)
            text = self.fill(way, facts, mine, g)
            if text is not None:
                told |= mine
                return text
            usable.remove(way)
        return None

    def fill(self, way: Way, facts: dict, told: set, g: random.Random) -> str | None:
        out = []
        for part in way.parts:
            if part[0] != "{":
                out.append(part)
                continue
            words = part[1:-1].split()
            if len(words) == 1:
                made = self.expand(words[0], facts, told, g)
            else:
                made = self.several(*words, facts, told, g)
            if made is None:
                return None
            out.append(made)
        return "".join(out)

    def several(self, join: str, rule: str, low: str, high: str, facts: dict, told: set, g: random.Random) -> str | None:
        made: list[str] = []
        for _ in range(g.randint(int(low), int(high))):
            text = self.expand(rule, facts, told, g)
            if text is None:
                break
            made.append(text)
        if len(made) < int(low):
            return None
        if join == "and" and len(made) > 1:
            return ", ".join(made[:-1]) + " and " + made[-1]
        return (" " if join == "space" else ", ").join(made)


def pick(ways: list[Way], g: random.Random) -> Way:
    """One of the ways by their shares: the first at which the running sum passes a random part of the whole."""
    if len(ways) == 1:
        return ways[0]
    left = g.random() * sum(w.share for w in ways)
    for way in ways:
        left -= way.share
        if left < 0:
            return way
    return ways[-1]


def finish(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([,.])", r"\1", text).replace(" - ", "-")
    return re.sub(r"\ba(?= [aeiou])", "an", text)


# ---------------------------------------------------------------- WordPiece

def vocabulary(grammar: Grammar) -> list[str]:
    """Special tokens, printable ASCII, ##letters and ##digits, ##endings, then the grammar's words in order of the alphabet."""
    chars = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    pieces = ["##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"] + ["##" + e for e in ENDINGS if len(e) > 1]
    words = set()
    for ways in grammar.rules.values():
        for way in ways:
            for part in way.parts:
                if part[0] != "{":
                    words.update(basic(part))
    words.add("an")
    return SPECIAL + chars + pieces + sorted(w for w in words if len(w) > 1)


def basic(text: str) -> list[str]:
    """BERT's basic tokens: lower case, no accents, split at white space and punctuation."""
    text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    return re.findall(r"[^\W_]+|[^\w\s]|_", text)


class Tokenizer:
    def __init__(self, path: Path):
        self.ids = {w: i for i, w in enumerate(path.read_text().split("\n")[:-1])}
        self.known: dict[str, list[int]] = {}

    def word(self, word: str) -> list[int]:
        """Greedy longest pieces; [UNK] where none fits."""
        if word not in self.known:
            out, at = [], 0
            while at < len(word):
                for end in range(len(word), at, -1):
                    piece = ("##" if at else "") + word[at:end]
                    if piece in self.ids:
                        break
                else:
                    out, at = [self.ids["[UNK]"]], len(word)
                    break
                out.append(self.ids[piece])
                at = end
            self.known[word] = out
        return self.known[word]

    def __call__(self, text: str) -> list[int]:
        """LENGTH ids."""
        ids = [i for w in basic(text) for i in self.word(w)][:LENGTH - 2]
        ids = [self.ids["[CLS]"], *ids, self.ids["[SEP]"]]
        return ids + [0] * (LENGTH - len(ids))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["vocab", "random", "facts"])
    ap.add_argument("file", type=Path, nargs="?")
    ap.add_argument("--grammar", type=Path, default=GRAMMAR)
    ap.add_argument("--count", type=int, default=20)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    grammar = Grammar(a.grammar)
    if a.what == "vocab":
        words = vocabulary(grammar)
        a.file.write_text("\n".join(words) + "\n")
        print(f"{a.file}: {len(words)} pieces")
        return
    g = random.Random(a.seed)
    told = json.loads(a.file.read_text()) if a.what == "facts" else [grammar.draw(g) for _ in range(a.count)]
    for facts in told[:a.count]:
        print(grammar.caption(facts, g))


if __name__ == "__main__":
    main()
