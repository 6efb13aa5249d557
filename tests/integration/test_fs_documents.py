"""Documents as files: what is written is read, what is wrong fails where the shell prints it, nothing is lost."""
import json
import os
import subprocess

import pytest


def test_a_document_reads_back_byte_for_byte(users):
    texts = ['{"b":1,  "a": 1.0,"c":"\\u00e9"}', '{}\n', '{\n\t"x" : [ ]\n}', '{"n":12345678901234567890}\n']
    for i, text in enumerate(texts):
        path = users.path / "users" / f"t{i}.json"
        path.write_text(text)
        assert path.read_text() == text
        assert path.stat().st_size == len(text.encode())


def test_a_listing_has_documents_with_exact_sizes_and_no_magic_file(users):
    entries = {e.name: e.stat().st_size for e in os.scandir(users.path / "users")}
    assert entries == {"alice.json": 12, "bob.json": 12, "carol.json": 12}


@pytest.mark.parametrize("shell", ["bash", "dash"])
@pytest.mark.parametrize("bad", ["{age}", "[1]", '{"a":1,"a":2}', '{"a":1}}'])
def test_broken_json_by_echo_is_refused_at_the_write(users, shell, bad):
    done = users.sh(f"echo '{bad}' > alice.json", "users", shell)
    assert done.returncode != 0
    assert "rror" in done.stderr
    assert (users.path / "users/alice.json").read_text() == '{"age": 30}\n'
    error = users.last_error("users")
    assert error["file"] == "alice.json" and error["line"] == 1 and "^" in error["caret"]
    kept = os.listdir(users.path / "users/.rejected")
    assert kept == ["alice.json.1"]
    assert (users.path / "users/.rejected" / kept[0]).read_text() == bad + "\n"


def test_an_incomplete_text_fails_the_close_of_who_opened_it(users, tmp_path):
    (tmp_path / "half.json").write_text('{"age": 3')
    done = users.sh(f"cp {tmp_path}/half.json alice.json", "users")
    assert done.returncode == 1 and "Invalid argument" in done.stderr
    assert users.out("cat alice.json", "users") == '{"age": 30}\n'
    assert users.out("cat .rejected/alice.json.1", "users") == '{"age": 3'


def test_children_that_share_the_descriptor_do_not_end_the_document(users):
    users.out("{ echo '{'; /bin/echo '\"a\":1'; cat /dev/null; echo '}'; } > d.json", "users")
    assert users.out("cat d.json", "users") == '{\n"a":1\n}\n'


def test_an_existing_document_is_never_emptied(users):
    path = users.path / "users/alice.json"
    users.out("jq -c . alice.json > alice.json", "users")
    assert path.read_text() == '{"age":30}\n'
    users.out(": > alice.json", "users")
    assert path.read_text() == '{"age":30}\n'
    assert "not emptied" in users.last_error("users")["message"]
    with pytest.raises(OSError) as failed:
        os.truncate(path, 0)
    assert failed.value.errno == 22


def test_a_draft_is_a_file_and_no_document(users):
    users.out("touch new.json", "users")
    assert users.out("cat .count", "users") == "3\n"
    users.refused(404, "not_found", "GET", "/collections/users/new")
    users.out("echo '{}' > new.json", "users")
    assert users.out("cat .count", "users") == "4\n"


def test_in_place_rewriting_is_judged_when_it_is_closed(users):
    path = users.path / "users/alice.json"
    with open(path, "r+", encoding="utf-8") as file:
        value = json.load(file)
        file.seek(0)
        json.dump({"a": value["age"]}, file)
        file.truncate()
    assert path.read_text() == '{"a": 30}'
    with open(path, "a", encoding="utf-8") as file:
        file.write("  \n")
    assert path.read_text() == '{"a": 30}  \n'


def test_a_reader_keeps_its_version(users):
    path = users.path / "users/large.json"
    old = json.dumps({"a": "x" * 100000})
    path.write_text(old)
    with open(path, encoding="utf-8", buffering=1024) as file:
        head = file.read(1000)
        path.write_text(json.dumps({"b": "y" * 200000}))
        assert head + file.read() == old


def test_17_mebibytes_are_too_big_and_a_long_name_too_long(users, tmp_path):
    big = tmp_path / "big.json"
    big.write_text('{"a":"' + "x" * (17 << 20) + '"}')
    done = users.sh(f"cp {big} big.json", "users")
    assert done.returncode == 1 and "File too large" in done.stderr
    done = users.sh("echo '{}' > " + "n" * 300 + ".json", "users")
    assert done.returncode != 0 and "name too long" in done.stderr.lower()


@pytest.mark.parametrize("name, canonical", [("%41.json", "A.json"), ("%2e%2E.json", None)])
def test_only_canonical_names_are_documents(users, name, canonical):
    done = users.sh(f"echo '{{}}' > {name}", "users")
    assert done.returncode != 0 and "Invalid argument" in done.stderr
    if canonical:
        assert canonical in users.last_error("users")["message"]
    assert not (users.path / "users" / name).exists()


def test_links_and_pipes_are_no_documents(users):
    for command in ("ln -s alice.json l.json", "ln alice.json l.json", "ln alice.json l.txt", "mkfifo l.json"):
        done = users.sh(command, "users")
        assert done.returncode != 0 and "not permitted" in done.stderr, command
    assert users.sh("mkdir d.json", "users").returncode != 0


def test_renames_are_commits(users):
    path = users.path / "users"
    (path / "t.tmp").write_text('{"n": 1}')
    users.out("mv t.tmp alice.json && mv bob.json robert.json && mv carol.json carol.txt", "users")
    assert sorted(os.listdir(path)) == ["alice.json", "carol.txt", "robert.json"]
    assert (path / "alice.json").read_text() == '{"n": 1}'
    assert (path / "carol.txt").read_text() == '{"age": 41}\n'
    (path / "bad.tmp").write_text('{"n": ')
    done = users.sh("mv bad.tmp alice.json", "users")
    assert done.returncode != 0 and (path / "bad.tmp").exists()
    assert (path / "alice.json").read_text() == '{"n": 1}'
    assert users.last_error("users")["file"] == "alice.json"
    assert users.out("cat .count", "users") == "2\n"


def test_refused_text_can_be_mended_and_moved_back(users):
    users.sh("echo '{\"age\": 31' > alice.json", "users")
    users.out("echo '}' >> .rejected/alice.json.1 && mv .rejected/alice.json.1 alice.json", "users")
    assert json.loads((users.path / "users/alice.json").read_text()) == {"age": 31}


def test_rm_r_takes_a_collection_and_what_is_reserved_in_it(users):
    users.sh("echo '{' > x.json", "users")
    assert users.sh("rmdir users").returncode != 0
    users.out("rm -r users")
    assert os.listdir(users.path) == []


def test_times_and_modes_are_kept(users, tmp_path):
    source = tmp_path / "s.json"
    source.write_text('{"a": 1}')
    os.utime(source, ns=(10**18 + 1, 10**18 + 123456789))
    os.chmod(source, 0o640)
    users.out(f"cp -a {source} s.json", "users")
    stat = (users.path / "users/s.json").stat()
    assert stat.st_mtime_ns == 10**18 + 123456789
    assert stat.st_mode & 0o777 == 0o640


def test_what_was_acknowledged_survives_kill_9_in_the_middle_of_writes(mounts, tmp_path):
    mount = mounts()
    (mount.path / "c").mkdir()
    writer = subprocess.Popen(
        ["bash", "-c", 'for i in $(seq 100000); do echo "{\\"n\\":$i}" > d$i.json && echo $i || exit 0; done'],
        cwd=mount.path / "c", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    acknowledged = [int(writer.stdout.readline()) for _ in range(200)]
    mount.kill()
    acknowledged += [int(line) for line in writer.stdout.read().split()]
    writer.wait()
    mount.start()  # the dead mount is taken over
    for i in acknowledged:
        assert (mount.path / f"c/d{i}.json").read_text() == f'{{"n":{i}}}\n'
    for name in os.listdir(mount.path / "c"):
        text = (mount.path / "c" / name).read_text()
        assert text == "" or json.loads(text)


def test_a_directory_that_was_listed_to_its_end_keeps_nothing_that_is_removed(users):
    """rm -r keeps the directory open that it empties; a picture of it would keep the space too."""
    def snapshots():
        return json.loads((users.path / ".stats").read_text())["engine"]["snapshots"]

    before = snapshots()
    fd = os.open(users.path / "users", os.O_RDONLY | os.O_DIRECTORY)
    try:
        names = set(os.listdir(fd))
        assert "alice.json" in names and snapshots() == before
        (users.path / "users/later.json").write_text("{}\n")
        assert set(os.listdir(fd)) == names | {"later.json"}  # which begins again
        assert snapshots() == before
    finally:
        os.close(fd)
