"""Names and ids: a bijection seen through both doors, and what a directory's name makes of what is in it."""
import errno
import json
import os

import pytest


def error_of(action):
    with pytest.raises(OSError) as caught:
        action()
    return caught.value.errno


NAMES = [
    ("alice", "alice.json"),
    ("with space", "with space.json"),
    ("grün ☃", "grün ☃.json"),
    ("a/b", "a%2Fb.json"),
    ("100%", "100%25.json"),
    (".hidden", "%2Ehidden.json"),
    ("..", "%2E..json"),
    ("tab\tend", "tab%09end.json"),
    ("del\x7f", "del%7F.json"),
    ("nul\0", "nul%00.json"),
    ("", "%j%22%22.json"),
    ("42", "%342.json"),
    ("-7", "%2D7.json"),
    ("0", "%30.json"),
    ("01", "01.json"),
    ("-0", "-0.json"),
    ("1.0", "1.0.json"),
    ("9223372036854775808", "9223372036854775808.json"),
    ("%41", "%2541.json"),
    ("a.json", "a.json.json"),
    (42, "42.json"),
    (0, "0.json"),
    (-7, "-7.json"),
    (9223372036854775807, "9223372036854775807.json"),
    (1.5, "%j%7B%22%24numberDouble%22%3A%221.5%22%7D.json"),
    (True, "%jtrue.json"),
    (None, "%jnull.json"),
    ({"$oid": "0123456789abcdef01234567"}, "%o0123456789abcdef01234567.json"),
    ({"a": 1}, "%j%7B%22a%22%3A%7B%22%24numberInt%22%3A%221%22%7D%7D.json"),
]


def test_an_id_and_a_name_are_each_others(users):
    """Made by REST, found by name; made by name, found by id."""
    directory = users.path / "users"
    for name in os.listdir(directory):
        (directory / name).unlink()
    for identifier, name in NAMES:
        users.ok("POST", "/collections/users", {"_id": identifier, "by": "rest"})
        assert json.loads((directory / name).read_text()) == {"by": "rest"}, name
    assert sorted(os.listdir(directory)) == sorted(name for _, name in NAMES)
    for _, name in NAMES:
        (directory / name).unlink()
        (directory / name).write_text('{"by": "mount"}')
    rows = [json.loads(line) for line in users.out("cat .export.ndjson", "users").splitlines()]
    key = json.dumps
    assert sorted(key(row["_id"]) for row in rows) == sorted(key(identifier) for identifier, _ in NAMES)
    assert {row["by"] for row in rows} == {"mount"}


def test_whole_numbers_are_one_id_whatever_their_type(users):
    for spelling in (7.0, {"$numberDecimal": "7.00"}, {"$numberLong": "7"}):
        users.ok("POST", "/collections/users", {"_id": spelling})
        assert (users.path / "users/7.json").exists()
        users.refused(409, "duplicate_key", "POST", "/collections/users", {"_id": 7})
        (users.path / "users/7.json").unlink()


def test_what_is_no_id_is_refused(users):
    for identifier in ([1], {"$regularExpression": {"pattern": "a", "options": ""}}, {"$undefined": True}):
        users.refused(400, "invalid_id", "POST", "/collections/users", {"_id": identifier})
    users.ok("POST", "/collections/users", {"_id": "x" * 250})
    assert (users.path / f"users/{'x' * 250}.json").exists()
    users.refused(400, "invalid_id", "POST", "/collections/users", {"_id": "x" * 251})
    users.refused(400, "invalid_id", "POST", "/collections/users", {"_id": "/" * 84})  # each is %2F


def test_generated_ids_are_strings_of_24_digits(users):
    identifier = users.ok("POST", "/collections/users", {"a": 1})["document_id"]
    assert len(identifier) == 24 and set(identifier) <= set("0123456789abcdef")
    assert (users.path / f"users/{identifier}.json").exists()


def test_another_spelling_is_not_found_and_not_made(users):
    directory = users.path / "users"
    for name, right in (("%41.json", "A.json"), ("100%.json", "100%25.json"), ("%2fa.json", "%2Fa.json"),
                        ("%o0123456789ABCDEF01234567.json", "%o0123456789abcdef01234567.json"),
                        ("%j5.json", "5.json"), ("%j%22a%22.json", "a.json")):
        assert error_of((directory / name).stat) == errno.ENOENT
        for make in ((directory / name).touch, lambda: (directory / "alice.json").rename(directory / name)):
            assert error_of(make) == errno.EINVAL, name
            assert f"'{right}'" in users.last_error("users")["message"]
    assert error_of(lambda: open(os.fsencode(directory) + b"/\xff.json", "w")) == errno.EINVAL
    assert error_of(lambda: os.stat(os.fsencode(directory) + b"/\xff.json")) == errno.ENOENT
    for long in ("x" * 251 + ".json", "x" * 256):
        assert error_of((directory / long).stat) == errno.ENAMETOOLONG
        assert error_of((directory / long).touch) == errno.ENAMETOOLONG
        assert error_of((directory / long).mkdir) == errno.ENAMETOOLONG
        assert error_of(lambda: (directory / "alice.json").rename(directory / long)) == errno.ENAMETOOLONG


def test_the_name_is_the_id_whatever_the_text_says(users):
    users.out("""echo '{"_id":"alice","a":1}' > alice.json; cp alice.json bob.json""", "users")
    assert users.out("""echo '{"_id":"bob"}' > .query; cat .query; cmp alice.json bob.json""", "users") == \
        '{"_id":"bob","a":1}\n'
    assert users.ok("GET", "/collections/users/bob")["document"] == {"_id": "bob", "a": 1}
    users.out("mv bob.json rob.json", "users")
    assert users.ok("GET", "/collections/users/rob")["document"] == {"_id": "rob", "a": 1}


def test_names_that_are_no_documents(users):
    plain = ["notes.txt", ".alice.json.swp", "alice.json~", "4913", "sedAbC123", ".x.json", ".x.json.Ab12Cd", "a.JSON", "json"]
    for name in plain:
        (users.path / "users" / name).write_text("not json")
    assert users.out("cat .count", "users") == "3\n"
    assert len(users.out("cat .export.ndjson", "users").splitlines()) == 3
    assert set(plain) <= set(os.listdir(users.path / "users"))


def test_dot_directories_and_the_root_are_plain(users):
    root = users.path
    for directory in (root / ".vscode", root / "users/.git/deep", root / "users/.git/a.d"):
        directory.mkdir(parents=True)
        (directory / "settings.json").write_text("// not json")
        (directory / "settings.json").rename(directory / "other.json")
        os.link(directory / "other.json", directory / "linked.json")
        os.symlink("other.json", directory / "sym.json")
        os.mkfifo(directory / "pipe.json")
        assert not (directory / ".query").exists() and not (directory / ".find").exists()
        assert (directory / "linked.json").read_text() == "// not json"
    (root / "root.json").write_text("plain")
    assert "users" in str(users.ok("GET", "/collections")) and ".git" not in str(users.ok("GET", "/collections"))
    assert users.out("cat .count", "users") == "3\n"
    for directory in (root, root / "users"):
        assert error_of((directory / "dir.json").mkdir) == errno.EINVAL
    (root / "users/.git/dir.json").mkdir()
    for make in (lambda: os.symlink("x", root / "users/l.json"), lambda: os.mkfifo(root / "users/p.json"),
                 lambda: os.link(root / "root.json", root / "users/h.json"),
                 lambda: os.link(root / "users/alice.json", root / "users/h")):
        assert error_of(make) == errno.EPERM


def test_collections_nest_and_each_is_asked_on_its_own(users):
    deep = users.path / "users/archive/2024"
    deep.mkdir(parents=True)
    (deep / "dora.json").write_text('{"age": 88}')
    assert users.out("cat users/.count users/archive/.count users/archive/2024/.count") == "3\n0\n1\n"
    assert users.ok("GET", "/collections/users%2Farchive%2F2024/dora")["document"]["age"] == 88
    (users.path / "users").rename(users.path / "people")
    assert (users.path / "people/archive/2024/dora.json").exists() and users.out("cat people/.count") == "3\n"
    assert error_of((users.path / "people/archive").rmdir) == errno.ENOTEMPTY
    (users.path / "people/archive/2024/dora.json").unlink()
    (users.path / "people/archive/2024/f").touch()
    assert error_of((users.path / "people/archive/2024").rmdir) == errno.ENOTEMPTY
    (users.path / "people/archive/2024/f").unlink()
    users.sh("echo bad > x.json; rm x.json", "people/archive/2024")
    assert os.listdir(users.path / "people/archive/2024/.rejected")
    (users.path / "people/archive/2024").rmdir()
    (users.path / "people/archive").rmdir()
    users.refused(404, "not_found", "GET", "/collections/users/alice")


def test_a_document_made_again_after_a_backup_has_its_number_back(users):
    directory = users.path / "users"
    number = (directory / "alice.json").stat().st_ino
    (directory / "alice.json").rename(directory / "alice.json~")
    (directory / "alice.json").write_text('{"age": 31}')
    assert (directory / "alice.json").stat().st_ino == number
    assert users.out("stat -c %i alice.json~", "users").strip() != str(number)
