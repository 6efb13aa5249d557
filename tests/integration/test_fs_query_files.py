"""Magic files to the letter: limits of a query, sessions, descriptors, interrupts, what `.help` says."""
import errno
import json
import os
import time

import pytest

LONG_LOOP = """[{"$project":{"r":{"$reduce":{"input":{"$range":[0,10000]},"initialValue":0,"in":
{"$reduce":{"input":{"$range":[0,10000]},"initialValue":0,"in":{"$add":["$$value","$$this"]}}}}}}}]"""


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def error_of(action):
    with pytest.raises(OSError) as caught:
        action()
    return caught.value.errno


def ask(directory, name, text):
    """A text by one descriptor, and what it reads."""
    with open(directory / name, "r+b", buffering=0) as file:
        file.write(text.encode())
        return file.read()


# --- limits ---


def numbered(mount, count, pad=0):
    (mount.path / "n").mkdir()
    (mount.path / "n/.import").write_text("".join(
        json.dumps({"_id": i, "pad": "x" * pad}) + "\n" for i in range(count)))
    return mount.path / "n"


def test_a_query_that_takes_too_long_ends_its_read(mounts):
    mount = mounts("--query-time-ms", "100")
    n = numbered(mount, 3)
    assert error_of(lambda: ask(n, ".aggregate", LONG_LOOP)) == errno.ETIMEDOUT
    assert "time limit of 100 ms" in mount.last_error("n")["message"]
    done = mount.sh(f"echo '{LONG_LOOP}' > .aggregate; cat .aggregate", "n")
    assert done.returncode == 1 and done.stdout == "" and "timed out" in done.stderr


def test_a_query_that_needs_too_much_memory_ends_its_read(mounts):
    mount = mounts("--query-memory-bytes", "1M")
    n = numbered(mount, 3000, pad=1000)
    pushed = '[{"$group":{"_id":null,"all":{"$push":"$pad"}}}]'
    assert error_of(lambda: ask(n, ".aggregate", pushed)) == errno.ENOMEM
    assert "memory limit" in mount.last_error("n")["message"]
    assert len(ask(n, ".query", '{} {"sort":{"pad":1,"_id":1}}').splitlines()) == 3000  # a sort uses the disk


def test_a_pause_of_the_reader_is_not_time_of_the_query(mounts):
    n = numbered(mounts("--query-time-ms", "1000"), 3000, pad=200)
    with open(n / ".query", "r+b", buffering=0) as file:
        file.write(b"{}")
        first = file.read(1000)
        time.sleep(1.1)
        rest = b"".join(iter(lambda: file.read(65536), b""))
    assert len(rows((first + rest).decode())) == 3000
