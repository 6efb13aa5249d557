"""What REST changes is what the mount shows next, whatever the kernel has looked up, listed or read before."""
import os
import threading


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
