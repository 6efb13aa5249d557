#!/usr/bin/env python3
"""check_layers.py - a file includes its own layer and the ones beneath, nothing else.

Reads every #include line of core/, fs/ and daemon/, and a few rules about who may name which library.
Exit status 0 when all hold; otherwise a line for each that does not.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# who may see whom, by the first path component of a quoted include
MAY_SEE = {
    "core/base": {"base"},
    "core/doc": {"base", "doc"},
    "core/storage": {"base", "storage"},
    "core/index": {"base", "doc", "storage", "index"},
    "core/vector": {"base", "doc", "storage", "vector"},
    "core/store": {"base", "doc", "storage", "index", "vector", "store"},
    "core/query": {"base", "doc", "index", "vector", "store", "query"},
    "core/transfer": {"base", "doc", "store", "transfer"},
    "fs": {"fs"},
    "daemon": {"fs", "daemon"},
}

# a library's headers, and the only places that may include them
LIBRARIES = {
    r"fuse": ("fs/",),
    r"(microhttpd|gnutls)": ("daemon/",),
    r"jansson": ("tests/",),
    r"bson/": ("core/doc/", "core/query/"),
    r"pcre2": ("core/query/",),
    r"(lz4|zstd)": ("core/",),
    r"xxhash": ("core/", "fs/"),
}

# the operating system's disk, clock, randomness and threads belong to the file layer
SYSTEM = re.compile(r"\b(open|openat|pread|pwrite|fsync|fdatasync|rename|unlink|clock_gettime|"
                    r"gettimeofday|pthread_create|getrandom|time)\s*\(")
SYSTEM_HOME = "core/base/"

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)


def layer_of(path):
    return next(name for name in sorted(MAY_SEE, key=len, reverse=True) if path.startswith(name + "/"))


def check_include(path, number, kind, target, problems):
    layer = layer_of(path)
    if kind == '"':
        first = target.split("/")[0]
        if first == target:
            problems.append(f'{path}:{number}: "{target}" without its layer')
        elif first not in MAY_SEE[layer]:
            problems.append(f"{path}:{number}: {layer} may not include {target}")
        return
    for library, homes in LIBRARIES.items():
        if re.match(library, target) and not path.startswith(homes):
            problems.append(f"{path}:{number}: <{target}> belongs to {', '.join(homes)}")


def check_calls(path, text, problems):
    code = NOT_CODE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, line in enumerate(code.splitlines(), 1):
        for call in SYSTEM.finditer(line):
            # `ops->open(...)` goes through the table; `(*open)(...)` declares it
            if not re.search(r"(->|\.|\*)$", line[: call.start()]):
                problems.append(f"{path}:{number}: {call[1]}() outside the file layer")


def check_file(file, problems):
    path = file.relative_to(ROOT).as_posix()
    text = file.read_text(encoding="utf-8")
    if path.startswith("core/include/"):
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            check_include(path, number, match[1], match[2], problems)
    if path.startswith("core/") and not path.startswith(SYSTEM_HOME):
        check_calls(path, text, problems)


def main():
    problems = []
    files = [file for top in ("core", "fs", "daemon") for file in sorted((ROOT / top).rglob("*.[ch]"))]
    for file in files:
        check_file(file, problems)
    for problem in problems:
        print(problem)
    print(f"check_layers: {len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
