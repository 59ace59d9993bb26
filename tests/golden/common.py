"""What the scripts here share: the GGUF's metadata, rounding, and JSON with a stable layout."""

import hashlib
import json
import math


def sha256_of(path):
    """The sha256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rounded(value, digits=7):
    """`value` with every float in it at `digits` significant digits (about what an f32 holds)."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a reference number is not finite")
        return float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item, digits) for item in value]
    return value


def dumps(value, indent=0):
    """JSON in the order of the keys as given, lists of plain values on one line: short, and readable as a diff."""
    pad, inner = " " * indent, " " * (indent + 1)
    is_leaf = not isinstance(value, (dict, list)) or not value
    if is_leaf or (isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        rows = [f"{inner}{json.dumps(key)}: {dumps(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{pad}}}"
    return "[\n" + ",\n".join(inner + dumps(item, indent + 1) for item in value) + f"\n{pad}]"


def write_json(path, value):
    """Writes `value` as `dumps` lays it out, with one newline at the end."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(dumps(value) + "\n")


def differences(old, new, relative, path=""):
    """Where two documents differ, as lines of text; numbers may differ by `relative` of the larger (or of 0.1)."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            if key not in old or key not in new:
                yield f"{path}.{key}: only in the {'new' if key in new else 'old'} document"
            else:
                yield from differences(old[key], new[key], relative, f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (left, right) in enumerate(zip(old, new)):
            yield from differences(left, right, relative, f"{path}[{index}]")
    elif isinstance(old, float) or isinstance(new, float):
        if abs(old - new) > relative * max(abs(old), abs(new), 0.1):
            yield f"{path}: {old} -> {new}"
    elif old != new:
        yield f"{path}: {old!r} -> {new!r}"


def write_or_compare(path, document, check, relative):
    """Writes `document`; or, to `check`, says where it differs from what is there, and fails where it does."""
    if not check:
        return write_json(path, document)
    with open(path, encoding="utf-8") as file:
        wrong = list(differences(json.load(file), document, relative))
    print("\n".join(wrong) or "nothing differs")
    raise SystemExit(bool(wrong))
