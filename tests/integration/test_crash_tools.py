"""kill -9 of the daemon while an ordinary tool works on the mount: whole versions afterwards, and all that a step had finished."""
import json
import random
import subprocess
import time

import pytest

from conftest import nexadb

GIT = "git -c user.email=a@b -c user.name=n -c init.defaultBranch=main -c gc.auto=0"


def numbered(n):
    """Its numbers are all the same, so that an editor makes the next one by replacing numbers."""
    return f'{{"n": {n}, "pad": "{"x" * 5000}", "last": {n}}}\n'


@pytest.fixture
def versions(tmp_path):
    """Two folders of the same names, `0` and `1`: every text tells which it is of, in all of its parts."""
    for n in (0, 1):
        (tmp_path / f"{n}").mkdir()
        for i in range(30):
            pad = f"version {n}," * (30 if i % 2 else 900)
            (tmp_path / f"{n}" / f"d{i}.json").write_text(json.dumps({"i": i, "pad": pad}))
    (tmp_path / "inserts.sql").write_text(
        "".join(f"insert into t values({n}, printf('%2000d', {n})); select {n};\n" for n in range(20000)))
    return tmp_path


def is_whole(path, versions):
    return any(path.read_text() == (versions / f"{n}" / path.name).read_text() for n in (0, 1))


def assert_whole(folder, versions):
    """Each document is one of its two versions; one that was being made may be an empty draft."""
    found = [path for path in folder.glob("d*.json") if path.stat().st_size]
    assert found
    for path in found:
        assert is_whole(path, versions), path
    return {path.name for path in found}


def all_there(mount, versions, _steps, missing=0):
    folder = mount.path / "c"
    names = assert_whole(folder, versions)
    assert len(names) >= 30 - missing  # one round was through
    assert int((folder / ".count").read_text()) == len(names) + 1  # v.json


def again_completes(mount, versions, steps):
    all_there(mount, versions, steps, missing=1)  # tar removes a file before it makes the new one
    mount.out(f"rsync -a --checksum {versions}/1/ c/ && rm c/v.json && diff -r -x '.d*' {versions}/1 c")


def commits_there(mount, versions, steps):
    mount.out(f"rm -f .git/index.lock .git/HEAD.lock .git/refs/heads/main.lock; {GIT} fsck --strict && {GIT} reset -q --hard", "c")
    assert mount.out(f"{GIT} log --format=%H", "c").split()[-len(steps):] == steps[::-1]
    assert_whole(mount.path / "c", versions)


def rows_there(mount, versions, steps):
    assert mount.out("sqlite3 x.db 'pragma integrity_check'", "c") == "ok\n"
    kept = mount.out("sqlite3 x.db 'select a from t order by a'", "c").split()
    assert kept[:len(steps)] == steps and len(kept) - len(steps) in (0, 1)


def saved_or_backed_up(mount, versions, steps):
    """vim moves the document away before it writes the new one: a crash between them leaves the old text there."""
    folder = mount.path / "c"
    texts = [path.read_text() for path in (folder / "v.json", folder / "v.json~") if path.exists() and path.stat().st_size]
    numbers = [json.loads(text)["n"] for text in texts]
    assert texts and all(text == numbered(n) for text, n in zip(texts, numbers))
    assert max(numbers) >= len(steps)


def edited(mount, versions, steps):
    text = (mount.path / "c/v.json").read_text()
    n = json.loads(text)["n"]
    assert text == numbered(n) and n - len(steps) in (0, 1)


def synced_there(mount, versions, steps):
    for n in steps:
        assert (mount.path / f"c/s{n}.json").read_text() == numbered(n)


COPY = "for k in $(seq 999); do {} || exit; echo $k; done"
EDIT = "for k in $(seq 999); do {} || exit; echo $k; done"
VIM = "vim -u NONE -N -es -c 'set backupskip= backup backupcopy={}' -c \"%s/[0-9][0-9]*/$k/g\" -c wq v.json"
# name: what runs in the collection until the daemon is gone (it prints a line a finished step), the check, steps before the kill
SCENARIOS = {
    "cp": (COPY.format("cp {versions}/$((k%2))/*.json ."), all_there, 2),
    "cp -a": (COPY.format("cp -a {versions}/$((k%2))/. ."), all_there, 2),
    "mv": (COPY.format("for d in {versions}/$((k%2))/*.json; do cp $d t && mv t $(basename $d) || exit; done"), all_there, 1),
    "rsync": (COPY.format("rsync -a --checksum {versions}/$((k%2))/ ."), again_completes, 2),
    "rsync --inplace": (COPY.format("rsync -a --checksum --inplace {versions}/$((k%2))/ ."), again_completes, 2),
    "tar": (COPY.format("tar -C {versions}/$((k%2)) -cf - . | tar -xf -"), again_completes, 2),
    "git": (f"{GIT} init -q .; for k in $(seq 999); do cp {{versions}}/$((k%2))/*.json . && {GIT} add . && {GIT} commit -qm $k || exit; "
            f"{GIT} rev-parse HEAD || exit; done", commits_there, 2),
    "sqlite": ("sqlite3 x.db 'create table t(a integer primary key, b text)'; sqlite3 -bail x.db < {versions}/inserts.sql", rows_there,
               100),
    "sqlite wal": ("sqlite3 x.db 'pragma journal_mode=wal; create table t(a integer primary key, b text)' >/dev/null; "
                   "sqlite3 -bail x.db < {versions}/inserts.sql", rows_there, 500),
    "vim": (EDIT.format(VIM.format("no")), saved_or_backed_up, 3),
    "vim in place": (EDIT.format(VIM.format("yes")), saved_or_backed_up, 3),
    "sed -i": (EDIT.format("sed -i \"s/[0-9][0-9]*/$k/g\" v.json"), edited, 8),
    "perl -i": (EDIT.format("perl -pi -e \"s/[0-9]+/$k/g\" v.json && grep -q \"$k}\" v.json"), edited, 8),
    "dd": (EDIT.format("sed \"s/[0-9][0-9]*/$k/g\" v.json | dd of=s$k.json bs=64k iflag=fullblock conv=fsync status=none"), synced_there,
           15),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_a_tool_had_finished_is_there_and_nothing_is_torn(mounts, versions, name):
    script, check, least = SCENARIOS[name]
    mount = mounts()
    (mount.path / "c").mkdir()
    (mount.path / "c/v.json").write_text(numbered(0))
    with subprocess.Popen(["bash", "-c", script.replace("{versions}", str(versions))], cwd=mount.path / "c", stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, start_new_session=True) as tool:
        steps = [tool.stdout.readline().strip() for _ in range(least)]
        time.sleep(random.Random(name).random() / 20)  # somewhere in the next step
        mount.kill()
        steps += tool.stdout.read().split()
    assert all(steps)
    mount.start()
    check(mount, versions, steps)
    mount.stop()
    assert "no fault found" in nexadb("check", mount.data_dir).stdout
