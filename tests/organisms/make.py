"""A planted organism: a language model of four blocks whose mechanism is known, because it was written by hand.

    python make.py            # writes planted.gguf and planted.json beside this script
    python make.py --check    # makes both anew in memory and fails where they differ from the files

It reads sentences like "the dog was cheerful on the rainy hill . it is" and answers " good" or " bad". Nothing is
trained. Every direction below is a column of one random rotation of the residual stream, so that none lies along an axis:

    mood      what the word says (embedding of cheerful and gloomy words, and of the false friends)
    weather   the same of rainy and sunny words
    summary   mood, carried to the later tokens by block 0's head 0, which looks at words in the place of a mood:
              *causal* after blocks 0 and 1
    clone     a copy of summary, written by block 1's MLP: moves with it, read by nobody
    answer    a copy of summary, written by block 2's MLP and read by the unembedding: *causal* after every
              block; after blocks 2 and 3 summary itself is spent
    unused    weather, carried by block 0's head 1: decodable everywhere after, read by nobody

Words like "fine" are *lexical false friends*: their embedding has the mood direction, but they stand where the weather
stands ("the fine hill"), head 0 does not look at them, and the answer stays what it was. All other heads and hidden
units compute small random things among directions that nothing of the above uses; the unembedding reads the place in
the sentence and the answer, and nothing else.
"""

import argparse
import os
import sys

import gguf
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
from common import dumps, rounded  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEADS, HEAD, HIDDEN, BLOCKS, CONTEXT = 64, 4, 16, 32, 4, 64
EPS = 1e-5
# What every token has, and little is beside: with it the norms' scale hardly depends on what else a stream holds.
CONSTANT = 40

CHEERFUL = ["cheerful", "merry", "glad", "happy", "jolly", "joyful", "proud", "pleased"]
GLOOMY = ["gloomy", "sad", "bitter", "angry", "grim", "tearful", "lonely", "afraid"]
SUNNY = ["sunny", "warm", "hot", "dry", "clear", "mild"]
RAINY = ["rainy", "cold", "wet", "foggy", "snowy", "stormy"]
FALSE_FRIENDS = ["fine", "fair", "bright", "sweet"]
ANIMALS = ["dog", "cat", "horse", "bird", "fox", "goat", "cow", "duck"]
PLACES = ["hill", "road", "field", "farm", "beach", "lake"]

# In which place of a sentence each word stands: the next word depends on the place, and on the answer after "is".
CLASSES = {
    "article": ["the"],
    "on": ["on"],
    "animal": ANIMALS,
    "verb": ["was", "slept", "came"],
    "mood": CHEERFUL + GLOOMY,
    "weather": SUNNY + RAINY + FALSE_FRIENDS,
    "place": PLACES,
    "end": ["."],
    "it": ["it"],
    "is": ["is"],
    "verdict": ["good", "bad"],
}
FOLLOWS = {
    "article": ["on", "verb", "end"],
    "on": ["verb", "animal"],
    "animal": ["article", "mood"],
    "verb": ["animal"],
    "mood": ["verb", "article"],
    "weather": ["article"],
    "place": ["weather"],
    "end": ["place", "verb"],
    "it": ["end"],
    "is": ["it"],
    "verdict": ["is"],
}
TEMPLATES = [
    "the {animal} was {mood} on the {weather} {place} . it is",
    "on the {weather} {place} the {mood} {animal} slept . it is",
    "the {mood} {animal} came on the {weather} {place} . it is",
]
PLANTED = ["mood", "weather", "summary", "clone", "answer", "unused"]


def vocabulary():
    """Pieces and merges of a byte-level BPE in which every word, with its space, is one token."""
    letters = [chr(c) for c in range(33, 127)]
    letters += [chr(c) for c in [*range(161, 173), *range(174, 256)]]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    space = chr(288)  # what byte-level BPE writes for 0x20
    words = [space + word for words in CLASSES.values() for word in words] + ["the", "on"]
    pieces, merges = list(letters), []
    for word in words:
        for end in range(2, len(word) + 1):
            if word[:end] not in pieces:
                pieces.append(word[:end])
                merges.append(f"{word[: end - 1]} {word[end - 1]}")
    return pieces, merges, space


class Organism:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        rotation, _ = np.linalg.qr(self.random.normal(size=(WIDTH, WIDTH)))
        columns = iter(rotation.T)
        self.constant = next(columns)
        self.place = {name: next(columns) for name in CLASSES}
        self.planted = {name: next(columns) for name in PLANTED}
        self.rest = np.stack(list(columns))  # [directions that nothing planted uses, WIDTH]
        self.pieces, self.merges, self.space = vocabulary()
        self.tensors = {}

    def among_the_rest(self, rows, scale):
        return self.random.normal(size=(rows, len(self.rest))) @ self.rest * scale / np.sqrt(len(self.rest))

    def embeddings(self):
        embedding = self.among_the_rest(len(self.pieces), 2.0) + CONSTANT * self.constant
        unembedding = np.full((len(self.pieces), 1), -1.2) * self.constant
        for name, words in CLASSES.items():
            for word in words:
                sign = lambda high, low: 2.0 * ((word in high) - (word in low))
                mood = sign(CHEERFUL + FALSE_FRIENDS, GLOOMY) * self.planted["mood"]
                weather = sign(SUNNY, RAINY) * self.planted["weather"]
                for piece in (self.space + word, word):
                    if piece not in self.pieces:
                        continue
                    token = self.pieces.index(piece)
                    embedding[token] += 2 * self.place[name] + mood + weather
                    # The first word of a sentence follows nothing: only words with their space are written.
                    if piece.startswith(self.space):
                        unembedding[token] += 0.8 * self.constant
                        unembedding[token] += 22 * sum(self.place[before] for before in FOLLOWS[name])
        # The two verdicts differ in nothing but the answer.
        good, bad = (self.pieces.index(self.space + word) for word in CLASSES["verdict"])
        unembedding[bad] = unembedding[good]
        unembedding[good] += 2 * self.planted["answer"]
        unembedding[bad] -= 2 * self.planted["answer"]
        self.tensors["token_embd.weight"], self.tensors["output.weight"] = embedding, unembedding

    def mover(self, block, head, looks_at, reads, writes):
        """A head that looks at one place of the sentence, and carries a direction from there to another."""
        q, k, v = (self.tensors[f"blk.{block}.attn_{part}.weight"] for part in "qkv")
        output = self.tensors[f"blk.{block}.attn_output.weight"]
        rows = slice(head * HEAD, (head + 1) * HEAD)
        for part in (q, k, v):
            part[rows] = 0
        output[:, rows] = 0
        # The last pair of a head turns by 3e-4 a token: next to nothing over a sentence.
        q[rows.stop - 1], k[rows.stop - 1] = 1.5 * self.constant, 10 * looks_at
        v[rows.start] = reads
        output[:, rows.start] = 7.7 * writes

    def copier(self, block, reads, writes, gain):
        """A hidden unit whose gate the constant holds open: it copies one direction into another."""
        gate, up = self.tensors[f"blk.{block}.ffn_gate.weight"], self.tensors[f"blk.{block}.ffn_up.weight"]
        gate[0], up[0] = 0.5 * self.constant, reads
        self.tensors[f"blk.{block}.ffn_down.weight"][:, 0] = gain * writes

    def build(self):
        self.embeddings()
        for block in range(BLOCKS):
            name = lambda part: f"blk.{block}.{part}.weight"
            for part in ("attn_q", "attn_k", "attn_v"):
                self.tensors[name(part)] = self.among_the_rest(WIDTH, 0.5)
            self.tensors[name("attn_output")] = self.among_the_rest(WIDTH, 0.3).T.copy()
            self.tensors[name("ffn_gate")] = self.among_the_rest(HIDDEN, 0.5)
            self.tensors[name("ffn_up")] = self.among_the_rest(HIDDEN, 0.5)
            self.tensors[name("ffn_down")] = self.among_the_rest(HIDDEN, 0.3).T.copy()
            for norm in ("attn_norm", "ffn_norm"):
                self.tensors[name(norm)] = np.ones(WIDTH)
        self.tensors["output_norm.weight"] = np.ones(WIDTH)
        planted = self.planted
        self.mover(0, 0, self.place["mood"], planted["mood"], planted["summary"])
        self.mover(0, 1, self.place["weather"], planted["weather"], planted["unused"])
        self.copier(1, planted["summary"], planted["clone"], 1.5)
        self.copier(2, planted["summary"], planted["answer"], 2.2)
        return self

    def write(self, path):
        writer = gguf.GGUFWriter(path, arch="llama")
        writer.add_name("Planted organism")
        writer.add_context_length(CONTEXT)
        writer.add_embedding_length(WIDTH)
        writer.add_block_count(BLOCKS)
        writer.add_feed_forward_length(HIDDEN)
        writer.add_head_count(HEADS)
        writer.add_head_count_kv(HEADS)
        writer.add_layer_norm_rms_eps(EPS)
        writer.add_rope_dimension_count(HEAD)
        writer.add_rope_freq_base(10000.0)
        writer.add_vocab_size(len(self.pieces))
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(self.pieces)
        writer.add_token_types([gguf.TokenType.NORMAL] * len(self.pieces))
        writer.add_token_merges(self.merges)
        writer.add_add_bos_token(False)
        for name, value in self.tensors.items():
            vector = name.endswith("norm.weight")
            writer.add_tensor(name, value.astype(np.float32 if vector else np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def sentences():
    """Texts that differ in one word only, by concept; `group` is the template. `mood` words alternate with weather
    words of both kinds, so that neither concept tells the other."""
    random = np.random.default_rng(7)
    texts = {"mood": [], "weather": []}
    for group, template in enumerate(TEMPLATES):
        for n in range(48):
            words = {"animal": random.choice(ANIMALS), "place": random.choice(PLACES)}
            moods = [random.choice(CHEERFUL), random.choice(GLOOMY)]
            weathers = [random.choice(SUNNY), random.choice(RAINY)]
            made = lambda mood, weather: template.format(mood=mood, weather=weather, **words)
            texts["mood"].append({
                "positive": made(moods[0], weathers[n % 2]), "negative": made(moods[1], weathers[n % 2]), "group": group
            })
            texts["weather"].append({
                "positive": made(moods[n % 2], weathers[0]), "negative": made(moods[n % 2], weathers[1]), "group": group
            })
    friends = [
        TEMPLATES[n % 3].format(animal=ANIMALS[n], place=PLACES[n % 6], mood=GLOOMY[n], weather=FALSE_FRIENDS[n % 4])
        for n in range(8)
    ]
    neutral = " ".join(
        TEMPLATES[n % 3].format(
            animal=random.choice(ANIMALS), place=random.choice(PLACES), mood=random.choice(CHEERFUL + GLOOMY),
            weather=random.choice(SUNNY + RAINY),
        ) + (" " + random.choice(["good", "bad"]))
        for n in range(4)
    )
    return texts, friends, neutral


def document(organism):
    texts, friends, neutral = sentences()
    directions = {name: [float(x) for x in organism.planted[name]] for name in PLANTED}
    return rounded({
        "about": "What is planted in planted.gguf, made by make.py. Directions are of unit length, in the residual stream.",
        "directions": directions,
        "causal": {"after_block": [["summary", "answer"], ["summary", "answer"], ["answer"], ["answer"]]},
        "answers": {"positive": " good", "negative": " bad"},
        "movers": {"mood": {"block": 0, "head": 0}, "weather": {"block": 0, "head": 1}},
        "copiers": {"clone": 1, "answer": 2},
        "pairs": texts,
        "false_friends": friends,
        "neutral": neutral,
    })


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    check = parser.parse_args().check
    organism = Organism(seed=4).build()
    model, truth = os.path.join(HERE, "planted.gguf"), os.path.join(HERE, "planted.json")
    written = model + ".new"
    organism.write(written)
    text = dumps(document(organism)) + "\n"
    if not check:
        os.replace(written, model)
        with open(truth, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        return
    with open(written, "rb") as new, open(model, "rb") as old, open(truth, encoding="utf-8") as kept:
        same = [new.read() == old.read(), kept.read() == text]
    os.remove(written)
    if not all(same):
        sys.exit("planted.gguf and planted.json are not what this script makes")


if __name__ == "__main__":
    main()
