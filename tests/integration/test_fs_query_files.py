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


def test_an_explanation_runs_at_the_read(mounts):
    mount = mounts("--query-time-ms", "100")
    numbered(mount, 20000)
    slow = ('{"$expr":{"$lt":[{"$reduce":{"input":{"$range":[0,1000]},"initialValue":0,'
            '"in":{"$add":["$$value","$$this"]}}},0]}} {"explain":true}')
    done = mount.sh(f"echo '{slow}' > .query && echo written; cat .query", "n")
    assert done.stdout == "written\n" and "timed out" in done.stderr
    assert json.loads(mount.out("""echo '{"_id":{"$lt":5}} {"explain":true}' > .query; cat .query""", "n"))["returned"] == 5


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


# --- one descriptor, two processes ---


def test_the_writes_before_a_read_are_one_text(users):
    script = """exec 3<>.query; printf '{"age"' >&3 && printf ':' >&3 && /bin/echo 30 >&3 && printf '}' >&3; cat <&3
                printf '{"age":25}' >&3; cat <&3"""
    assert [row["_id"] for row in rows(users.out(script, "users"))] == ["alice", "bob"]
    script = """exec 3<>.query; printf '{"age"' >&3; cat <&3; printf ':25}' >&3; cat <&3"""
    done = users.sh(script, "users")
    assert "Invalid argument" in done.stderr and [row["_id"] for row in rows(done.stdout)] == ["bob"]
    assert "ends before" in users.last_error("users")["message"]
    script = """exec 3<>.query; echo '{"age":30}' >&3; echo '{"limit":0}' >&3; cat <&3"""
    assert [row["_id"] for row in rows(users.out(script, "users"))] == ["alice"]


def test_truncation_and_a_write_after_a_read_begin_anew(users):
    fd = os.open(users.path / "users/.query", os.O_RDWR)
    os.write(fd, b'{"age":30}')
    assert b"alice" in os.read(fd, 4096) and os.read(fd, 4096) == b""
    os.write(fd, b'{"age":25}')
    assert b"bob" in os.read(fd, 4096)
    os.close(fd)
    fd = os.open(users.path / "users/.query", os.O_RDWR)
    assert error_of(lambda: os.read(fd, 10)) == errno.ENODATA
    os.close(fd)


def test_a_read_can_be_at_any_place(users):
    users.out("""echo '{}' > .query""", "users")
    whole = users.out("""echo '{}' > .query; cat .query""", "users")
    assert users.out("""echo '{}' > .query; tail -c 9 .query; dd if=.query bs=7 skip=2 count=3 status=none; wc -l .query
                        head -c 5 .query; jq -c .age .query""", "users") == \
        whole[-9:] + whole[14:35] + "3 .query\n" + whole[:5] + "30\n25\n41\n"


def test_an_incomplete_or_wrong_text_takes_the_question_away(users):
    for bad in ("{", "{}x", '{"$nope":1}'):
        done = users.sh(f"""echo '{{}}' > .query; printf '{bad}' > .query; cat .query""", "users")
        assert done.stdout == "" and "No data available" in done.stderr, bad
    done = users.sh("""echo '{"filter":{},"update":{"$set":{"a":1}}}' > .update
                       echo '{"filter":{"age":30},"update":{"$inc":{"city":{"x":1}}}}' > .update; cat .update""", "users")
    assert done.stdout == "" and "No data available" in done.stderr


def test_users_have_questions_of_their_own(mounts):
    mount = mounts("-o", "allow_other")
    for parent in [mount.path, *list(mount.path.parents)[:-1]]:
        os.chmod(parent, os.stat(parent).st_mode | 0o005)
    (mount.path / "c").mkdir()
    os.chmod(mount.path / "c", 0o777)
    for name, mode in (("open", 0o644), ("closed", 0o600)):
        (mount.path / f"c/{name}.json").write_text('{"n": 1}')
        os.chmod(mount.path / f"c/{name}.json", mode)
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    done = mount.sh(f"""echo '{{"n":1}}' > .query; {nobody} cat .query; echo "rc=$?"
        {nobody} sh -c "echo '{{}}' > .query; cat .query"; cat .query; {nobody} cat .export.ndjson""", "c")
    assert "No data available" in done.stderr
    assert done.stdout.splitlines() == ["rc=1", '{"_id":"open","n":1}', '{"_id":"closed","n":1}', '{"_id":"open","n":1}',
                                        '{"_id":"open","n":1}']


def test_an_interrupted_reader_ends_its_query(mount):
    n = numbered(mount, 20000)
    slow = """[{"$match":{"$expr":{"$lt":[{"$reduce":{"input":{"$range":[0,5000]},"initialValue":0,
               "in":{"$add":["$$value","$$this"]}}},0]}}}]"""
    for _ in range(6):  # more than there are query threads
        done = mount.sh(f"""echo '{slow}' > .aggregate; timeout -s INT 0.1 cat .aggregate""", "n")
        assert done.returncode == 124
    assert mount.out("""echo '{"_id":5}' > .query; timeout 8 cat .query""", "n") == '{"_id":5,"pad":""}\n'
    assert len(os.listdir(n)) == 20000


# --- what they hold ---


def test_every_example_of_the_help_works(mount):
    (mount.path / "parts").mkdir()
    for i, name in enumerate(("bolt", "nut", "screw")):
        (mount.path / f"parts/{name}.json").write_text(
            json.dumps({"price": i + 1, "maker": "acme", "vector": [1, i]}))
    (mount.path / "parts/bad.json").touch()
    mount.sh("echo bad > bad.json; cat .export.ndjson > more.ndjson", "parts")
    text = (mount.path / "parts/.help").read_text()
    examples = [line.removeprefix("    $ ") for line in text.splitlines() if line.startswith("    $ ")]
    names = [line for line in text.splitlines() if line.startswith(".")]
    assert len(examples) == len(names) >= 15
    assert '"price"' in text and "$maker" in text and "bolt" in text and '"age"' not in text
    for example in examples:
        if " -f " in example:  # it goes on until somebody ends it
            assert mount.sh(f"timeout 0.5 {example}", "parts").returncode == 124, example
        else:
            assert mount.out(example, "parts") or "rejected" in example, example
    assert "age" in mount.out("mkdir empty; cat empty/.help")
    root = (mount.path / ".help").read_text()
    assert ".snapshots/" in root and ".query" not in root


def test_exports_are_the_documents(mount):
    (mount.path / "c").mkdir()
    documents = [{"_id": 1, "a": "x,y \"q\"", "n": None}, {"_id": 2, "b": {"c": [1, 2.5]}, "a": 7},
                 {"_id": "3", "a": "7", "l": {"$numberLong": "5"}, "d": 5.0}]
    (mount.path / "c/.import").write_text("".join(json.dumps(document) + "\n" for document in documents))
    assert rows(mount.out("cat .export.ndjson", "c")) == documents
    assert json.loads(mount.out("cat .export.json", "c")) == documents
    assert mount.out("cat .export.csv", "c").splitlines() == [
        "_id,a,n,b,l,d",
        '1,"x,y ""q""",null,,,',
        '2,7,,"{""c"":[1,2.5]}",,',
        '"3","7",,,5,5.0']
    assert mount.out("mkdir ../e; cat ../e/.export.json ../e/.export.ndjson ../e/.export.csv; cat ../e/.count", "c") == "[]\n0\n"
    before = mount.out("cat .export.ndjson", "c")
    mount.out("cat .export.ndjson > ../e/.import; cat .export.ndjson > .import", "c")
    assert mount.out("cat ../e/.export.ndjson .export.ndjson", "c") == before * 2


def test_a_schema_tells_fields_types_and_shares(mount):
    (mount.path / "c").mkdir()
    for i, document in enumerate(({"a": 1, "b": {"c": "x"}}, {"a": 1.5, "t": [True, None]}, {"a": "1"}, {})):
        (mount.path / f"c/{i}.json").write_text(json.dumps(document))
    schema = json.loads((mount.path / "c/.schema").read_text())
    assert schema["documents"] == 4
    assert schema["fields"]["a"] == {"count": 3, "share": 0.75, "types": {"int": 1, "double": 1, "string": 1}}
    assert schema["fields"]["b.c"]["types"] == {"string": 1}
    assert schema["fields"]["t[]"]["types"] == {"bool": 1, "null": 1}
    stats = json.loads((mount.path / "c/.stats").read_text())
    assert stats["documents"] == 4 and stats["text_bytes"] > 0 and stats["engine"]["disk_bytes"] > 0


def test_errors_are_of_the_collection_and_all_of_them_at_the_root(mount):
    for name in ("a", "b"):
        (mount.path / name).mkdir()
        mount.sh(f"echo x > {name}.json", name)
    assert [row["file"] for row in rows(mount.out("cat a/.errors"))] == ["a.json"]
    assert [row["file"] for row in rows(mount.out("cat .errors"))] == ["a.json", "b.json"]
    mount.out(": > a/.errors")
    assert mount.out("cat a/.errors") == "" and len(rows(mount.out("cat .errors"))) == 2
    for i in range(120):
        error_of(lambda: (mount.path / f"a/%41{i}.json").touch())
    errors = rows(mount.out("cat .errors", "a"))
    assert len(errors) == 100 and errors[-1]["file"] == "%41119.json" and "A119.json" in errors[-1]["message"]


# --- what may be done to them ---


def test_they_have_the_mode_of_their_collection_without_x(users):
    os.chmod(users.path / "users", 0o750)
    for name in (".query", ".import", ".count", ".errors"):
        stat = (users.path / "users" / name).stat()
        assert (stat.st_mode & 0o777, stat.st_size, stat.st_uid) == (0o640, 0, os.getuid())
    assert (users.path / "users/.rejected").stat().st_mode & 0o777 == 0o750


def test_unlinking_one_has_no_effect_and_other_changes_are_refused(users):
    directory = users.path / "users"
    for name in (".query", ".count", ".help"):
        (directory / name).unlink()
        assert (directory / name).exists()
    (directory / ".rejected").rmdir()
    for change in (lambda: (directory / ".query").rename(directory / "q"), lambda: (directory / ".query").chmod(0o600),
                   lambda: (directory / "alice.json").rename(directory / ".query"),
                   lambda: os.link(directory / ".query", directory / "q"), lambda: os.symlink("x", directory / ".query")):
        assert error_of(change) in (errno.EPERM, errno.EEXIST)
    (directory / ".query").touch()
    for name in (".count", ".export.csv", ".stats", ".schema", ".help"):
        assert error_of(lambda: open(directory / name, "w")) == errno.EACCES


def test_nothing_that_walks_meets_them(users, tmp_path):
    users.sh("echo bad > alice.json", "users")
    assert users.out("find . -name '.*' -not -name .", "users") == ""
    users.out(f"tar -cf {tmp_path}/t.tar users; rsync -a users {tmp_path}/; grep -r age users >/dev/null")
    assert sorted(os.listdir(tmp_path / "users")) == ["alice.json", "bob.json", "carol.json"]
    users.out("rm -r users")
    assert not (users.path / "users").exists()


def test_a_read_only_mount_takes_questions_and_no_changes(users, mounts):
    users.stop()
    ro = mounts("-o", "ro", data_dir=users.data_dir)
    assert len(rows(ro.out("echo '[{\"$match\":{}}]' > .aggregate; cat .aggregate", "users"))) == 3
    ro.out("echo '{\"vector\":[1,2]}' > .vsearch; cat .vsearch", "users")
    for stage in ('{"$out":"copy"}', '{"$merge":{"into":"copy"}}'):
        done = ro.sh(f"echo '[{stage}]' > .aggregate; cat .aggregate", "users")
        assert "Read-only file system" in done.stderr, stage
    for name in (".update", ".import"):
        assert error_of(lambda: open(ro.path / "users" / name, "w")) == errno.EROFS
    assert os.listdir(ro.path) == ["users"]


def test_a_draft_is_not_emptied_over_and_the_reason_is_told(users):
    directory = users.path / "users"
    (directory / "empty").touch()
    assert error_of(lambda: (directory / "empty").rename(directory / "alice.json")) == errno.EINVAL
    assert "empty file" in users.last_error("users")["message"]
    assert error_of(lambda: os.truncate(directory / "alice.json", 0)) == errno.EINVAL
    assert "not emptied" in users.last_error("users")["message"]
    assert json.loads((directory / "alice.json").read_text()) == {"age": 30}
