"""Puts what `tiller sae card --json` found, and the files' checksums, into a card.

    tiller sae card .. --json > found.json
    python3 saes/card.py found.json FOLDER

FOLDER holds `card.json` and the files that it names; what a card says of texts, training and labels stays.
"""

import argparse
import hashlib
import json
import pathlib


def rounded(value):
    """Floats at six decimals."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("found", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    found = rounded(json.loads(arguments.found.read_text()))
    path = arguments.folder / "card.json"
    card = json.loads(path.read_text())
    card["loss"] = {
        "tokens": found["tokens"],
        "texts": found["texts"],
        "cross_entropy": found["loss"],
        "sae": found["sae"],
        "principal_components": {"number": max(1, round(found["l0"])), **found["components"]},
        "random_directions": found["random"],
    }
    judged = {key: found[key] for key in ("lengths", "pursuit", "dark_matter", "steadiness")}
    card = {key: value for key, value in card.items() if key not in judged}
    after = list(card).index("loss") + 1
    card = dict(list(card.items())[:after] + list(judged.items()) + list(card.items())[after:])
    for name, file in card["files"].items():
        file["sha256"] = hashlib.sha256((arguments.folder / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
