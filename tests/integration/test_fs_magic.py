"""Magic files: queries, updates, import and export through the mount."""
import json
import os
import subprocess

import pytest


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def test_the_last_query_of_a_session_is_read_by_the_next_process(users):
    assert rows(users.out("""echo '{"age":{"$gt":29}}' > .query; cat .query""", "users")) == \
        [{"_id": "alice", "age": 30}, {"_id": "carol", "age": 41}]


def test_options_follow_the_filter(users):
    script = """echo '{} {"sort":{"age":-1},"skip":1,"limit":1,"projection":{"age":1}}' > .query; cat .query"""
    assert rows(users.out(script, "users")) == [{"_id": "alice", "age": 30}]


def test_one_descriptor_asks_and_answers(users):
    script = """exec 3<>.query; echo '{"age":30}' >&3; cat <&3; echo '{"age":25}' >&3; cat <&3"""
    assert [row["_id"] for row in rows(users.out(script, "users"))] == ["alice", "bob"]


def test_sessions_do_not_see_each_other(users):
    users.out("""echo '{}' > .query; cat .query >/dev/null""", "users")
    other = subprocess.run(["setsid", "-w", "cat", ".query"], cwd=users.path / "users", capture_output=True, text=True)
    assert other.returncode == 1 and "No data available" in other.stderr


def test_a_bad_query_fails_its_write_and_leaves_none(users):
    users_dir = "users"
    done = users.sh("""echo '{}' > .query; echo '{"$nope":1}' > .query; echo "rc=$?"; cat .query""", users_dir)
    assert "rc=1" in done.stdout and "write error" in done.stderr
    assert done.stdout.count("\n") == 1 and "No data available" in done.stderr
    error = users.last_error(users_dir)
    assert error["file"] == ".query" and "$nope" in error["message"]
    for bad in ("{age}", "[1]", '{} {"limits":1}', "{} {} {}"):
        assert users.sh(f"echo '{bad}' > .query", users_dir).returncode != 0


def test_an_aggregation_and_a_vector_search(users):
    for i, name in enumerate(("alice", "bob", "carol")):
        (users.path / f"users/{name}.json").write_text(json.dumps({"n": i, "vector": [1, i]}))
    script = """echo '[{"$group":{"_id":null,"n":{"$sum":"$n"}}}]' > .aggregate; cat .aggregate"""
    assert rows(users.out(script, "users")) == [{"_id": None, "n": 3}]
    hits = rows(users.out("""echo '{"like":"alice","k":2}' > .vsearch; cat .vsearch""", "users"))
    assert [hit["document_id"] for hit in hits] == ["bob", "carol"]
    assert hits[0]["similarity"] > hits[1]["similarity"]


def test_an_update_tells_its_result(users):
    script = """echo '{"filter":{"age":{"$lt":35}},"update":{"$inc":{"age":1}},"multi":true}' > .update; cat .update"""
    assert rows(users.out(script, "users")) == [{"matched": 2, "modified": 2, "upserted_id": None}]
    assert json.loads((users.path / "users/alice.json").read_text()) == {"age": 31}
    assert users.sh("""echo '{"filter":{},"update":{"$nope":{}}}' > .update""", "users").returncode != 0


def test_an_import_streams_and_stops_at_a_bad_line(users, tmp_path):
    lines = tmp_path / "in.ndjson"
    lines.write_text("".join(f'{{"_id":{i},"v":{i}}}\n' for i in range(20000)))
    assert rows(users.out(f"cat {lines} > .import; cat .import", "users")) == \
        [{"inserted": 20000, "replaced": 0, "rejected": 0}]
    assert rows(users.out(f"cat {lines} > .import; cat .import", "users")) == \
        [{"inserted": 0, "replaced": 20000, "rejected": 0}]
    lines.write_text('{"_id":"x"}\n{"_id":"y",}\n{"_id":"z"}\n')
    done = users.sh(f"cat {lines} > .import", "users")
    assert done.returncode == 1 and "Invalid argument" in done.stderr
    assert users.last_error("users")["line"] == 2
    assert (users.path / "users/x.json").exists() and not (users.path / "users/z.json").exists()


def test_exports_hold_every_document(users):
    assert rows(users.out("cat .export.ndjson", "users")) == json.loads(users.out("cat .export.json", "users"))
    assert users.out("cat .export.csv", "users").split() == ["_id,age", "alice,30", "bob,25", "carol,41"]
    assert users.out("tail -c 5 .export.csv", "users")


def test_counts_stats_schema_and_help(users):
    assert users.out("cat .count", "users") == "3\n"
    assert json.loads(users.out("cat .stats", "users"))["documents"] == 3
    assert json.loads(users.out("cat .stats"))["collections"] == {"users": 3}
    assert json.loads(users.out("cat .schema", "users"))["fields"]["age"]["types"] == {"int": 3}
    assert ".aggregate" in users.out("cat .help", "users")


def test_truncating_the_errors_clears_them(users):
    users.sh("echo '{x}' > alice.json", "users")
    assert users.out("cat .errors", "users")
    users.out(": > .errors", "users")
    assert users.out("cat .errors", "users") == ""


def test_magic_files_can_be_shown_or_switched_off(mounts):
    shown = mounts("-o", "magic=visible")
    (shown.path / "c").mkdir()
    assert ".query" in os.listdir(shown.path / "c")
    shown.out("rm -r c")
    off = mounts("-o", "magic=off")
    (off.path / "c").mkdir()
    assert not (off.path / "c/.query").exists()
    (off.path / "c/.query").write_text("just a file")


def test_a_read_only_mount_answers_queries_and_changes_nothing(mounts, users):
    users.stop()
    ro = mounts("-o", "ro", data_dir=users.data_dir)
    assert rows(ro.out("""echo '{"age":30}' > .query; cat .query""", "users")) == [{"_id": "alice", "age": 30}]
    for change in ("echo '{}' > x.json", "rm alice.json", "mkdir d", "mv alice.json b.json", "touch alice.json",
                   "echo '{}' > alice.json", "echo '{}' > .import", "chmod 600 alice.json"):
        done = ro.sh(change, "users")
        assert done.returncode != 0 and "Read-only" in done.stderr, change


def test_a_write_through_one_door_is_seen_through_the_other(users):
    path = users.path / "users/alice.json"
    path.stat(), path.read_text()
    missing = users.path / "users/dora.json"
    assert not missing.exists()
    for i in range(20):
        users.ok("POST", "/collections/users/update",
                 {"filter": {"_id": "alice"}, "update": {"$set": {"pad": "x" * (37 * i)}}})
        assert json.loads(path.read_text())["pad"] == "x" * (37 * i)
        assert path.stat().st_size == len(path.read_bytes())
    users.ok("POST", "/collections/users", {"_id": "dora", "a": 1})
    assert json.loads(missing.read_text()) == {"a": 1}
    users.ok("DELETE", "/collections/users/dora")
    assert not missing.exists()
    (users.path / "users/erin.json").write_text('{"e": [1, 2]}')
    assert users.ok("GET", "/collections/users/erin")["document"] == {"_id": "erin", "e": [1, 2]}
    (users.path / "users/erin.json").unlink()
    users.refused(404, "not_found", "GET", "/collections/users/erin")


@pytest.mark.parametrize("size", [4000, 300000])
def test_every_read_is_one_whole_version(users, size):
    path = users.path / "users/w.json"
    path.write_text('{"v": "0"}')
    readers = [subprocess.Popen(
        ["/usr/bin/python3", "-c",
         "import json,sys\nfor i in range(300):\n v=json.load(open(sys.argv[1]))['v']\n assert len(set(v))==1, v[:9]",
         str(path)], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    i = 0
    while any(reader.poll() is None for reader in readers):
        i += 1
        text = chr(97 + i % 26) * (size + i % 7)
        if i % 2:
            path.write_text(json.dumps({"v": text}))
        else:
            users.ok("POST", "/collections/users/update", {"filter": {"_id": "w"}, "update": {"$set": {"v": text}}})
    for reader in readers:
        assert reader.wait() == 0, reader.stderr.read()
