"""Ordinary tools on a mount: editors, copies, archives, version control, databases."""
import filecmp
import json
import os
import select
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
    command = f"cd {users.path}/users && nano alice.json; tmux -S {socket} wait-for -S done; sleep 100"  # the server ends with it
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


# --- shells and copies -----------------------------------------------------------------------------

@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_what_shells_do_with_a_document(users, shell):
    def run(script):
        return users.sh(script, "users", shell)

    assert run("echo '{\"a\": 1}' > x.json; printf '%s' '{\"a\":2}' > y.json; cat x.json y.json").stdout == '{"a": 1}\n{"a":2}'
    assert run("cat > z.json <<END\n{\n  \"a\": 3\n}\nEND\ncat z.json").stdout == '{\n  "a": 3\n}\n'
    assert run("echo '  ' >> z.json; cat z.json").stdout == '{\n  "a": 3\n}\n  \n'
    assert run("jq -c . alice.json | tee t.json; cat t.json").stdout == '{"age":30}\n' * 2
    assert run("exec 4>w.json; echo '{' >&4; echo '\"a\": 1}' >&4; exec 4>&-; cat w.json").stdout == '{\n"a": 1}\n'
    assert run("(set -C; echo '{}' > alice.json) 2>&1").stdout.strip().endswith(("exist", "existing file", "exists"))
    done = run("echo '}' >> x.json")
    assert done.returncode != 0 and done.stderr
    assert run("cat x.json; echo '{}' > no/such.json").stdout == '{"a": 1}\n'
    assert users.ok("GET", "/collections/users/y")["document"] == {"_id": "y", "a": 2}


def test_copies_keep_what_they_promise(users):
    """cp, cp -p, mv and install: bytes, times, modes, and the original where a copy is refused."""
    folder = users.path / "users"
    os.utime(folder / "alice.json", ns=(10**18, 10**18 + 123456789))
    os.chmod(folder / "alice.json", 0o600)
    users.out("cp alice.json c1.json && cp -p alice.json c2.json && install -m 640 alice.json c3.json", "users")
    assert {(folder / f"c{i}.json").read_text() for i in (1, 2, 3)} == {'{"age": 30}\n'}
    assert [(folder / f"c{i}.json").stat().st_mode & 0o777 for i in (2, 3)] == [0o600, 0o640]
    assert (folder / "c2.json").stat().st_mtime_ns == 10**18 + 123456789
    users.out("mkdir more && mv c2.json more/ && mv -n c1.json bob.json; mv c1.json /dev/shm/$$.json && mv /dev/shm/$$.json c4.json",
              "users")
    assert users.out("cat more/c2.json c4.json bob.json", "users") == '{"age": 30}\n' * 2 + '{"age": 25}\n'
    assert (folder / "more/c2.json").stat().st_mtime_ns == 10**18 + 123456789
    assert users.ok("GET", "/collections/users%2Fmore/c2")["document"]["age"] == 30
    users.out("echo '[1]' > list.txt", "users")
    for command in ("cp list.txt alice.json", "cp -a list.txt alice.json", "install list.txt new.json"):
        done = users.sh(command, "users")
        assert done.returncode == 1 and "Invalid argument" in done.stderr, command
    done = users.sh("mv list.txt alice.json", "users")
    assert done.returncode == 1 and "cannot move 'list.txt'" in done.stderr  # mv's own words for EINVAL follow
    assert users.out("cat list.txt alice.json", "users") == '[1]\n{"age": 30}\n'


def test_a_bad_member_does_not_spoil_the_rest(mount, source):
    """One broken document in a folder: the tool says which, ends with its error status, and brings all others."""
    (source / "d9.json").write_text('{"broken": ')
    expected = set(os.listdir(source))
    for command, status, name in ((f"cp -a {source} c1", 1, "c1"), (f"rsync -a {source}/ c2/", 23, "c2"),
                                  (f"mkdir c3 && tar -C {source} -cf - . | tar -C c3 -xf -", 2, "c3")):
        done = mount.sh("set -o pipefail; " + command)
        assert done.returncode == status, done.stderr
        assert "d9.json" in done.stderr and "Invalid argument" in done.stderr
        assert set(os.listdir(mount.path / name)) - {"d9.json"} == expected - {"d9.json"}
        assert mount.out(f"cat {name}/.count") == "60\n"
        assert mount.last_error(name)["file"].endswith("d9.json")


def test_tar_lists_and_compares_on_the_mount(users, tmp_path):
    users.out(f"tar -cf {tmp_path}/u.tar users && tar -df {tmp_path}/u.tar && tar -czf u.tgz users && tar -tzf u.tgz | wc -l")
    (users.path / "users/alice.json").write_text('{"age": 31}\n')
    done = users.sh(f"tar -df {tmp_path}/u.tar")
    assert done.returncode == 1 and "users/alice.json: Contents differ" in done.stdout
    assert users.out(f"tar -xf {tmp_path}/u.tar && cat users/alice.json") == '{"age": 30}\n'


def test_rsync_deletes_resumes_and_moves(mount, source, tmp_path):
    mount.out(f"rsync -a {source}/ c/")
    (source / "d3.json").unlink()
    (source / "d4.json").write_text('{"n": 4, "longer": true}\n')
    said = mount.out(f"rsync -ai --delete {source}/ c/")
    assert "*deleting   d3.json" in said and "d4.json" in said
    assert_same(source, mount.path / "c")
    assert mount.out(f"rsync -ain --checksum {source}/ c/") == ""
    mount.out(f"rsync -a --remove-source-files c/d5.json {tmp_path}/moved/")
    assert not (mount.path / "c/d5.json").exists()
    mount.refused(404, "not_found", "GET", "/collections/c/d5")
    mount.out(f"rsync -a --append-verify --partial {source}/blob.bin c/ && rsync -a --delay-updates {source}/ c/")
    assert_same(source, mount.path / "c")


def test_dd_writes_blocks_and_syncs(users, tmp_path):
    (tmp_path / "d.json").write_text(json.dumps({"a": "x" * 70000}))
    for options in ("bs=4k conv=fsync", "bs=1 count=12", "bs=64k oflag=sync", "bs=4k oflag=dsync conv=fdatasync", "bs=1M"):
        given = "alice.json" if "count" in options else f"{tmp_path}/d.json"
        users.out(f"dd if={given} of=d.json {options} status=none && cmp {given} d.json; rm d.json", "users")
    done = users.sh(f"dd if={tmp_path}/d.json of=alice.json bs=1k count=3 conv=fsync", "users")
    assert done.returncode == 1 and "Invalid argument" in done.stderr
    assert users.out("cat alice.json", "users") == '{"age": 30}\n'


PYTHON_EDIT = '''
import json, os, tempfile
with open("bob.json") as file:
    document = json.load(file)
document["city"] = "Ulm"
fd, name = tempfile.mkstemp(dir=".")
with os.fdopen(fd, "w") as file:
    json.dump(document, file, indent=4)
    file.flush()
    os.fsync(fd)
os.replace(name, "bob.json")
file = open("carol.json", "w")
file.write('{"a": ')
try:
    file.close()
except OSError as error:
    print(error.errno)
'''


def test_jq_and_python_rewrite_documents(users):
    users.out("jq '.age += 1' alice.json > t && mv t alice.json && jq -s 'add' alice.json bob.json > sum.json", "users")
    assert users.out("cat alice.json", "users") == '{\n  "age": 31\n}\n'
    assert json.loads(users.out("cat sum.json", "users")) == {"age": 25}
    (users.path / "edit.py").write_text(PYTHON_EDIT)
    assert users.out("/usr/bin/python3 ../edit.py", "users") == "22\n"
    assert users.out("cat bob.json carol.json", "users") == '{\n    "age": 25,\n    "city": "Ulm"\n}{"age": 41}\n'
    assert users.ok("GET", "/collections/users/bob")["document"] == {"_id": "bob", "age": 25, "city": "Ulm"}


# --- editors ---------------------------------------------------------------------------------------

EMACS = ["emacs", "-Q", "--batch"]


def emacs(mount, lisp, **options):
    return subprocess.run([*EMACS, "--eval", f"(progn {lisp})"], cwd=mount.path / "users", capture_output=True, text=True, timeout=120,
                          **options)


@pytest.mark.parametrize("setting", ["backup-by-copying nil", "backup-by-copying t", "make-backup-files nil"])
def test_emacs_saves_and_its_backup_is_a_plain_file(users, setting):
    folder = users.path / "users"
    edit = (f'(setq {setting} backup-enable-predicate (lambda (_) t)) (find-file "alice.json") (goto-char (point-max)) (search-backward "30") (replace-match "31") '
            "(save-buffer) (goto-char (point-max)) (search-backward \"31\") (replace-match \"32\") (save-buffer)")
    done = emacs(users, edit)
    assert done.returncode == 0, done.stderr
    assert (folder / "alice.json").read_text() == '{"age": 32}\n'
    assert users.ok("GET", "/collections/users/alice")["document"]["age"] == 32
    left = {name for name in os.listdir(folder) if not name.endswith(".json")}
    assert left == (set() if "files" in setting else {"alice.json~"})
    assert users.out("cat .count", "users") == "3\n"


def test_emacs_cannot_save_broken_json_and_keeps_the_old_document(users):
    edit = '(find-file "alice.json") (goto-char (point-max)) (search-backward "}") (replace-match "") (save-buffer)'
    done = emacs(users, edit)
    assert done.returncode != 0 and "nvalid argument" in done.stderr
    kept = [(users.path / "users" / name).read_text() for name in ("alice.json", "alice.json~")
            if (users.path / "users" / name).exists()]
    assert '{"age": 30}\n' in kept


# --- version control, databases, backup programs --------------------------------------------------

GIT = "git -c user.email=a@b -c user.name=n -c init.defaultBranch=main -c advice.detachedHead=false"


def test_git_branches_merges_and_clones_a_collection(users, tmp_path):
    users.out(f"{GIT} init -q . && {GIT} add . && {GIT} commit -qm one && {GIT} checkout -qb side && echo '{{\"age\": 99}}' > bob.json"
              f" && {GIT} commit -qam two && {GIT} rm -q carol.json && {GIT} commit -qm three", "users")
    users.out(f"{GIT} checkout -q main && cat carol.json && echo '{{\"age\": 1}}' > dora.json && {GIT} add . && {GIT} commit -qm four"
              f" && {GIT} merge -q -m merged side && {GIT} gc -q --aggressive --prune=now && {GIT} fsck --full --strict", "users")
    assert users.out("cat alice.json bob.json dora.json; ls; git status --short", "users") == \
        '{"age": 30}\n{"age": 99}\n{"age": 1}\nalice.json\nbob.json\ndora.json\n'
    assert users.ok("GET", "/collections/users/bob")["document"]["age"] == 99
    users.refused(404, "not_found", "GET", "/collections/users/carol")
    users.out(f"{GIT} stash -q 2>/dev/null; {GIT} clone -q users {tmp_path}/clone && {GIT} clone -q {tmp_path}/clone copy"
              f" && {GIT} -C users worktree add -q ../tree side && diff -r -x .git users copy")
    assert users.out("cat copy/.count tree/.count users/.count") == "3\n2\n3\n"
    assert users.ok("GET", "/collections/tree/bob")["document"]["age"] == 99


SQLITE = """
pragma journal_mode={mode}; pragma synchronous=full;
create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i+1 from n where i < 2000) insert into t select i, printf('row %d', i) from n;
update t set b = b || '!' where a % 3 = 0; delete from t where a % 5 = 0; vacuum;
pragma integrity_check; select count(*), sum(a), sum(length(b)) from t;
"""


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_sqlite_journals(users, tmp_path, mode):
    (tmp_path / "script.sql").write_text(SQLITE.format(mode=mode))
    there = users.out(f"sqlite3 x.db < {tmp_path}/script.sql", "users")
    assert there == users.out(f"sqlite3 {tmp_path}/x.db < {tmp_path}/script.sql") and "ok\n" in there
    (tmp_path / "insert.sh").write_text(
        "for i in $(seq 20); do sqlite3 -cmd '.timeout 20000' x.db \"insert into t(b) values('$1')\" || exit; done\n")
    users.out(f"sh {tmp_path}/insert.sh left & sh {tmp_path}/insert.sh right & wait -n && wait -n", "users")
    assert users.out("sqlite3 x.db 'pragma integrity_check; select count(*) from t'; cat .count", "users") == "ok\n1640\n3\n"


BACKUPS = {
    "restic": "export RESTIC_PASSWORD=x RESTIC_REPOSITORY={repo} RESTIC_CACHE_DIR={repo}.cache; restic -q init; "
              "cd {mnt}/.snapshots/nightly && restic -q backup . && restic -q check && restic -q restore latest --target {back}",
    "borg": "export BORG_BASE_DIR={repo}.base; borg init -e none {repo} && cd {mnt}/.snapshots/nightly && borg create {repo}::nightly . "
            "&& borg check {repo} && cd {back} && borg extract {repo}::nightly",
}


@pytest.mark.parametrize("program", BACKUPS)
def test_a_backup_program_saves_a_snapshot_and_restores_it(mounts, source, tmp_path, program):
    mount, back = mounts(), mounts()
    mount.out(f"rsync -a {source}/ c/ && mkdir .snapshots/nightly && rm c/d1.json && echo '{{}}' > c/d2.json")
    script = BACKUPS[program].format(repo=tmp_path / "repo", mnt=mount.path, back=back.path)
    done = subprocess.run(["bash", "-c", "set -e; " + script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same(source, back.path / "c")
    assert_nothing_to_copy(source, back.path / "c")
    ask = """echo '{"n":{"$gt":50}} {"sort":{"n":1}}' > .query; cat .query"""
    assert back.out(ask, "c") == mount.out(ask, ".snapshots/nightly/c") != ""


# --- watching --------------------------------------------------------------------------------------

def test_inotifywait_sees_what_is_done_through_the_mount(users):
    events = "create,modify,close_write,moved_from,moved_to,delete"
    with subprocess.Popen(["inotifywait", "-m", "-q", "-e", events, "--format", "%e %f", "users"], cwd=users.path,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        try:
            users.out("touch start.txt", "users")  # until it is heard, the watch may not be there
            for _ in range(100):
                if select.select([watcher.stdout], [], [], 0.1)[0]:
                    break
                users.out("touch start.txt; rm start.txt", "users")
            users.out("echo '{}' > x.json; mv x.json y.json; echo '{\"a\":1}' > y.json; rm y.json; touch end.txt", "users")
            seen = []
            for line in watcher.stdout:
                seen += [line.strip()] if ".json" in line else []
                if "end.txt" in line:
                    break
        finally:
            watcher.kill()
    assert seen == ["CREATE x.json", "MODIFY x.json", "CLOSE_WRITE,CLOSE x.json", "MOVED_FROM x.json", "MOVED_TO y.json",
                    "MODIFY y.json", "MODIFY y.json", "CLOSE_WRITE,CLOSE y.json", "DELETE y.json"]


def test_tail_follows_a_plain_file(users):
    (users.path / "users/log.txt").write_text("first\n")
    with subprocess.Popen(["tail", "-n", "+1", "-s", "0.1", "-f", "log.txt"], cwd=users.path / "users", stdout=subprocess.PIPE,
                          text=True) as tail:
        try:
            assert tail.stdout.readline() == "first\n"
            for i in range(3):
                users.out(f"echo line {i} >> log.txt", "users")
                assert tail.stdout.readline() == f"line {i}\n"
        finally:
            tail.kill()


def test_a_backup_that_is_moved_back_at_once_is_moved(mount):
    """The kernel knows the backup by the document's old number for a moment (decision 0075); others in the directory make it longer."""
    (mount.path / "c").mkdir()
    document, backup = mount.path / "c/a.json", mount.path / "c/a.json~"
    crowd = [subprocess.Popen(["bash", "-c", f"while :; do : > f{n}; rm f{n}; done"], cwd=mount.path / "c") for n in range(3)]
    try:
        for i in range(300):
            document.write_text('{"version": "old"}\n')
            os.rename(document, backup)
            document.write_text('{"version": "new"}\n')
            os.rename(backup, document)
            assert document.read_text() == '{"version": "old"}\n', i
            assert not backup.exists()
            document.unlink()
    finally:
        for process in crowd:
            process.kill()
            process.wait()
