"""What REST changes is what the mount shows next, whatever the kernel has looked up, listed or read before."""
import concurrent.futures
import json
import os
import threading
import time

import pytest


def test_a_name_that_was_missing_is_there_once_rest_made_it(users):
    path = users.path / "users" / "new.json"
    for n in range(20):
        assert not path.exists()
        users.ok("PUT", "/collections/users/new?replace=true", {"n": n})
        assert f'"n": {n}\n' in path.read_text()
        users.ok("DELETE", "/collections/users/new")


def test_what_a_listing_told_is_taken_back(users):
    """READDIRPLUS gave names and sizes that were never looked up one by one."""
    folder = users.path / "users"
    for n in range(50):
        users.ok("PUT", f"/collections/users/d{n}?replace=true", {"n": n})
    sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
    assert len(sizes) == 53
    for n in range(50):
        users.ok("PUT", f"/collections/users/d{n}?replace=true", {"n": n, "more": "x" * 100})
    for n in range(50):
        path = folder / f"d{n}.json"
        assert path.stat().st_size == len(path.read_bytes()) > sizes[path.name] + 100


def test_a_document_seen_after_a_rename_is_the_renamed_one(users):
    folder = users.path / "users"
    for n in range(20):
        (folder / "t.tmp").write_text('{"n": %d}\n' % n)
        os.rename(folder / "t.tmp", folder / "alice.json")
        assert (folder / "alice.json").read_text() == '{"n": %d}\n' % n
        users.ok("PUT", "/collections/users/alice?replace=true", {"rest": n})
        assert f'"rest": {n}\n' in (folder / "alice.json").read_text()
        os.rename(folder / "alice.json", folder / "t.txt")
        assert f'"rest": {n}\n' in (folder / "t.txt").read_text()
        os.rename(folder / "t.txt", folder / "alice.json")
        assert os.stat(folder / "alice.json").st_ino == next(
            entry.inode() for entry in os.scandir(folder) if entry.name == "alice.json")


def test_a_directory_of_new_documents_while_they_are_made(users):
    """Lookups race the changes: no name stays missing, none stays after its end."""
    folder = users.path / "users"
    stop = threading.Event()

    def look():
        while not stop.is_set():
            for n in range(100):
                (folder / f"r{n}.json").exists()

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for n in range(100):
            users.ok("PUT", f"/collections/users/r{n}?replace=true", {"n": n})
            assert f'"n": {n}\n' in (folder / f"r{n}.json").read_text()
            if n % 2:
                users.ok("DELETE", f"/collections/users/r{n}")
                assert not (folder / f"r{n}.json").exists()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert sum((folder / f"r{n}.json").exists() for n in range(100)) == 50


# --- many writers and walkers at once ----------------------------------------------------------------

SCALE = int(os.environ.get("NEXADB_TEST_SCALE", "1"))


def in_threads(*works):
    """Run each until the first has ended, then tell the others; any failure fails the test."""
    is_over = threading.Event()
    failures = []

    def run(work):
        try:
            work(is_over)
        except BaseException as failure:  # pylint: disable=broad-except
            failures.append(failure)
            is_over.set()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    threads[0].join(timeout=300)
    is_over.set()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "a walker or a writer is stuck"
    if failures:
        raise failures[0]


# of a file that is removed, or replaced between open(2) and fstat(2), which knows no handle: it is left out then
MAY_SAY = ("No such file", "vanished", "Stale file handle", "No data available", "some files")


def test_a_thousand_rest_writes_under_walkers(users, tmp_path):
    """Neither a deadlock nor a stale answer: what REST has acknowledged is what the next call on the mount shows."""
    folder = users.path / "users"
    per_client, clients = 125 * SCALE, 8

    def write(client):
        connection = users.connect()
        for i in range(per_client):
            name = f"w{client}_{i % 50}"
            assert users.call("PUT", f"/collections/users/{name}?replace=true", {"n": i, "pad": "x" * (i % 700)},
                              connection=connection).status in (200, 201)
            assert json.loads((folder / f"{name}.json").read_text())["n"] == i
            if i % 10 == 9:
                assert users.call("DELETE", f"/collections/users/{name}", connection=connection).status == 200
                assert not (folder / f"{name}.json").exists()

    def all_writers(is_over):
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            list(pool.map(write, range(clients)))

    def walk(command):
        def work(is_over):
            while not is_over.is_set():
                for line in users.sh(command).stderr.splitlines():
                    assert any(text in line for text in MAY_SAY), line
        return work

    in_threads(all_writers, walk("ls -lR . >/dev/null"), walk("find . -type f -size +0 >/dev/null"),
               walk(f"rsync -a --delete users/ {tmp_path}/copy/"), walk("grep -r nothing users >/dev/null"))
    last = {}
    for client in range(clients):
        for i in range(per_client):
            last[f"w{client}_{i % 50}"] = i
    there = {name for name, i in last.items() if i % 10 != 9}
    assert {path.stem for path in folder.glob("w*.json")} == there
    for name in there:
        assert json.loads((folder / f"{name}.json").read_text())["n"] == last[name]
        assert users.ok("GET", f"/collections/users/{name}")["document"]["n"] == last[name]
    users.out(f"rsync -a --delete users/ {tmp_path}/copy/ && diff -r users {tmp_path}/copy")


@pytest.mark.parametrize("size", [1000, 4096, 1 << 20])
def test_every_read_under_a_rewrite_loop_is_one_whole_version(users, size):
    """Both doors rewrite, by place and by rename; readers take open+read, stat+read and a read in parts."""
    path = users.path / "users/big.json"
    rounds = (60 if size < 1 << 20 else 12) * SCALE

    def text(number):
        """About the size, but never the same for two numbers in a row; its parts all tell the number."""
        part = f"{number:07},"
        return json.dumps({"first": number, "pad": part * ((size - 60 - 8 * (number % 5)) // 8), "last": number})

    def assert_whole(read):
        document = json.loads(read)
        number = document["first"]
        assert document["last"] == number and document["pad"] == f"{number:07}," * (len(document["pad"]) // 8)
        return number

    path.write_text(text(0))
    newest = [0]

    def rewrite(is_over):
        connection = users.connect()
        for number in range(1, rounds * 3, 3):
            if is_over.is_set():
                return
            assert users.call("PUT", "/collections/users/big?replace=true", text(number), connection=connection).status == 200
            newest[0] = number
            assert assert_whole(path.read_text()) == number
            path.write_text(text(number + 1))
            newest[0] = number + 1
            assert users.ok("GET", "/collections/users/big")["document"]["first"] == number + 1
            (path.parent / "t.tmp").write_text(text(number + 2))
            os.rename(path.parent / "t.tmp", path)
            newest[0] = number + 2
            assert assert_whole(path.read_text()) == number + 2

    def read_whole(is_over):
        while not is_over.is_set():
            at_least = newest[0]
            assert assert_whole(path.read_bytes()) >= at_least

    def read_in_parts(is_over):
        while not is_over.is_set():
            with open(path, "rb", buffering=0) as file:
                os.stat(path)
                parts = [file.read(300)]
                while parts[-1]:
                    parts.append(file.read(max(1, size // 3)))
            assert_whole(b"".join(parts))

    def read_by_tools(is_over):
        while not is_over.is_set():
            assert_whole(users.out("stat big.json >/dev/null; cat big.json", "users"))

    in_threads(rewrite, read_whole, read_in_parts, read_by_tools)


def test_documents_go_through_both_doors_at_once(users):
    folder = users.path / "users"
    for i in range(30):
        (folder / f"m{i}.json").write_text(f'{{"n": {i}}}')
        assert users.ok("GET", f"/collections/users/m{i}")["document"] == {"_id": f"m{i}", "n": i}
        users.ok("POST", "/collections/users", {"_id": f"r{i}", "n": i})
        assert json.loads((folder / f"r{i}.json").read_text()) == {"n": i}
        assert users.ok("POST", "/collections/users/query", {"query": {"n": i}})["count"] == 2
        os.rename(folder / f"m{i}.json", folder / f"r{i}.json")
        users.refused(404, "not_found", "GET", f"/collections/users/m{i}")
        os.unlink(folder / f"r{i}.json")
        users.refused(404, "not_found", "GET", f"/collections/users/r{i}")
        assert users.out("cat .count", "users") == "3\n"


def test_collections_go_through_both_doors(users):
    users.ok("POST", "/collections/made", {"_id": 1})
    assert users.out("ls; ls made") == "made\nusers\n1.json\n"
    users.out("mv made renamed && mkdir renamed/below && echo '{}' > renamed/below/x.json")
    users.refused(404, "not_found", "GET", "/collections/made/1")
    assert users.ok("GET", "/collections/renamed%2Fbelow/x")["document"] == {"_id": "x"}
    users.ok("DELETE", "/collections/renamed%2Fbelow")
    assert users.out("ls renamed") == "1.json\n"
    with open(users.path / "renamed/1.json", encoding="utf-8") as kept:
        users.ok("DELETE", "/collections/renamed")
        assert users.out("ls") == "users\n"
        assert not (users.path / "renamed").exists()
        assert json.loads(kept.read()) in ({}, {"_id": 1})


def test_a_reader_in_parts_keeps_its_version(users):
    """A small document at rest goes through the page cache, which is not the handle's: still it reads what it opened."""
    folder = users.path / "users"
    old = json.dumps({"pad": "1" * 900})
    changes = {
        "rest": lambda path, new: users.ok("PUT", f"/collections/users/{path.stem}?replace=true", new),
        "write": lambda path, new: path.write_text(new),
        "rename": lambda path, new: ((folder / "t").write_text(new), os.rename(folder / "t", path)),
        "delete": lambda path, new: users.ok("DELETE", f"/collections/users/{path.stem}"),
        "unlink": lambda path, new: os.unlink(path),
    }
    cases = [(folder / f"{door}{size}.json", door, size) for door in changes for size in (40, 1500, 20000)]
    for path, _, _ in cases:
        path.write_text(old)
    time.sleep(1.1)  # at rest
    for path, door, size in cases:
        is_gone = door in ("delete", "unlink")
        with open(path, "rb", buffering=0) as early, open(path, "rb", buffering=0) as late:
            parts = [early.read(300)]
            changes[door](path, json.dumps({"pad": "2" * size}))
            for _ in range(2):
                assert path.exists() != is_gone
                if not is_gone:
                    assert json.loads(path.read_text())["pad"] == "2" * size  # a new handle has the new one
                    assert path.stat().st_size == size + (16 if door == "rest" else 11)  # REST's text is indented
                parts.append(early.read(300))
            while parts[-1]:
                parts.append(early.read(300))
            assert b"".join(parts) == old.encode(), door
            assert b"".join(iter(lambda: late.read(400), b"")) == old.encode(), door
        if not is_gone:
            assert json.loads(path.read_text())["pad"] == "2" * size
            assert path.stat().st_size == size + (16 if door == "rest" else 11)
