#!/usr/bin/env python3
"""Packs the corpus of a fuzz target into one text file, and unpacks it for libFuzzer.

    fuzz/corpus.py unpack [--seeds] FILE FOLDER    writes each entry of FILE to FOLDER/NAME
    fuzz/corpus.py pack FILE FOLDER                replaces FILE with the files of FOLDER

A packed corpus holds entries, sorted by name. An entry is a line `= NAME` and the lines of the input, each with `|` in
front of it. The lines are joined by a line feed, so an empty input is the single line `|`. A backslash, and every byte
that is not printable ASCII, is written as `\\xNN`. `fuzz/oracles/replay.rs` reads the same format.

`pack` names new inputs by the first 12 hexadecimal digits of their SHA-1. All other names belong to seeds, which were
written by hand: `--seeds` unpacks only these.
"""

import hashlib
import re
import sys
from pathlib import Path


def escape(line):
    return "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in line)


def unescape(text):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode("ascii"))


def read(file):
    entries = {}
    for number, line in enumerate(file.read_text("ascii").split("\n")[:-1], 1):
        if line.startswith("= "):
            lines = entries[line[2:]] = []
        elif line.startswith("|") and entries:
            lines.append(unescape(line[1:]))
        else:
            sys.exit(f"{file}:{number}: neither the name of an entry nor a line of an input")
    return {name: b"\n".join(lines) for name, lines in entries.items()}


def unpack(file, folder, seeds_only):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in read(file).items():
        if not (seeds_only and re.fullmatch("[0-9a-f]{12}", name)):
            (folder / name).write_bytes(data)


def pack(file, folder):
    names = {data: name for name, data in read(file).items()} if file.exists() else {}
    entries = {}
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        # libFuzzer names its output by content: an input that is already packed keeps its name.
        short = hashlib.sha1(data).hexdigest()[:12]
        given = short if re.fullmatch("[0-9a-f]{40}", path.name) else path.name
        entries[names.get(data, given)] = data
    text = "".join(
        f"= {name}\n" + "".join(f"|{escape(line)}\n" for line in data.split(b"\n"))
        for name, data in sorted(entries.items())
    )
    file.write_text(text, "ascii")


def main():
    match sys.argv[1:]:
        case ["unpack", "--seeds", file, folder]:
            unpack(Path(file), Path(folder), seeds_only=True)
        case ["unpack", file, folder]:
            unpack(Path(file), Path(folder), seeds_only=False)
        case ["pack", file, folder]:
            pack(Path(file), Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
