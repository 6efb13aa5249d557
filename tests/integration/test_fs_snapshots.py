"""`.snapshots/`: the database as it was, read by any tool, and the backup recipe of docs/filesystem.md."""
import errno
import json
import os
import subprocess
import threading

import pytest


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def error_of(action):
    with pytest.raises(OSError) as caught:
        action()
    return caught.value.errno


@pytest.fixture
def past(users):
    """`users` with a plain file, a link and a nested collection, a snapshot, and then changes everywhere."""
    root = users.path
    (root / "notes.txt").write_text("then\n")
    (root / "link").symlink_to("notes.txt")
    (root / "users/archive").mkdir()
    (root / "users/archive/dora.json").write_text('{"age": 88}\n')
    os.utime(root / "users/alice.json", ns=(1_500_000_000_000_000_001, 1_500_000_000_123_456_789))
    os.chmod(root / "users/bob.json", 0o640)
    (root / ".snapshots/then").mkdir()
    (root / "users/alice.json").write_text('{"age": 31}\n')
    (root / "users/bob.json").unlink()
    (root / "users/eve.json").write_text('{"age": 1}\n')
    (root / "notes.txt").write_text("now, and longer\n")
    (root / "link").unlink()
    users.out("rm -r archive", "users")
    return users


def assert_shows_then(mount, name="then"):
    then = mount.path / ".snapshots" / name
    assert sorted(os.listdir(then)) == ["link", "notes.txt", "users"]
    assert sorted(os.listdir(then / "users")) == ["alice.json", "archive", "bob.json", "carol.json"]
    assert (then / "users/alice.json").read_text() == '{"age": 30}\n'
    assert (then / "users/alice.json").stat().st_mtime_ns == 1_500_000_000_123_456_789
    assert (then / "users/bob.json").stat().st_mode & 0o777 == 0o640
    assert (then / "users/archive/dora.json").read_text() == '{"age": 88}\n'
    assert (then / "notes.txt").read_text() == "then\n"
    assert os.readlink(then / "link") == "notes.txt"
    assert (then / "link").read_text() == "then\n"


def test_a_snapshot_shows_everything_as_it_was(past):
    assert_shows_then(past)
    assert json.loads((past.path / "users/alice.json").read_text()) == {"age": 31}
    assert past.out("grep -rl 30 .snapshots/then") == ".snapshots/then/users/alice.json\n"
    found = past.out("find .snapshots/then -name '*.json' | sort").split()
    assert [os.path.basename(path) for path in found] == ["alice.json", "dora.json", "bob.json", "carol.json"]
    live, then = (past.path / "users/carol.json").stat(), (past.path / ".snapshots/then/users/carol.json").stat()
    assert live.st_ino != then.st_ino and live.st_mtime_ns == then.st_mtime_ns


def test_it_lasts_over_a_restart_and_a_crash(past, mounts):
    past.kill()
    again = mounts(data_dir=past.data_dir)
    assert_shows_then(again)


def test_magic_files_ask_the_past(past):
    users = ".snapshots/then/users"
    assert past.out("cat .count", users) == "3\n"
    assert [row["_id"] for row in rows(past.out("""echo '{"age":{"$gt":29}}' > .query; cat .query""", users))] == \
        ["alice", "carol"]
    assert rows(past.out("""echo '[{"$group":{"_id":null,"n":{"$sum":"$age"}}}]' > .aggregate; cat .aggregate""",
                         users)) == [{"_id": None, "n": 96}]
    assert len(rows(past.out("cat .export.ndjson", users))) == 3
    assert json.loads(past.out("cat .stats", users))["documents"] == 3
    assert "age" in past.out("cat .schema", users)
    assert ".query" in past.out("cat .help", users)
    assert "Read-only" in past.sh("echo '{}' > .import", users).stderr
    assert "Read-only" in past.sh("""echo '{"filter":{},"update":{"$set":{"a":1}}}' > .update""", users).stderr
    assert past.sh("""echo '[{"$out":"copy"}]' > .aggregate; cat .aggregate""", users).returncode != 0
    assert not (past.path / "copy").exists()


def test_vectors_are_searched_in_the_past(mount):
    (mount.path / "v").mkdir()
    for name, vector in (("a", [1, 0]), ("b", [0, 1])):
        (mount.path / f"v/{name}.json").write_text(json.dumps({"vector": vector}))
    (mount.path / ".snapshots/then").mkdir()
    (mount.path / "v/a.json").unlink()
    hits = rows(mount.out("""echo '{"vector":[1,0],"k":1}' > .vsearch; cat .vsearch""", ".snapshots/then/v"))
    assert [hit["document_id"] for hit in hits] == ["a"]


def test_every_change_is_refused(past):
    then = past.path / ".snapshots/then"
    changes = [
        lambda: (then / "users/new.json").write_text("{}"),
        lambda: (then / "users/alice.json").write_text("{}"),
        lambda: (then / "users/alice.json").unlink(),
        lambda: (then / "users/more").mkdir(),
        lambda: (then / "users/archive").rmdir(),
        lambda: (then / "users/alice.json").rename(then / "users/x.json"),
        lambda: (then / "users/alice.json").chmod(0o600),
        lambda: os.utime(then / "notes.txt"),
        lambda: os.truncate(then / "notes.txt", 0),
        lambda: (then / "l").symlink_to("x"),
    ]
    assert [error_of(change) for change in changes] == [errno.EROFS] * len(changes)
    assert error_of(lambda: os.link(then / "notes.txt", past.path / "hard")) in (errno.EXDEV, errno.EROFS)
    assert_shows_then(past)


def test_names_of_snapshots(past):
    folder = past.path / ".snapshots"
    assert ".snapshots" not in os.listdir(past.path)
    assert past.out("ls .snapshots") == "then\n"
    assert "then" in past.out("ls -la .snapshots")
    assert error_of((folder / "then").mkdir) == errno.EEXIST
    assert error_of((folder / "none").rmdir) == errno.ENOENT
    assert error_of(lambda: (folder / "file").write_text("x")) == errno.EPERM
    (folder / "then").rename(folder / "before")
    assert_shows_then(past, "before")
    assert not (folder / "then").exists()
    with open(folder / "before/users/alice.json") as kept:
        (folder / "before").rmdir()
        assert kept.read() == '{"age": 30}\n'
    assert os.listdir(folder) == []
    assert not (folder / "before/users/alice.json").exists()
    past.out("mkdir -p copy.d && rsync -a users/ copy.d/ && ls copy.d")


def test_a_second_snapshot_of_the_same_name_shows_its_own_time(users):
    document = users.path / ".snapshots/s/users/alice.json"
    for age in (30, 31, 32):
        (users.path / "users/alice.json").write_text(f'{{"age": {age}}}\n')
        (users.path / ".snapshots/s").mkdir()
        assert json.loads(document.read_text()) == {"age": age}
        (users.path / ".snapshots/s").rmdir()


def test_a_read_only_mount_shows_snapshots_and_makes_none(past, mounts):
    past.stop()
    again = mounts("-o", "ro", data_dir=past.data_dir)
    assert_shows_then(again)
    assert error_of((again.path / ".snapshots/more").mkdir) == errno.EROFS
    assert error_of((again.path / ".snapshots/then").rmdir) == errno.EROFS


def test_backup_and_restore_while_writers_go_on(users, mounts, tmp_path):
    stop = threading.Event()
    for i in range(300):
        (users.path / f"users/u{i}.json").write_text(json.dumps({"age": i, "name": f"n{i}", "tags": ["a", i]}) + "\n")
    (users.path / "readme.txt").write_text("plain\n" * 5000)
    (users.path / ".hidden").mkdir()
    (users.path / ".hidden/file").write_text("x")

    def write():
        i = 0
        while not stop.is_set():
            (users.path / f"users/u{i % 300}.json").write_text(f'{{"age": {i}, "changed": true}}\n')
            i += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        (users.path / ".snapshots/nightly").mkdir()
        source, copy, tarred = users.path / ".snapshots/nightly", tmp_path / "copy", tmp_path / "tarred"
        tarred.mkdir()
        subprocess.run(["rsync", "-a", f"{source}/", f"{copy}/"], check=True)
        subprocess.run(f"tar --format=posix -C {source} -cf - . | tar -C {tarred} -xpf -", shell=True, check=True)
    finally:
        stop.set()
        writer.join()
    for backup in (copy, tarred):
        subprocess.run(["diff", "-r", "--no-dereference", source, backup], check=True)
        restored = mounts()
        subprocess.run(["rsync", "-a", f"{backup}/", f"{restored.path}/"], check=True)
        subprocess.run(["diff", "-r", source, restored.path], check=True)
        for folder, _, files in os.walk(source):
            for name in files:
                there = os.path.join(folder, name)
                here = restored.path / os.path.relpath(there, source)
                assert os.stat(there).st_mtime_ns == here.stat().st_mtime_ns, name
        ask = """echo '{"age":{"$gt":100}} {"sort":{"age":1,"_id":1}}' > .query; cat .query"""
        assert users.out(ask, ".snapshots/nightly/users") == restored.out(ask, "users")
