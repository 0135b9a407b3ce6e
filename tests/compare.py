"""What differs between two builds of the site, page by page: `python -m tests.compare BEFORE AFTER`.

For moves that should change nothing that a reader sees: build before, build after, read what this says. HTML is
compared tag by tag, JSON by what it holds, everything else byte by byte. Compressed files are passed by: they hold
what stands beside them, and the time.
"""

import difflib
import json
import re
import sys
from pathlib import Path

import nbformat

SHOWN = 8  # lines of difference shown for each file


def content(file: Path) -> list[str]:
    """Return the content of a file as comparable lines."""
    data = file.read_bytes()
    match file.suffix:
        case ".html":
            return re.sub(r"(?=<)", "\n", data.decode()).split("\n")
        case ".ipynb":
            return json.dumps(nbformat.reads(data.decode(), as_version=4), indent=1, sort_keys=True).split("\n")
        case ".json":
            return json.dumps(json.loads(data), indent=1, sort_keys=True, ensure_ascii=False).split("\n")
        case ".css" | ".js" | ".svg" | ".txt" | ".xml" | ".py":
            return data.decode().split("\n")
        case _:
            return [data.hex()]


def main(before: Path, after: Path) -> int:
    """Print each file that was added, removed or changed; return how many."""
    files = [
        {file.relative_to(folder) for file in folder.rglob("*") if file.is_file() and file.suffix != ".gz"}
        for folder in (before, after)
    ]
    changed = 0
    for file in sorted(files[0] | files[1]):
        if file not in files[1] or file not in files[0]:
            print(f"{file}: {'removed' if file in files[0] else 'added'}")
        elif (before / file).read_bytes() == (after / file).read_bytes():
            continue
        else:
            one, two = content(before / file), content(after / file)
            lines = [line for line in difflib.unified_diff(one, two, n=0, lineterm="") if not line.startswith("@@")][2:]
            if not lines:
                continue
            print(f"{file}: {len(lines)} lines")
            print("".join(f"    {line[:200]}\n" for line in lines[:SHOWN]), end="")
        changed += 1
    print(f"{changed} of {len(files[0] | files[1])} files differ")
    return changed


if __name__ == "__main__":
    sys.exit(bool(main(*map(Path, sys.argv[1:]))))
