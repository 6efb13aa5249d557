"""`.changes`: the feed as a file with an exact size, stable offsets, and followers."""
import json
import os
import subprocess
import time

import pytest


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def brief(change):
    return (change["operationType"], change["ns"], change.get("documentKey", {}).get("_id"))


def test_changes_of_a_collection_and_of_all(users):
    users.ok("POST", "/collections/other", {"_id": 7})
    os.unlink(users.path / "users/bob.json")
    assert [brief(c) for c in lines(users.path / "users/.changes")] == [
        ("create", "users", None), ("insert", "users", "alice"), ("insert", "users", "bob"), ("insert", "users", "carol"),
        ("delete", "users", "bob")]
    everything = [brief(c) for c in lines(users.path / ".changes")]
    assert ("insert", "other", 7) in everything and ("delete", "users", "bob") in everything
    tokens = [c["token"] for c in lines(users.path / ".changes")]
    assert tokens == sorted(tokens) and len(set(tokens)) == len(tokens)


def test_a_token_of_the_file_is_one_of_rest(users):
    token = lines(users.path / "users/.changes")[1]["token"]
    answer = users.out(f"curl -sN -m 1 -H 'X-API-Key: {users.key}' '{users.url}/changes?since={token}'; [ $? -eq 28 ]")  # it never ends by itself
    assert '"_id":"bob"' in answer and '"_id":"alice"' not in answer


def test_the_size_is_exact_and_offsets_stay(users):
    path = users.path / "users/.changes"
    users.ok("POST", "/collections/users/bulk", {"documents": [{"_id": f"d{n}"} for n in range(5000)]})
    size = path.stat().st_size
    whole = path.read_bytes()
    assert len(whole) == size > 400000
    users.ok("POST", "/collections/users", {"_id": "more"})
    assert path.stat().st_size > size
    with open(path, "rb", buffering=0) as file:
        for offset in (size - 100, 0, 300001, 70000, size - 5000, 12345, 0):
            wanted = whole[offset:offset + 777]
            assert os.pread(file.fileno(), len(wanted), offset) == wanted
        assert os.lseek(file.fileno(), 0, os.SEEK_END) == path.stat().st_size
    assert users.out("tail -n 1 .changes | jq -r .documentKey._id", "users") == "more\n"
    assert users.out("wc -c < .changes; cat .changes | wc -c", "users").split()[0] == str(path.stat().st_size)


def test_tail_follows(users):
    command = ["tail", "-n", "0", "-f", str(users.path / "users/.changes")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        time.sleep(0.5)
        users.ok("POST", "/collections/users", {"_id": "dave"})
        (users.path / "users/erin.json").write_text("{}")
        try:
            assert brief(json.loads(tail.stdout.readline())) == ("insert", "users", "dave")
            assert brief(json.loads(tail.stdout.readline())) == ("insert", "users", "erin")
        finally:
            tail.terminate()


def test_editors_with_a_backup_make_one_update(users):
    folder = users.path / "users"
    before = len(lines(folder / ".changes"))
    for name, rename, save in (("alice", "alice.json~", "w"), ("carol", "#carol", "w")):
        os.rename(folder / f"{name}.json", folder / rename)
        with open(folder / f"{name}.json", save, encoding="ascii") as file:
            file.write('{"edited": true}\n')
        os.unlink(folder / rename)
    assert [brief(c) for c in lines(folder / ".changes")[before:]] == [("update", "users", "alice"), ("update", "users", "carol")]
    os.rename(folder / "bob.json", folder / "bob.txt")
    began = time.monotonic()
    while len(lines(folder / ".changes")) == before + 2:
        assert time.monotonic() - began < 10
        time.sleep(0.05)
    assert time.monotonic() - began > 1
    assert brief(lines(folder / ".changes")[-1]) == ("delete", "users", "bob")


def test_it_is_for_reading_and_is_not_listed(users):
    path = users.path / "users/.changes"
    with pytest.raises(PermissionError):
        path.write_text("x")
    assert ".changes" not in os.listdir(path.parent)
    assert ".changes" in users.out("cat .help", "users")
    assert users.sh("stat .changes", ".snapshots").returncode != 0
    (users.path / ".snapshots/s").mkdir()
    assert not (users.path / ".snapshots/s/users/.changes").exists()


def test_it_goes_on_after_a_crash(mounts):
    mount = mounts()
    (mount.path / "c").mkdir()
    for n in range(10):
        (mount.path / f"c/{n}.json").write_text("{}")
    before = (mount.path / "c/.changes").read_text()
    mount.kill()
    mount.start()
    assert (mount.path / "c/.changes").read_text() == before
    (mount.path / "c/x.json").write_text("{}")
    assert (mount.path / "c/.changes").read_text().startswith(before)
    assert len(lines(mount.path / "c/.changes")) == 12
