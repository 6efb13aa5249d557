"""`-o conflict=fail`: a commit over a version that its writer has not seen fails, and its bytes are kept."""
import errno
import json
import os

import pytest


def error_of(action):
    with pytest.raises(OSError) as caught:
        action()
    return caught.value.errno


@pytest.fixture
def strict(mounts):
    mount = mounts("-o", "conflict=fail")
    (mount.path / "users").mkdir()
    (mount.path / "users/alice.json").write_text('{"age": 30}\n')
    return mount


def by_rest(mount, age, name="alice"):
    made = mount.call("POST", "/collections/users", {"_id": name, "age": age})
    if made.status == 409:
        mount.ok("PUT", f"/collections/users/{name}", {"age": age})


def kept(mount):
    return {path.name: path.read_text() for path in sorted((mount.path / "users/.rejected").iterdir())}


def age_of(mount, name="alice"):
    return json.loads((mount.path / f"users/{name}.json").read_text())["age"]


@pytest.mark.parametrize("end", ["close", "fsync"])
def test_a_handle_fails_over_a_newer_version(strict, end):
    fd = os.open(strict.path / "users/alice.json", os.O_WRONLY | os.O_TRUNC)
    by_rest(strict, 31)
    os.write(fd, b'{"age": 99}\n')
    if end == "fsync":
        assert error_of(lambda: os.fsync(fd)) == errno.ESTALE
    assert error_of(lambda: os.close(fd)) == errno.ESTALE
    assert age_of(strict) == 31
    assert kept(strict) == {"alice.json.1": '{"age": 99}\n'}
    assert "changed by another writer" in strict.last_error("users")["message"]
    (strict.path / "users/alice.json").write_text('{"age": 32}')  # who opens it now has seen it
    assert age_of(strict) == 32


def test_the_kept_text_can_be_moved_back_over_the_newer_version(strict):
    fd = os.open(strict.path / "users/alice.json", os.O_WRONLY | os.O_TRUNC)
    by_rest(strict, 31)
    os.write(fd, b'{"age": 99}\n')
    assert error_of(lambda: os.close(fd)) == errno.ESTALE
    strict.out("mv .rejected/alice.json.1 alice.json", "users")
    assert age_of(strict) == 99


def test_a_document_that_appeared_meanwhile_is_newer(strict):
    fd = os.open(strict.path / "users/new.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    by_rest(strict, 1, "new")
    os.write(fd, b'{"age": 2}\n')
    assert error_of(lambda: os.close(fd)) == errno.ESTALE
    assert age_of(strict, "new") == 1 and kept(strict) == {"new.json.1": '{"age": 2}\n'}


def test_own_times_and_modes_are_no_newer_version(strict, tmp_path):
    fd = os.open(strict.path / "users/alice.json", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b'{"age": 31}\n')
    os.utime(fd, ns=(1, 1))
    os.fchmod(fd, 0o600)
    os.close(fd)
    assert age_of(strict) == 31
    (tmp_path / "alice.json").write_text('{"age": 32}\n')
    os.utime(tmp_path / "alice.json", ns=(5, 1_600_000_000_000_000_000))
    strict.out(f"cp -a {tmp_path}/alice.json alice.json", "users")
    strict.out(f"rsync -a --inplace {tmp_path}/ ./; rsync -a {tmp_path}/alice.json ./", "users")
    strict.out("tar -cf ../t.tar alice.json; tar -xf ../t.tar", "users")
    assert age_of(strict) == 32
    assert (strict.path / "users/alice.json").stat().st_mtime_ns == 1_600_000_000_000_000_000


def test_a_handle_may_commit_more_than_once(strict):
    with open(strict.path / "users/alice.json", "r+b", buffering=0) as file:
        for age in (31, 32, 33):
            file.seek(0)
            file.write(b'{"age": %d}\n' % age)
            os.fsync(file.fileno())
    assert age_of(strict) == 33


def test_a_rename_fails_over_a_version_newer_than_its_source(strict):
    users = strict.path / "users"
    (users / "tmp").write_text('{"age": 99}\n')
    by_rest(strict, 31)
    assert error_of(lambda: (users / "tmp").rename(users / "alice.json")) == errno.EBUSY
    assert age_of(strict) == 31 and (users / "tmp").exists()
    assert kept(strict) == {"alice.json.1": '{"age": 99}\n'}
    assert strict.last_error("users")["file"] == "alice.json"
    done = strict.sh("mv tmp alice.json", "users")
    assert done.returncode == 1 and "busy" in done.stderr
    (users / "tmp2").write_text('{"age": 32}\n')
    (users / "tmp2").rename(users / "alice.json")
    assert age_of(strict) == 32


def test_a_document_moved_over_a_newer_one_fails(strict):
    users = strict.path / "users"
    by_rest(strict, 1, "old")
    by_rest(strict, 31)
    assert error_of(lambda: (users / "old.json").rename(users / "alice.json")) == errno.EBUSY
    assert age_of(strict) == 31 and age_of(strict, "old") == 1
    by_rest(strict, 5, "fresh")
    (users / "fresh.json").rename(users / "alice.json")
    assert age_of(strict) == 5


def test_tools_save_where_nobody_else_writes(strict):
    strict.out("sed -i s/30/31/ alice.json; perl -pi -e s/31/32/ alice.json", "users")
    assert age_of(strict) == 32
    for backupcopy in ("yes", "no"):
        strict.out(f"vim -N -u NONE -i NONE -n -es -c 'set backup backupskip= backupcopy={backupcopy} backupdir=. "
                   "directory=.' -c '%s/[0-9]/4/' -c 'wq' alice.json </dev/null", "users")
    assert age_of(strict) == 42
    strict.out("mv alice.json alice.json~; mv alice.json~ alice.json", "users")


def test_a_backup_by_rename_is_the_base_of_what_follows(strict):
    """As vim does it; meanwhile the other door makes the document anew."""
    users = strict.path / "users"
    (users / "alice.json").rename(users / "alice.json~")
    by_rest(strict, 31)
    fd = os.open(users / "alice.json", os.O_WRONLY | os.O_TRUNC)
    os.write(fd, b'{"age": 99}\n')
    assert error_of(lambda: os.close(fd)) == errno.ESTALE
    assert age_of(strict) == 31
    assert error_of(lambda: (users / "alice.json~").rename(users / "alice.json")) == errno.EBUSY
    assert age_of(strict) == 31


def test_without_the_option_the_last_writer_wins(users):
    directory = users.path / "users"
    fd = os.open(directory / "alice.json", os.O_WRONLY | os.O_TRUNC)
    (directory / "tmp").write_text('{"age": 98}\n')
    by_rest(users, 31)
    os.write(fd, b'{"age": 99}\n')
    os.close(fd)
    assert age_of(users) == 99
    (directory / "tmp").rename(directory / "alice.json")
    assert age_of(users) == 98


def test_a_text_refused_by_rename_is_kept(users):
    directory = users.path / "users"
    done = users.sh("sed -i s/30/x/ alice.json", "users")
    assert done.returncode != 0 and "Invalid argument" in done.stderr
    assert age_of(users) == 30
    assert kept(users) == {"alice.json.1": '{"age": x}\n'}
    error = users.last_error("users")
    assert (error["file"], error["line"], error["column"]) == ("alice.json", 1, 9) and "^" in error["caret"]
    (directory / "plain").write_text("no document")
    (directory / "plain").rename(directory / "renamed")  # a name that is no document's: nothing to refuse
    assert len(kept(users)) == 1
