"""What goes wrong at a prompt: each gives a clear error, at the place where its user looks, and harms nothing else."""
import json
import os
import pathlib
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import time

import pytest

from conftest import NEXADB, SUSPICIOUS, nexadb

LONG = "n" * 300
MEBIBYTE = 1 << 20


def assert_three_left(users):
    assert users.out("cat alice.json bob.json carol.json; cat .count", "users") == '{"age": 30}\n{"age": 25}\n{"age": 41}\n3\n'


# --- broken questions --------------------------------------------------------------------------------

@pytest.mark.parametrize("file, text, reason", [
    (".query", '{"age": {"$foo": 1}}', "unknown operator '$foo'"),
    (".query", '{"$expr": {"$foo": 1}}', "unknown expression operator '$foo'"),
    (".query", '{"name": {"$regex": "("}}', "missing closing parenthesis"),
    (".query", '{} {"limt": 1}', "limt"),
    (".query", "[1]", ""),
    (".aggregate", '[{"$foo": 1}]', "unknown pipeline stage '$foo'"),
    (".aggregate", '{"$match": {}}', ""),
    (".update", '{"filter": {}, "update": {"$foo": {"a": 1}}}', "unknown update operator '$foo'"),
    (".update", '{"filter": {"$foo": 1}, "update": {"$set": {"a": 1}}}', "unknown operator '$foo'"),
    (".vsearch", '{"vector": [1], "metric": "foo"}', "unknown metric 'foo'"),
    (".vsearch", '{"vector": [1, "x"]}', "numbers"),
    (".import", '{"a": 1}\n{"a": nonsense}\n', ""),
])
def test_a_wrong_question_is_refused_and_explained(users, file, text, reason):
    for shell in ("bash", "dash"):
        done = users.sh(f"cat > {file} <<'END'\n{text}\nEND", "users", shell)
        assert done.returncode != 0 and "nvalid argument" in done.stderr
        error = users.last_error("users")
        assert error["file"] == file and reason in error["message"] and error["message"]
    if file != ".import":  # whose first line is in
        assert_three_left(users)


def test_a_question_that_rest_refuses_says_the_same(users):
    assert "'$foo'" in users.refused(400, "unknown_operator", "POST", "/collections/users/query", {"query": {"a": {"$foo": 1}}})["error"]
    for key in (False, "wrong", "nx_" + "0" * 64):
        users.refused(401, "unauthorized", "GET", "/collections/users", key=key)
    assert_three_left(users)


def test_magic_files_cannot_be_used_as_files(users):
    for command in ("mv .query x", "ln .query y", "mkdir .query", "mv alice.json .query", "chmod 600 .query", "echo x > .count",
                    "echo x > .export.ndjson", "mkdir .errors", "ln -s x .stats", "cat .query"):
        done = users.sh(command, "users")
        assert done.returncode != 0 and done.stderr, command
    assert_three_left(users)


# --- too big, too long -------------------------------------------------------------------------------

def test_a_document_of_17_mebibytes_is_refused_at_every_door(users, tmp_path):
    big = tmp_path / "big.json"
    big.write_text('{"a":"' + "x" * (17 * MEBIBYTE) + '"}')
    for command in (f"cp {big} b.json", f"cat {big} > b.json", f"dd if={big} of=b.json bs=64k conv=fsync", f"rsync {big} b.json",
                    f"cp {big} t && mv t b.json", f"cat {big} > .import", f"jq -c . {big} > b.json", f"cp {big} alice.json"):
        done = users.sh(command, "users")
        assert done.returncode != 0 and "too large" in done.stderr, command + done.stderr
        assert "16777216" in users.last_error("users")["message"], command
        users.sh("rm -f b.json t .rejected/*", "users")
    for method, path in (("POST", "/collections/users"), ("PUT", "/collections/users/b")):
        assert "16777216" in users.refused(413, "too_large", method, path, big.read_bytes())["error"]
    assert_three_left(users)


def test_16_mebibytes_are_not_too_big(users, tmp_path):
    big = tmp_path / "big.json"
    big.write_text('{"a":"' + "x" * (16 * MEBIBYTE - 100) + '"}')
    users.out(f"cp {big} big.json && cmp {big} big.json && rsync -a big.json copy.json && cmp {big} copy.json", "users")
    assert len(users.ok("GET", "/collections/users/big")["document"]["a"]) == 16 * MEBIBYTE - 100


def test_a_name_of_300_bytes_is_too_long_wherever_it_is_given(users):
    for command in (f"echo x > {LONG}", f"echo '{{}}' > {LONG}.json", f"mkdir {LONG}", f"touch {LONG}", f"mv alice.json {LONG}.json",
                    f"ln -s x {LONG}", f"mkfifo {LONG}", f"cat {LONG}.json", f"rm {LONG}", f"rmdir {LONG}", f"stat {LONG}"):
        done = users.sh(command, "users")
        assert done.returncode != 0 and "too long" in done.stderr, command
    for method, path, body in (("PUT", f"/collections/users/{LONG}?replace=true", {}), ("POST", "/collections/users", {"_id": LONG}),
                               ("POST", "/collections/users", {"_id": "%" * 90})):
        assert "255" in users.refused(400, "invalid_id", method, path, body)["error"]
    assert "255" in users.refused(400, "invalid_name", "POST", f"/collections/{LONG}", {})["error"]
    fits = "e" * 250
    users.out(f"echo '{{}}' > {fits}.json && mkdir {'d' * 255} && rmdir {'d' * 255} && mv {fits}.json {'f' * 250}.json && rm f*.json", "users")
    assert_three_left(users)


def test_a_broken_save_in_vim_is_kept_for_its_author(users):
    users.sh("vim -u NONE -N -es -c 'set backupskip= backupcopy=yes' -c '%s/}/,/' -c 'wq!' alice.json", "users")
    assert_three_left(users)
    kept = list((users.path / "users/.rejected").iterdir())
    assert '{"age": 30,\n' in [path.read_text() for path in kept]
    assert users.last_error("users")["file"] == "alice.json"


# --- damage on the disk ------------------------------------------------------------------------------

COUNT = 2000


@pytest.fixture
def data(tmp_path):
    """A closed database whose documents lie in a table."""
    source = tmp_path / "people.ndjson"
    source.write_text("".join(json.dumps({"_id": i, "pad": "x" * (i % 300)}) + "\n" for i in range(COUNT)))
    nexadb("import", "--memtable-bytes=256K", tmp_path / "data", "people", source)
    return tmp_path / "data"


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x5a
    path.write_bytes(content)


def blocks_with(data, key):
    """The blocks whose first key begins so: their tables and offsets."""
    return [(table, int(offset)) for table in sorted(data.glob("*.table")) for offset, entry in
            re.findall(r"^block \d+ at (\d+): .*\n.*\n  (.*)\n", nexadb("dump", table).stdout, re.M) if re.match(key, entry)]


def test_a_damaged_block_is_an_error_of_what_it_holds_and_named(data, mounts):
    table, offset = blocks_with(data, r"\\x20")[0]
    flip(table, offset + 100)
    place = f"{table.name}, block at {offset}: the checksum does not match"
    mount = mounts(data_dir=data)
    folder = mount.path / "people"
    broken = []
    for i in range(COUNT):
        try:
            assert json.loads((folder / f"{i}.json").read_text())["pad"] == "x" * (i % 300)
        except OSError as error:
            assert error.errno == 5
            broken.append(i)
    assert 0 < len(broken) < COUNT / 2
    assert place in mount.log.read_text()
    for command in ("ls -l", "cat .export.ndjson", "echo '{}' > .query; cat .query"):
        done = mount.sh(command + " > /dev/null", "people")
        assert done.returncode != 0 and "Input/output error" in done.stderr, command
    assert place in mount.last_error("people")["message"]
    assert place in mount.refused(500, "corrupt_data", "GET", f"/collections/people/{broken[0]}")["error"]
    assert place in mount.refused(500, "corrupt_data", "POST", "/collections/people/query", {"query": {}})["error"]
    mount.out("echo '{}' > new.json && cat new.json && rm new.json && mkdir ../more", "people")  # the rest works
    mount.stop()
    done = nexadb("check", data, check=False)
    assert done.returncode == 1 and place in done.stderr and str(table) in done.stderr


@pytest.mark.parametrize("damage", ["root", "index", "log"])
def test_what_cannot_be_served_is_not_mounted_and_says_where_and_what_to_do(data, serve, tmp_path, damage):
    if damage == "log":
        daemon = serve(data_dir=tmp_path / "logged")
        for i in range(100):
            daemon.ok("POST", "/collections/people", {"_id": i, "pad": "z" * 200})
        daemon.kill()
        data = daemon.data_dir
        (data / "RING").unlink()  # or the damage would be mended from it
        file, = data.glob("*.wal")
        frames = re.findall(r"^frame at (\d+)", nexadb("dump", file).stdout, re.M)
        offset = int(frames[50])
        flip(file, offset + 60)
    elif damage == "root":
        file, offset = blocks_with(data, r"\\x1[0-2]")[-1]  # the last has what counts each directory
        flip(file, offset + 20)
    else:
        file = max(data.glob("*.table"), key=lambda table: table.stat().st_size)
        offset = int(re.search(r"index at (\d+)", nexadb("dump", file).stdout)[1])
        flip(file, offset + 3)
    (tmp_path / "mnt").mkdir()
    done = nexadb("mount", "--http", "off", data, tmp_path / "mnt", check=False)
    if done.returncode == 0:
        nexadb("umount", tmp_path / "mnt")
    assert done.returncode == 1 and file.name in done.stderr and str(offset) in done.stderr and "nexadb repair" in done.stderr
    assert not os.path.ismount(tmp_path / "mnt")
    done = nexadb("check", data, check=False)
    assert done.returncode == 1 and file.name in done.stderr and str(offset) in done.stderr


def test_a_log_whose_tail_is_cut_loses_that_only(serve, mounts, tmp_path):
    """As a power failure leaves it: the ring, which is memory, is gone as well."""
    daemon = serve(data_dir=tmp_path / "logged")
    for i in range(100):
        daemon.ok("POST", "/collections/people", {"_id": i, "pad": "z" * 200})
    daemon.kill()
    (daemon.data_dir / "RING").unlink()
    log, = daemon.data_dir.glob("*.wal")
    frames = [int(at) for at in re.findall(r"^frame at (\d+)", nexadb("dump", log).stdout, re.M)]
    os.truncate(log, frames[-1] + 30)
    mount = mounts(data_dir=daemon.data_dir)
    assert mount.out("cat people/.count; ls people | wc -l") == "99\n99\n"
    assert json.loads((mount.path / "people/98.json").read_text()) == {"pad": "z" * 200}
    mount.stop()
    assert "no fault found" in nexadb("check", daemon.data_dir).stdout


# --- an ordinary user --------------------------------------------------------------------------------

class Nobody:
    """Runs the program as `nobody` (or, where the tests are not root's, as who runs them) in a folder of that user."""

    def __init__(self, home):
        self.home = home
        self.program = home / "nexadb"
        self.ids = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        shutil.copy(NEXADB, self.program)  # which may lie where that user cannot look
        for path in (home, self.program):
            os.chmod(path, 0o755)
            os.chown(path, self.ids.pw_uid, self.ids.pw_gid)

    def run(self, *command, check=True):
        become = [] if os.geteuid() else ["setpriv", f"--reuid={self.ids.pw_uid}", f"--regid={self.ids.pw_gid}", "--clear-groups"]
        environment = {**os.environ, "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home)}
        done = subprocess.run([*become, *map(str, command)], cwd=self.home, env=environment, capture_output=True, text=True, timeout=60)
        assert not SUSPICIOUS.search(done.stderr), done.stderr
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def mount(self):
        self.run(self.program, "mount", "--http", "127.0.0.1:0", self.home / "data", self.home / "mnt")
        return int((self.home / "data/nexadb.pid").read_text())


@pytest.fixture
def fuse_for_all():
    """What Debian's udev sees to."""
    mode = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
    if os.geteuid() == 0:
        os.chmod("/dev/fuse", 0o666)
    yield
    if os.geteuid() == 0:
        os.chmod("/dev/fuse", mode)


@pytest.fixture
def nobody(fuse_for_all):  # pylint: disable=redefined-outer-name,unused-argument
    home = pathlib.Path(tempfile.mkdtemp(prefix="nexadb-nobody-", dir="/tmp"))
    user = Nobody(home)
    user.run("mkdir", "mnt")
    yield user
    subprocess.run(["fusermount3", "-u", "-z", "-q", str(home / "mnt")], check=False)
    log = (home / "data/nexadb.log").read_text()
    shutil.rmtree(home)
    assert not SUSPICIOUS.search(log), log


def test_an_ordinary_user_mounts_works_and_unmounts(nobody):
    nobody.mount()
    script = ("set -e; cd mnt; mkdir c; echo '{\"a\":1}' > c/x.json; sed -i s/1/2/ c/x.json; echo '{\"a\":2}' > c/.query; cat c/.query; "
              "cp -a c d; rsync -a c/ e/; echo plain > p; ln -s p l; cat l; rm -r d; ls; stat -c '%U %a' c/x.json")
    said = nobody.run("bash", "-c", script).stdout
    assert said == f'{{"_id":"x","a":2}}\nplain\nc\ne\nl\np\n{nobody.ids.pw_name} 644\n'
    if os.geteuid() == 0:  # nor does root see another's mount
        with pytest.raises(PermissionError):
            os.listdir(nobody.home / "mnt")
    assert stat.S_IMODE((nobody.home / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((nobody.home / "data/api.key").stat().st_mode) == 0o600
    done = nobody.run("bash", "-c", "cd mnt && ../nexadb umount ../mnt", check=False)
    assert done.returncode == 1 and "in use" in done.stderr
    nobody.run(nobody.program, "umount", "mnt")
    assert nobody.run(nobody.program, "count", "data", "c").stdout == "1\n"
    assert "no fault found" in nobody.run(nobody.program, "check", "data").stdout


def test_an_ordinary_users_dead_mount_is_taken_over(nobody):
    pid = nobody.mount()
    nobody.run("bash", "-c", "mkdir mnt/c; echo '{}' > mnt/c/x.json")
    os.kill(pid, 9)
    while os.path.exists(f"/proc/{pid}") and "Z" not in pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:
        time.sleep(0.02)
    assert nobody.run("ls", "mnt/c", check=False).returncode != 0
    nobody.mount()
    assert nobody.run("ls", "mnt/c").stdout == "x.json\n"
    nobody.run(nobody.program, "umount", "mnt")


def test_a_user_is_told_what_is_not_allowed(nobody):
    def refused(*arguments):
        done = nobody.run(nobody.program, "mount", "--http", "off", *arguments, check=False)
        assert done.returncode == 1 and "\n" not in done.stderr.strip()
        return done.stderr

    nobody.mount()
    nobody.run(nobody.program, "umount", "mnt")
    if os.geteuid() == 0:
        assert "/nexadb-none" in refused("/nexadb-none", "mnt")
        assert "/usr" in refused("data", "/usr")
        os.chmod("/dev/fuse", 0o600)
        assert "no permission to use /dev/fuse" in refused("data", "mnt")
        os.chmod("/dev/fuse", 0o666)
    if "\nuser_allow_other" not in pathlib.Path("/etc/fuse.conf").read_text():
        assert "user_allow_other" in refused("-o", "allow_other", "data", "mnt")
    nobody.mount()  # nothing is left that would be in its way
    nobody.run(nobody.program, "umount", "mnt")
