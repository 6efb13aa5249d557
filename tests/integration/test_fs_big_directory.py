"""Directories with more documents than a program wants in memory: listed, walked, changed and removed.

20,000 documents; NEXADB_TEST_SCALE=50 makes a million of them (and 400 MiB of the daemon's memory the limit).
"""
import ctypes
import json
import os
import re
import threading

import pytest

SCALE = int(os.environ.get("NEXADB_TEST_SCALE", "1"))
COUNT = 20000 * SCALE
IS_SANITIZED = bool(re.search("asan|tsan", os.environ.get("NEXADB_BIN", "")))


def name_of(i):
    return f"u{i:07}"


def line(i):
    text = json.dumps({"_id": name_of(i), "name": f"name {i}", "age": i % 90, "pad": ""})
    return text[:-2] + "x" * (400 - len(text)) + text[-2:] + "\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("big") / "source.ndjson"
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(line(i) for i in range(COUNT))
    return path


@pytest.fixture
def big(mounts, source):
    """A mount with a collection of them."""
    mount = mounts()
    mount.out(f"mkdir c && cat {source} > c/.import")
    return mount


def memory(mount, field):
    return int(re.search(rf"^{field}:\s*(\d+) kB", open(f"/proc/{mount.process.pid}/status", encoding="utf-8").read(), re.M)[1]) * 1024


def test_all_of_them_are_listed_queried_and_removed_in_bounded_memory(big):
    assert json.loads(big.out("cat c/.import")) == {"inserted": COUNT, "replaced": 0, "rejected": 0}
    before = memory(big, "VmRSS")
    for command, lines in (("ls -f c", COUNT + 2), ("ls -l c", COUNT + 1), ("find c -type f", COUNT), ("find c -size -2 -name '*.json'", COUNT),
                           ("ls -lU c", COUNT + 1), ("cat c/.export.ndjson", COUNT), ("echo '{}' > c/.query; cat c/.query", COUNT)):
        assert int(big.out(f"{command} | wc -l")) == lines, command
    ages = sum(1 for i in range(COUNT) if i % 90 > 45)
    assert int(big.out("""echo '{"age":{"$gt":45}}' > c/.query; cat c/.query | wc -l""")) == ages
    if not IS_SANITIZED:
        # by far the most of it are the block cache and memtables, which have their limits; what the kernel looked up costs nothing here
        assert memory(big, "VmHWM") < 400 << 20
        assert memory(big, "VmRSS") - before < (100 << 20) + 30 * COUNT
    big.out("rm -r c")
    assert os.listdir(big.path) == []


class Dir:
    """readdir(3) with telldir and seekdir, which Python does not have."""

    class Entry(ctypes.Structure):
        _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_uint16), ("type", ctypes.c_uint8),
                    ("name", ctypes.c_char * 256)]

    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = ctypes.c_void_p
    libc.readdir.restype = ctypes.POINTER(Entry)
    libc.telldir.restype = ctypes.c_long
    for function in (libc.readdir, libc.telldir, libc.rewinddir, libc.closedir):
        function.argtypes = [ctypes.c_void_p]
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]

    def __init__(self, path):
        self.dir = self.libc.opendir(os.fsencode(path))
        assert self.dir

    def __iter__(self):
        return self

    def __next__(self):
        entry = self.libc.readdir(self.dir)
        if not entry:
            raise StopIteration
        return entry.contents.name.decode()

    def tell(self):
        return self.libc.telldir(self.dir)

    def seek(self, place):
        self.libc.seekdir(self.dir, place)

    def rewind(self):
        self.libc.rewinddir(self.dir)

    def close(self):
        self.libc.closedir(self.dir)


def test_a_listing_can_be_left_and_taken_up_at_every_place(big):
    listing = Dir(big.path / "c")
    names, places = [], []
    while True:
        place = listing.tell()
        try:
            names.append(next(listing))
        except StopIteration:
            break
        places.append(place)
    assert len(names) == COUNT + 2 and len(set(names)) == len(names) and len(set(places)) == len(places)
    for at in [COUNT + 1, 0, 5, COUNT // 2, COUNT - 1, 3] + list(range(17, COUNT, COUNT // 40)):
        listing.seek(places[at])
        assert [next(listing) for _ in range(3) if at + 3 <= len(names)] == (names[at:at + 3] if at + 3 <= len(names) else [])
    listing.seek(places[COUNT // 2])
    os.unlink(big.path / "c" / names[COUNT // 2])  # a place outlives the entry it stands before
    listing.seek(places[COUNT // 2])
    assert next(listing) in names[COUNT // 2:COUNT // 2 + 2]
    listing.rewind()
    assert len(list(listing)) == COUNT + 1
    listing.close()


def test_a_listing_goes_on_behind_what_has_been_removed(big):
    """All that has been listed is removed before the next batch is asked for, and something is made before it."""
    listing = Dir(big.path / "c")
    seen = []
    for name in listing:
        if name not in (".", ".."):
            seen.append(name)
            os.unlink(big.path / "c" / name)
        if len(seen) % 100 == 99:
            (big.path / f"c/a{len(seen)}.json").write_text("{}")
    listing.close()
    assert seen == [name_of(i) + ".json" for i in range(COUNT)]


def test_a_listing_shows_once_what_is_there_all_the_time(big):
    """While others come and go, through both doors."""
    folder = big.path / "c"
    is_over = threading.Event()
    failures = []

    def come_and_go(number):
        try:
            connection = big.connect()
            i = 0
            while not is_over.is_set():
                i += 1
                path = folder / f"{'auz'[i % 3]}{number}-{i}.json"
                if number == 0:
                    path.write_text("{}")
                    os.unlink(path)
                else:
                    assert big.call("PUT", f"/collections/c/{path.stem}?replace=true", {}, connection=connection).status in (200, 201)
                    assert big.call("DELETE", f"/collections/c/{path.stem}", connection=connection).status == 200
        except BaseException as failure:  # pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        lasting = {name_of(i) + ".json" for i in range(COUNT)}
        for list_names in (os.listdir, lambda path: [entry.name for entry in os.scandir(path) if entry.stat(follow_symlinks=False)]):
            for _ in range(3):
                try:
                    names = list_names(folder)
                except FileNotFoundError:  # one that has gone since it was listed
                    continue
                assert len(names) == len(set(names))
                assert lasting <= set(names)
                assert all(re.fullmatch(r"[auz][01]-\d+\.json", name) for name in set(names) - lasting)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert big.out("cat c/.count; ls c | wc -l") == f"{COUNT}\n{COUNT}\n"


def test_a_folder_is_removed_while_documents_are_made_in_it(big):
    """rm -r ends, or says that the folder is not empty; nothing else."""
    folder = big.path / "c"
    made = threading.Event()

    def make():
        for i in range(200):
            try:
                (folder / f"zz{i}.json").write_text("{}")
            except OSError:
                return
            made.set()

    thread = threading.Thread(target=make)
    thread.start()
    made.wait(30)
    done = big.sh("rm -r c")
    thread.join()
    assert done.returncode == 0 or "not empty" in done.stderr
    assert big.sh("rm -rf c").returncode == 0 and os.listdir(big.path) == []
