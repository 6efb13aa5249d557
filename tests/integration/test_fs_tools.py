"""Ordinary tools on a mount: editors, copies, archives, version control, databases."""
import filecmp
import json
import os
import subprocess

import pytest


@pytest.fixture
def source(tmp_path):
    """A folder of documents and other files, with odd times, outside the mount."""
    folder = tmp_path / "source"
    (folder / "nested").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for i in range(60):
        (folder / f"d{i}.json").write_text(f'{{"n": {i},\n  "t":"x"}}\n')
    (folder / "nested/q.json").write_text('{"z":1}')
    (folder / ".hidden/list.json").write_text("[1]")
    (folder / "large.json").write_text(json.dumps({"a": list(range(50000))}))
    (folder / "notes.txt").write_text("hello\n")
    (folder / "blob.bin").write_bytes(os.urandom(700001))
    (folder / "link").symlink_to("notes.txt")
    os.utime(folder / "d7.json", ns=(10**18, 10**18 + 987654321))
    return folder


def assert_same(left, right):
    done = subprocess.run(["diff", "-r", left, right], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def assert_nothing_to_copy(left, right):
    """rsync compares sizes, times to the nanosecond and modes."""
    done = subprocess.run(["rsync", "-ain", f"{left}/", f"{right}/"], capture_output=True, text=True, check=True)
    assert done.stdout == ""


@pytest.mark.parametrize("command", [
    "rsync -a {source}/ c/",
    "rsync -a --inplace {source}/ c/",
    "cp -a {source} c",
    "mkdir c && tar -C {source} -cf - . | tar -C c -xf -",
])
def test_a_folder_goes_in_and_out_unchanged(mount, source, tmp_path, command):
    mount.out("set -e -o pipefail; " + command.format(source=source))
    assert_same(source, mount.path / "c")
    assert_nothing_to_copy(source, mount.path / "c")
    mount.out(f"rsync -a c/ {tmp_path}/out/")
    assert_same(source, tmp_path / "out")
    assert_nothing_to_copy(source, tmp_path / "out")
    assert mount.out("cat c/.count") == "61\n"


def test_rsync_replaces_a_changed_document(mount, source):
    mount.out(f"rsync -a {source}/ c/")
    (source / "d1.json").write_text('{"changed": true}')
    for options in ("-a", "-a --inplace --checksum"):
        mount.out(f"rsync {options} {source}/ c/")
        assert filecmp.cmp(source / "d1.json", mount.path / "c/d1.json", shallow=False)


VIM = "vim -u NONE -N -es -c 'set backupskip= backupcopy={copy} {more}' -c '{change}' -c wq alice.json"


@pytest.mark.parametrize("copy", ["auto", "yes", "no"])
def test_vim_saves_and_leaves_nothing_behind(users, copy):
    number = (users.path / "users/alice.json").stat().st_ino
    for more, age in (("", 31), ("backup", 32), ("undofile", 33)):
        users.out(VIM.format(copy=copy, more=more, change=f"%s/[0-9][0-9]/{age}/"), "users")
        assert users.out("cat alice.json", "users") == f'{{"age": {age}}}\n'
        assert users.ok("GET", "/collections/users/alice")["document"]["age"] == age
    assert (users.path / "users/alice.json").stat().st_ino == number
    left = {name for name in os.listdir(users.path / "users") if not name.endswith(".json")}
    assert left <= {"alice.json~", ".alice.json.un~"}


@pytest.mark.parametrize("copy", ["auto", "yes", "no"])
def test_vim_cannot_save_broken_json(users, copy):
    done = users.sh(VIM.format(copy=copy, more="", change="%s/}//"), "users")
    assert done.returncode != 0
    assert users.out("cat alice.json", "users") == '{"age": 30}\n'


def test_nano_saves(users, tmp_path):
    """In a terminal of its own: nano wants one."""
    socket = tmp_path / "tmux"
    tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
    keys = ["C-k", '{"age": 77}', "Enter", "C-o", "Enter", "C-x"]
    command = f"cd {users.path}/users && nano alice.json; tmux -S {socket} wait-for -S done"
    subprocess.run([*tmux, "new-session", "-d", "-x", "80", "-y", "24", command], check=True)
    try:
        subprocess.run([*tmux, "wait-for", "-L", "unused"], check=True)
        for _ in range(100):
            screen = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True).stdout
            if "age" in screen:
                break
        for key in keys:
            subprocess.run([*tmux, "send-keys", key], check=True)
        subprocess.run([*tmux, "wait-for", "done"], check=True, timeout=60)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)
    assert json.loads(users.out("cat alice.json", "users")) == {"age": 77}


def test_sed_and_perl_edit_in_place(users):
    users.out("sed -i s/30/40/ alice.json; perl -pi -e s/25/50/ bob.json", "users")
    assert users.out("cat alice.json bob.json", "users") == '{"age": 40}\n{"age": 50}\n'
    done = users.sh("sed -i s/}// alice.json", "users")
    assert done.returncode != 0 and "Invalid argument" in done.stderr
    assert users.out("cat alice.json; ls", "users") == '{"age": 40}\nalice.json\nbob.json\ncarol.json\n'


def test_git_works_in_a_collection(users):
    git = "git -c user.email=a@b -c user.name=n -c init.defaultBranch=main"
    users.out(f"{git} init -q . && {git} add . && {git} commit -qm one", "users")
    users.out("echo '{\"age\":1}' > alice.json", "users")
    assert users.out("git status --short", "users") == " M alice.json\n"
    users.out("git checkout -q alice.json && git gc -q && git fsck", "users")
    assert users.out("cat alice.json .count", "users") == '{"age": 30}\n3\n'


def test_sqlite_works_on_a_plain_file(users):
    script = ("import sqlite3; c = sqlite3.connect('x.db'); c.execute('pragma journal_mode=wal'); "
              "c.execute('create table t(a)'); c.executemany('insert into t values(?)', [(i,) for i in range(500)]); "
              "c.commit(); print(c.execute('select sum(a) from t').fetchone()[0])")
    assert users.out(f'/usr/bin/python3 -c "{script}"', "users") == "124750\n"


def test_plain_files_behave(users):
    users.out("echo abc > p; echo def >> p; truncate -s 5 p; ln p q; chmod 600 p; mkfifo f; ln -s p s", "users")
    assert users.out("cat p; echo; cat s; echo; stat -c '%a %h %s' q; readlink s", "users") == \
        "abc\nd\nabc\nd\n600 2 5\np\n"
    assert users.out("exec 5<p; rm p q s f; cat <&5", "users") == "abc\nd"
    users.out("dd if=/dev/zero of=z bs=1M count=3 conv=fsync status=none; flock z true", "users")
    assert (users.path / "users/z").stat().st_size == 3 << 20
    assert users.out("cat .count", "users") == "3\n"


def test_a_hundred_thousand_files_are_listed(mount):
    (mount.path / "c").mkdir()
    lines = "".join(f'{{"_id":"d{i:06}","n":{i}}}\n' for i in range(100000))
    (mount.path / "c/.import").write_text(lines)
    names = os.listdir(mount.path / "c")
    assert len(names) == 100000 and len(set(names)) == 100000
    assert mount.out("find c -type f -size +0 | wc -l") == "100000\n"
    assert mount.out("cat c/.export.ndjson | wc -l") == "100000\n"
