#!/usr/bin/env python3
"""count_unit.py TESTLOG.json - print "PASSED FAILED" of a run of the unit tests under meson.

Each cmocka test counts by itself. A program that failed without naming a test (a crash, a time limit,
a leak found at its end) counts as one failure, and a program without cmocka's lines as one test.
"""
import json
import re
import sys

OK = re.compile(r"^\[       OK \]", re.M)
FAILED = re.compile(r"^\[  FAILED  \] ([A-Za-z0-9_]+)$", re.M)  # once as it fails, once in the summary


def main(path):
    passed = failed = 0
    with open(path, encoding="utf-8", errors="replace") as log:
        for program in map(json.loads, log):
            output = (program.get("stdout") or "") + "\n" + (program.get("stderr") or "")
            good, bad = len(OK.findall(output)), len(set(FAILED.findall(output)))
            if program["result"] in ("OK", "EXPECTEDFAIL"):
                good = good or 1
            elif program["result"] != "SKIP":
                bad = bad or 1
            passed, failed = passed + good, failed + bad
    print(passed, failed)


if __name__ == "__main__":
    main(sys.argv[1])
