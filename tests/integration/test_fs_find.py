"""`.find/`: queries as directories. Every sentence of docs/filesystem.md about them, with ordinary tools."""
import concurrent.futures
import errno
import json
import os
import subprocess
import threading

import pytest


def error_of(action):
    with pytest.raises(OSError) as caught:
        action()
    return caught.value.errno


PEOPLE = {
    "ann": {"age": 25, "city": "Paris", "address": {"zip": "75001"}},
    "bob": {"age": 30, "city": "Paris", "tags": ["x", "y"]},
    "cid": {"age": 35, "city": "Rome", "zip": 750},
    "dan": {"age": 40, "city": "New York/NY", "rate": "100%"},
    "eve": {"age": "30", "city": "Paris", "note": None},
}


@pytest.fixture
def people(mount):
    (mount.path / "people").mkdir()
    for name, document in PEOPLE.items():
        (mount.path / f"people/{name}.json").write_text(json.dumps(document) + "\n")
    return mount


def found(mount, path, collection="people"):
    """Ids in the order of the directory."""
    return [name.removesuffix(".json") for name in os.listdir(mount.path / collection / ".find" / path)]


# --- what a path means ---


PATHS = [
    ("", "ann bob cid dan eve"),
    ("city=Paris", "ann bob eve"),
    ("city=Paris/age>=30", "bob"),
    ("age>=30/city=Paris", "bob"),
    ("age=30", "bob"),
    ('age="30"', "eve"),
    ("age>25", "bob cid dan"),
    ("age<35", "ann bob"),
    ("age<=35", "ann bob cid"),
    ("city!=Paris", "cid dan"),
    ("city~^P", "ann bob eve"),
    ("city~(?i)^r", "cid"),
    ("zip~750", ""),
    ("address.zip~^750", "ann"),
    ("address.zip=75001", ""),
    ('address.zip="75001"', "ann"),
    ("note?", "eve"),
    ("note=null", "ann bob cid dan eve"),
    ("tags=x", "bob"),
    ("tags=[\"x\",\"y\"]", "bob"),
    ("city=New York%2FNY", "dan"),
    ("city=New%20York%2fNY", "dan"),
    ("rate=100%25", "dan"),
    ("c%69ty%3DRome", "cid"),
    ('@json={"$or":[{"age":25},{"city":"Rome"}]}', "ann cid"),
    ('@json={"age":{"$gt":25}}/city=Paris', "bob"),
    ("@sort=-age", "eve dan cid bob ann"),
    ("@sort=city,-age", "dan eve bob ann cid"),
    ('@sort={"age":1}/@limit=2', "ann bob"),
    ("@sort=-age/@skip=1/@limit=2", "dan cid"),
    ("@limit=1/@limit=3", "ann bob cid"),
    ("_id=bob", "bob"),
    ("_id>=c/@limit=2", "cid dan"),
    ("city==Paris", ""),
    ("city=>x", ""),
]
WRONG = [
    ("@nope=1", "begin with @"),
    ("@sort", "begin with @"),
    ("@limit=0", "whole number from 1"),
    ("@limit=x", "whole number"),
    ("@limit=99999999999999999999", "whole number"),
    ("@skip=-1", "whole number from 0"),
    ("@sort=", "separated by commas"),
    ("@sort=age,", "separated by commas"),
    ("@fields=a,-b", ""),
    ("@json={", ""),
    ("@json=[]", ""),
    ('@json={"$nope":1}', "$nope"),
    ("=5", "no field"),
    ("a..b=5", "empty part"),
    ("$where=1", "@json="),
    ("city~[", ""),
    ("age=%zz", "hex digits"),
    ("age=%ff", "UTF-8"),
]


def test_a_component_adds_to_the_query(people):
    for path, expected in PATHS:
        assert found(people, path) == expected.split(), path


def test_a_wrong_component_is_explained(people):
    for component, message in WRONG:
        path = people.path / "people/.find" / component
        assert error_of(lambda: os.listdir(path)) == errno.EINVAL, component
        error = people.last_error("people")
        assert error["file"] == ".find/" + component and message in error["message"]
        assert error_of(lambda: os.stat(people.path / "people/.find/city=Paris" / component)) == errno.EINVAL


def test_what_is_neither_a_query_nor_a_name_is_not_there(people):
    for name in ("nope", "alice.json~", "alice.json.~1~", "100%", ".swp", ".find", ".query", ".errors"):
        assert error_of(lambda: os.stat(people.path / "people/.find" / name)) == errno.ENOENT, name
    assert (people.path / "people/.errors").read_text() == ""


def test_components_have_up_to_1024_bytes(people):
    find = people.path / "people/.find"
    assert os.listdir(find / ("city=" + "x" * 1019)) == []
    assert error_of(lambda: os.listdir(find / ("city=" + "x" * 1020))) == errno.ENAMETOOLONG
    assert error_of(lambda: (find / ("x" * 300 + ".json")).read_text()) == errno.ENAMETOOLONG
    many = "/".join("city!=" + "x" * 900 for _ in range(4))
    assert len(os.listdir(find / many)) == 5
    fd = os.open(find, os.O_RDONLY)
    try:  # deeper than one path reaches: bounded
        with pytest.raises(OSError) as caught:
            for _ in range(40):
                inner = os.open("city!=" + "x" * 900, os.O_RDONLY, dir_fd=fd)
                os.close(fd)
                fd = inner
    finally:
        os.close(fd)
    assert caught.value.errno == errno.EINVAL and "16384" in people.last_error("people")["message"]


def test_a_name_that_ends_in_json_is_a_document(people):
    (people.path / "people/a=b.json").write_text('{"file": "x.json"}')
    assert (people.path / "people/.find/a=b.json").read_text() == '{"file": "x.json"}'
    assert error_of(lambda: os.stat(people.path / "people/.find/file=x.json")) == errno.ENOENT
    assert found(people, "file=x%2Ejson") == ["a=b"]


# --- the entries ---


def test_entries_are_the_documents(people):
    here, there = people.path / "people/.find/city=Paris/bob.json", people.path / "people/bob.json"
    assert here.stat() == there.stat()
    assert here.read_bytes() == there.read_bytes()
    assert os.path.samefile(here, there)
    assert people.out("ls -i bob.json .find/city=Paris/bob.json", "people").split()[::2] == [str(there.stat().st_ino)] * 2
    assert [entry.inode() for entry in os.scandir(here.parent) if entry.name == "bob.json"] == [there.stat().st_ino]
    assert all(entry.is_file(follow_symlinks=False) for entry in os.scandir(here.parent))
    assert here.parent.is_dir() and here.parent.stat().st_nlink == 2


def test_a_document_that_does_not_match_is_not_there(people):
    find = people.path / "people/.find"
    assert error_of((find / "city=Paris/cid.json").read_text) == errno.ENOENT
    assert (find / "age>30/cid.json").exists() and not (find / "age>40/cid.json").exists()
    assert people.out("[ -e '.find/age>=30/bob.json' ] && echo yes", "people") == "yes\n"


def test_sort_is_seen_in_the_order_of_the_directory(people):
    assert people.out("ls -U '.find/@sort=-age/@limit=3'", "people").split() == ["eve.json", "dan.json", "cid.json"]


def test_results_are_of_now(people):
    paris, path = people.path / "people/.find/city=Paris", people.path / "people/ann.json"
    for _ in range(20):
        people.ok("POST", "/collections/people/update", {"filter": {"_id": "ann"}, "update": {"$set": {"city": "Oslo"}}})
        assert not (paris / "ann.json").exists() and found(people, "city=Paris") == ["bob", "eve"]
        people.ok("POST", "/collections/people/update", {"filter": {"_id": "ann"}, "update": {"$set": {"city": "Paris"}}})
        assert (paris / "ann.json").exists() and found(people, "city=Paris") == ["ann", "bob", "eve"]
        path.write_text('{"city": "Rome"}')
        assert error_of((paris / "ann.json").stat) == errno.ENOENT
        path.write_text('{"city": "Paris"}')
        assert (paris / "ann.json").read_text() == '{"city": "Paris"}'
        path.unlink()
        assert error_of((paris / "ann.json").read_text) == errno.ENOENT
        path.write_text('{"city": "Paris"}')


def test_count_and_exports_are_of_the_query(people):
    find = ".find/city=Paris/@sort=-age"
    assert people.out("cat .count", "people/.find/city=Paris") == "3\n"
    assert people.out("cat .count", "people/.find/city=Paris/@limit=2") == "2\n"
    assert people.out("cat .count", "people/.find") == "5\n"
    rows = [json.loads(line) for line in people.out(f"cat '{find}/.export.ndjson'", "people").splitlines()]
    assert rows == [{"_id": name, **PEOPLE[name]} for name in ("eve", "bob", "ann")]
    assert json.loads(people.out(f"cat '{find}/.export.json'", "people")) == rows
    table = people.out("cat '.find/age>=30/@fields=age,city/.export.csv'", "people")
    assert table == "_id,age,city\nbob,30,Paris\ncid,35,Rome\ndan,40,New York/NY\n"
    assert people.out("cat '.find/age>99/.export.json' '.find/age>99/.export.csv'", "people") == "[]\n"
    assert error_of(lambda: open(people.path / "people/.find/.count", "w")) == errno.EACCES


def test_a_collection_below_has_its_own(people):
    (people.path / "people/old").mkdir()
    (people.path / "people/old/zoe.json").write_text('{"city": "Paris"}')
    assert found(people, "city=Paris", "people/old") == ["zoe"]
    assert found(people, "city=Paris") == ["ann", "bob", "eve"]
    assert error_of((people.path / "people/.find/old").stat) == errno.ENOENT


def test_nothing_lists_it(people):
    assert ".find" not in os.listdir(people.path / "people")
    assert ".find" not in people.out("find . -name '.*'")
    assert not (people.path / ".find").exists()


def test_a_collection_that_goes_takes_its_results_along(people):
    fd = os.open(people.path / "people/.find/city=Paris", os.O_RDONLY)
    people.out("rm -r people")
    try:
        assert os.listdir(fd) == []
    except OSError as error:
        assert error.errno in (errno.ENOENT, errno.ESTALE)
    os.close(fd)
    assert error_of(lambda: os.listdir(people.path / "people/.find/city=Paris")) == errno.ENOENT


# --- changes ---


def test_documents_are_edited_where_they_are_found(people):
    paris = people.path / "people/.find/city=Paris"
    (paris / "ann.json").write_text('{"city": "Paris", "age": 26}\n')
    assert (people.path / "people/ann.json").read_text() == '{"city": "Paris", "age": 26}\n'
    people.out("sed -i 's/26/27/' ann.json", "people/.find/city=Paris")
    assert people.ok("GET", "/collections/people/ann")["document"]["age"] == 27
    done = people.sh("echo '{bad' > ann.json", "people/.find/city=Paris")
    assert done.returncode == 1 and (people.path / "people/ann.json").read_text() == '{"city": "Paris", "age": 27}\n'
    assert people.last_error("people")["file"] == "ann.json"


@pytest.mark.parametrize("backupcopy", ["yes", "no"])
def test_vim_saves_there(people, backupcopy):
    script = (f"vim -N -u NONE -i NONE -n -es -c 'set backup backupskip= backupcopy={backupcopy} backupdir=. directory=.' "
              "-c '%s/Paris/Rome/' -c 'wq' ann.json </dev/null")
    people.out(script, "people/.find/city=Paris")
    document = json.loads((people.path / "people/ann.json").read_text())
    assert document["city"] == "Rome"
    assert found(people, "city=Paris") == ["bob", "eve"]
    assert (people.path / "people/ann.json~").exists()
    assert people.ok("GET", "/collections/people/ann")["document"]["city"] == "Rome"


def test_what_is_made_there_is_found_there_and_not_listed(people):
    paris, directory = people.path / "people/.find/city=Paris", people.path / "people"
    for name in ("new.json", "draft.json", "moved.json"):
        assert not (directory / name).exists()  # and the kernel remembers that
    (paris / "new.json").write_text('{"city": "Oslo"}')
    assert (directory / "new.json").read_text() == (paris / "new.json").read_text() == '{"city": "Oslo"}'
    (paris / "draft.json").touch()
    assert (directory / "draft.json").exists() and (paris / "draft.json").exists()
    (paris / "notes.txt").write_text("x")
    assert (directory / "notes.txt").read_text() == (paris / "notes.txt").read_text() == "x"
    (paris / "new.json").rename(paris / "moved.json")
    assert (directory / "moved.json").exists() and not (directory / "new.json").exists()
    (paris / "link").symlink_to("ann.json")
    assert os.readlink(directory / "link") == "ann.json"
    assert found(people, "city=Paris") == ["ann", "bob", "eve"]
    assert sorted(os.listdir(directory)) == sorted(
        ["ann.json", "bob.json", "cid.json", "dan.json", "eve.json", "moved.json", "draft.json", "notes.txt", "link"])
    for name in ("moved.json", "draft.json", "notes.txt", "link"):
        (paris / name).unlink()
        assert not os.path.lexists(directory / name)


def test_the_names_beside_it_are_of_now(people):
    """What was made, moved or removed through one directory shows in the other at once."""
    paris, directory = people.path / "people/.find/city=Paris", people.path / "people"
    for i in range(50):
        name = f"n{i}.json"
        assert not (directory / name).exists()
        (paris / name).write_text('{"city": "Paris"}')
        assert (directory / name).read_text() == '{"city": "Paris"}'
        (paris / name).rename(paris / f"m{i}.json")
        assert not (directory / name).exists() and (directory / f"m{i}.json").exists()
        (directory / f"m{i}.json").unlink()
        assert not (paris / f"m{i}.json").exists()
        (directory / name).write_text('{"city": "Paris"}')
        assert (paris / name).exists()
        (paris / name).unlink()
        assert not (directory / name).exists()


def test_moving_out_and_in(people):
    """Between results and their own collection mv copies and removes; elsewhere it is one step."""
    paris, directory = people.path / "people/.find/city=Paris", people.path / "people"
    (directory / "tmp").write_text('{"city": "Paris", "n": 1}')
    assert error_of(lambda: (directory / "tmp").rename(paris / "ann.json")) == errno.EXDEV
    people.out("mv tmp .find/city=Paris/ann.json", "people")
    assert json.loads((directory / "ann.json").read_text())["n"] == 1
    assert not (directory / "tmp").exists()
    assert error_of(lambda: (paris / "bob.json").rename(directory / "rob.json")) == errno.EXDEV
    people.out("mv .find/city=Paris/bob.json rob.json", "people")
    assert not (paris / "bob.json").exists() and found(people, "city=Paris") == ["ann", "eve", "rob"]
    (people.path / "other").mkdir()
    (paris / "eve.json").rename(people.path / "other/eve.json")
    assert not (directory / "eve.json").exists() and (people.path / "other/eve.json").exists()
    (people.path / "other/eve.json").rename(paris / "eve.json")
    assert (directory / "eve.json").exists() and not (people.path / "other/eve.json").exists()
    (paris / "eve.json").rename(people.path / "people/.find/city=Rome/ivy.json")
    assert (directory / "ivy.json").exists() and not (directory / "eve.json").exists()


def test_directories_have_one_place(people):
    find = people.path / "people/.find"
    (people.path / "people/old").mkdir()
    (people.path / "plain").mkdir()
    assert error_of((find / "sub").mkdir) == errno.EPERM
    assert error_of(lambda: (people.path / "plain").rename(find / "city=Paris/plain")) == errno.EPERM
    assert error_of((find / "city=Paris").mkdir) == errno.EEXIST
    assert error_of(lambda: (people.path / "people/ann.json").rename(find / "age=1")) == errno.EISDIR
    assert error_of(lambda: os.chmod(find / "city=Paris", 0o700)) == errno.EPERM
    assert sorted(os.listdir(people.path)) == ["people", "plain"]


def test_rm_of_a_result_directory_removes_the_documents(people):
    people.out("rm -r '.find/city=Paris/age<=30'", "people")
    assert sorted(os.listdir(people.path / "people")) == ["cid.json", "dan.json", "eve.json"]
    rome = people.path / "people/.find/city=Rome"
    rome.rmdir()
    assert (people.path / "people/cid.json").exists() and os.listdir(rome) == ["cid.json"]
    (rome / "new.json").write_text('{"city": "Rome"}')
    assert found(people, "city=Rome") == ["cid", "new"]


def test_rsync_copies_a_result_directory_out_and_in(people, tmp_path):
    paris = people.path / "people/.find/city=Paris"
    os.utime(people.path / "people/ann.json", ns=(1, 1_500_000_000_123_456_789))
    subprocess.run(["rsync", "-a", f"{paris}/", tmp_path / "out/"], check=True)
    assert sorted(os.listdir(tmp_path / "out")) == ["ann.json", "bob.json", "eve.json"]
    assert (tmp_path / "out/ann.json").stat().st_mtime_ns == 1_500_000_000_123_456_789
    subprocess.run(["diff", "-r", paris, tmp_path / "out"], check=True)
    again = subprocess.run(["rsync", "-ai", f"{paris}/", tmp_path / "out/"], check=True, capture_output=True, text=True)
    assert again.stdout == ""
    (tmp_path / "out/ann.json").write_text('{"city": "Paris", "age": 99}\n')
    (tmp_path / "out/new.json").write_text('{"city": "Paris"}\n')
    subprocess.run(["rsync", "-a", f"{tmp_path}/out/", f"{paris}/"], check=True)
    assert json.loads((people.path / "people/ann.json").read_text())["age"] == 99
    assert found(people, "city=Paris") == ["ann", "bob", "eve", "new"]
    tarred = subprocess.run(["tar", "-C", paris, "-cf", "-", "."], check=True, capture_output=True).stdout
    assert b"new.json" in tarred and b"cid.json" not in tarred


# --- fields ---


def test_fields_cut_the_documents(people, tmp_path):
    cut = people.path / "people/.find/city=Paris/@fields=age"
    text = (cut / "bob.json").read_text()
    assert text == '{\n  "age": 30\n}\n' and (cut / "bob.json").stat().st_size == len(text)
    assert sorted(os.listdir(cut)) == ["ann.json", "bob.json", "eve.json"]
    assert (cut / "bob.json").stat().st_ino != (people.path / "people/bob.json").stat().st_ino
    assert (cut / "bob.json").stat().st_mtime_ns == (people.path / "people/bob.json").stat().st_mtime_ns
    subprocess.run(["rsync", "-a", f"{cut}/", tmp_path / "out/"], check=True)
    assert (tmp_path / "out/eve.json").read_text() == '{\n  "age": "30"\n}\n'
    assert json.loads((people.path / "people/.find/@fields=-age,-city/ann.json").read_text()) == \
        {"address": {"zip": "75001"}}
    computed = people.path / 'people/.find/@fields={"next":{"$add":["$age",1]}}/@json={"age":{"$type":"number"}}'
    assert json.loads((computed / "bob.json").read_text()) == {"next": 31}
    (people.path / "people/bob.json").write_text('{"city": "Paris", "age": 31000}')
    assert json.loads((cut / "bob.json").read_text()) == {"age": 31000}
    assert error_of((cut / "cid.json").read_text) == errno.ENOENT


def test_cut_documents_are_for_reading(people):
    cut = people.path / "people/.find/@fields=age"
    changes = [lambda: (cut / "bob.json").write_text("{}"), lambda: (cut / "new.json").write_text("{}"),
               lambda: (cut / "bob.json").unlink(), lambda: (cut / "bob.json").rename(cut / "rob.json"),
               lambda: (people.path / "people/ann.json").rename(cut / "bob.json"),
               lambda: os.truncate(cut / "bob.json", 0), lambda: open(cut / "bob.json", "r+")]
    assert [error_of(change) for change in changes] == [errno.EROFS] * len(changes)
    assert people.sh("sed -i s/30/31/ bob.json", "people/.find/@fields=age").returncode != 0
    assert (cut / "bob.json").stat().st_mode & 0o777 == 0o444 and cut.stat().st_mode & 0o222 == 0
    assert json.loads((people.path / "people/bob.json").read_text()) == PEOPLE["bob"]


# --- snapshots, options, users ---


def test_snapshots_are_asked_the_same_way(people):
    (people.path / ".snapshots/then").mkdir()
    (people.path / "people/ann.json").unlink()
    (people.path / "people/bob.json").write_text('{"city": "Rome", "age": 1}')
    then = ".snapshots/then/people"
    assert found(people, "city=Paris", then) == ["ann", "bob", "eve"]
    assert found(people, "city=Paris") == ["eve"]
    bob = people.path / then / ".find/age=30/bob.json"
    assert json.loads(bob.read_text()) == PEOPLE["bob"] and bob.stat() == (people.path / then / "bob.json").stat()
    assert (people.path / then / ".find/city=Paris/.count").read_text() == "3\n"
    assert json.loads((people.path / then / ".find/@fields=age/bob.json").read_text()) == {"age": 30}
    for change in (lambda: bob.write_text("{}"), bob.unlink, lambda: (bob.parent / "x.json").write_text("{}"),
                   lambda: bob.rename(bob.parent / "y.json")):
        assert error_of(change) == errno.EROFS
    (people.path / ".snapshots/then").rmdir()
    assert error_of(lambda: os.listdir(people.path / then / ".find/city=Paris")) == errno.ENOENT


def test_a_read_only_mount_answers(people, mounts):
    people.stop()
    ro = mounts("-o", "ro", data_dir=people.data_dir)
    assert found(ro, "city=Paris") == ["ann", "bob", "eve"]
    find = ro.path / "people/.find"
    for change in (lambda: (find / "x.json").write_text("{}"), (find / "ann.json").unlink, (find / "d").mkdir,
                   lambda: (find / "ann.json").rename(find / "x.json"), lambda: (find / "ann.json").write_text("{}")):
        assert error_of(change) == errno.EROFS


def test_where_magic_files_are_shown_it_is_empty(mounts):
    shown = mounts("-o", "magic=visible")
    (shown.path / "c").mkdir()
    for i in range(3):
        (shown.path / f"c/{i}.json").write_text(f'{{"n": {i}}}')
    assert ".find" in os.listdir(shown.path / "c") and os.listdir(shown.path / "c/.find") == []
    assert found(shown, "n>0", "c") == ["1", "2"]
    assert shown.out("find c -name '[0-9].json' | wc -l").strip() == "3"
    shown.out("rm -r c")
    off = mounts("-o", "magic=off")
    (off.path / "c").mkdir()
    assert not (off.path / "c/.find").exists()


def test_users_find_what_they_may_read(mounts):
    mount = mounts("-o", "allow_other")
    os.chmod(mount.path.parent, 0o755)
    for parent in list(mount.path.parents)[1:]:
        if not os.stat(parent).st_mode & 0o001:
            os.chmod(parent, os.stat(parent).st_mode | 0o001)
    (mount.path / "c").mkdir(mode=0o755)
    for name, mode in (("open", 0o644), ("closed", 0o600)):
        (mount.path / f"c/{name}.json").write_text('{"n": 1}')
        os.chmod(mount.path / f"c/{name}.json", mode)

    def nobody(script):
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", script],
                              cwd=mount.path / "c", capture_output=True, text=True)

    assert nobody("ls .find/n=1").stdout.split() == ["open.json"]
    assert nobody("cat .find/n=1/.count").stdout == "1\n"
    assert nobody("cat .find/n=1/.export.ndjson").stdout.count("\n") == 1
    assert nobody("cat .find/n=1/open.json").stdout == '{"n": 1}'
    assert "No such file" in nobody("cat .find/n=1/closed.json").stderr
    assert "No such file" in nobody("cat .find/n=1/@fields=n/closed.json").stderr
    assert nobody("cat .find/@fields=n/open.json").stdout == '{\n  "n": 1\n}\n'
    assert "Permission denied" in nobody("echo '{}' > .find/n=1/new.json").stderr
    assert found(mount, "n=1", "c") == ["closed", "open"]


# --- size and time ---


def fill(mount, count):
    (mount.path / "n").mkdir()
    with open(mount.path / "n/.import", "w", encoding="utf-8") as file:
        for i in range(count):
            file.write(f'{{"_id": {i}, "n": {i}, "half": {i % 2}}}\n')


def test_long_results_are_listed_to_their_end(mount):
    fill(mount, 20000)
    assert found(mount, "half=1", "n") == [str(i) for i in range(1, 20000, 2)]
    assert found(mount, "@sort=-n", "n") == [str(i) for i in reversed(range(20000))]
    assert mount.out("ls -l '.find/n<5000' | tail -n +2 | wc -l", "n").strip() == "5000"
    assert mount.out("find .find/half=0 -type f | wc -l", "n").strip() == "10000"


def test_positions_can_be_gone_back_to(mount):
    fill(mount, 3000)
    script = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
for f in (libc.readdir, libc.telldir, libc.closedir, libc.rewinddir): f.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
name = lambda e: ctypes.string_at(e + 19).decode()
d = libc.opendir(sys.argv[1].encode())
names, places = [], []
while True:
    places.append(libc.telldir(d))
    e = libc.readdir(d)
    if not e: break
    names.append(name(e))
assert len(names) == 1002, len(names)
for i in (0, 1, 2, 3, 500, 999, 1001, 7):
    libc.seekdir(d, places[i])
    assert name(libc.readdir(d)) == names[i], i
libc.seekdir(d, places[1002])
assert not libc.readdir(d)
os.unlink(sys.argv[2])
libc.rewinddir(d)
names = [name(e) for e in iter(lambda: libc.readdir(d), None)]
assert names[2] == "2998.json" and len(names) == 1002, names[:4]
"""
    subprocess.run(["/usr/bin/python3", "-c", script, mount.path / "n/.find/n>=1000/@sort=-n/@limit=1000",
                    mount.path / "n/2999.json"], check=True)


def test_a_query_over_its_limits_ends_the_listing(mounts):
    mount = mounts("--query-time-ms", "50")
    fill(mount, 3)
    slow = ('@json={"$expr":{"$gt":[{"$reduce":{"input":{"$range":[0,10000]},"initialValue":0,"in":'
            '{"$reduce":{"input":{"$range":[0,10000]},"initialValue":0,"in":{"$add":["$$value","$$this"]}}}}},0]}}')
    assert error_of(lambda: os.listdir(mount.path / "n/.find" / slow)) == errno.ETIMEDOUT
    assert "time limit" in mount.last_error("n")["message"]


def test_an_interrupt_ends_the_query(mount):
    fill(mount, 20000)
    slow = ('@json={"$expr":{"$lt":[{"$reduce":{"input":{"$range":[0,5000]},"initialValue":0,'
            '"in":{"$add":["$$value","$$this"]}}},0]}}')
    for _ in range(6):  # more than there are query threads
        reader = subprocess.Popen(["ls", mount.path / "n/.find" / slow], stderr=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            reader.wait(timeout=0.1)
        reader.terminate()
        assert reader.wait(timeout=10) != 0
    assert mount.out("timeout 8 ls .find/n=1", "n") == "1.json\n"


def test_many_at_once(people):
    """Changes through the collection, through its results, through REST and between them, with listings."""
    stop = threading.Event()
    directory, paris = people.path / "people", people.path / "people/.find/city=Paris"

    def worker(number):
        name = f"w{number}.json"
        for i in range(15):
            (paris / name).write_text(f'{{"city": "Paris", "i": {i}}}')
            assert (directory / name).exists()
            (paris / name).rename(paris / f"x{name}")
            if i % 5 == 0:
                assert error_of(lambda: (directory / f"x{name}").rename(paris / name)) == errno.EXDEV
            (directory / f"x{name}").rename(directory / name)
            (paris / name).unlink()
        return True

    def lister():
        while not stop.is_set():
            people.out("ls -lR .find/city=Paris >/dev/null; true", "people")
            people.call("POST", "/collections/people/update",
                        {"filter": {"_id": "eve"}, "update": {"$inc": {"n": 1}}})

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        listing = [pool.submit(lister) for _ in range(2)]
        try:
            assert all(pool.map(worker, range(4), timeout=100))
        finally:
            stop.set()
        for future in listing:
            future.result()
    assert sorted(os.listdir(directory)) == ["ann.json", "bob.json", "cid.json", "dan.json", "eve.json"]
