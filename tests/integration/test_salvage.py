"""check, repair and dump at a shell: a database is damaged by a script, then looked at, saved and compared."""
import json
import pathlib
import re
import shutil

import pytest

from conftest import nexadb

COUNT = 2000


def text_of(i):
    return json.dumps({"_id": i, "name": f"name {i}", "pad": "x" * (i % 300)}, separators=(",", ":"))


@pytest.fixture
def data(tmp_path):
    """A closed database with tables and a log: two collections, one of them with large documents."""
    path = tmp_path / "data"
    for collection, texts in (("people", [text_of(i) for i in range(COUNT)]),
                              ("large", [json.dumps({"_id": i, "t": "y" * 5000}, separators=(",", ":")) for i in range(40)])):
        source = tmp_path / f"{collection}.ndjson"
        source.write_text("".join(text + "\n" for text in texts))
        nexadb("import", "--memtable-bytes=256K", path, collection, source)
    assert list(path.glob("*.table"))
    return path


def files_of(path):
    return {file.name: file.read_bytes() for file in pathlib.Path(path).iterdir() if file.is_file() and file.name != "LOCK"}


def flip(path, offset, count=1):
    content = bytearray(path.read_bytes())
    for i in range(count):
        content[offset + i] ^= 0x5a
    path.write_bytes(content)


def largest_table(data):
    return max(data.glob("*.table"), key=lambda file: file.stat().st_size)


def blocks_with(table, key):
    """Where the blocks begin whose first entry's key begins so, as it is dumped."""
    blocks = re.findall(r"^block \d+ at (\d+): .*\n.*\n  (.*)\n", nexadb("dump", table).stdout, re.M)
    return [int(offset) for offset, entry in blocks if re.match(key, entry)]


def repair(data, status):
    """Repair into a new directory, which must pass check; its path and what was said. The old one is as it was."""
    before, new = files_of(data), data.parent / "new"
    done = nexadb("repair", data, new, check=False)
    assert done.returncode == status, done.stderr + done.stdout
    assert files_of(data) == before
    assert "no fault found" in nexadb("check", new).stdout
    assert done.stderr in (new / "repair.txt").read_text()
    return new, done.stderr


def exported(data, collection="people"):
    done = nexadb("export", data, collection, check=False)
    return {json.loads(line)["_id"]: line for line in done.stdout.splitlines()} if done.returncode == 0 else {}


def assert_all_there(new):
    assert exported(new) == {i: text_of(i) for i in range(COUNT)}
    assert len(exported(new, "large")) == 40


def test_a_sound_database_is_checked_and_repaired_without_loss(data):
    assert "no fault found" in nexadb("check", data).stdout
    new, said = repair(data, 0)
    assert said == ""
    assert_all_there(new)
    assert (new / "keys.json").exists() == (data / "keys.json").exists()


def test_what_is_checked_is_not_changed(data):
    before = files_of(data)
    nexadb("check", data)
    assert files_of(data) == before


def test_a_damaged_block_is_named_and_the_rest_saved(data):
    table, offset = next((file, at) for file in sorted(data.glob("*.table")) for at in blocks_with(file, r"\\x20"))
    flip(table, offset + 100)
    found = nexadb("check", data, check=False)
    assert found.returncode == 1
    assert f"{table}, block at {offset}: the checksum does not match" in found.stderr.replace("'", "")
    new, said = repair(data, 3)
    assert f"{table.name}, block at {offset}" in said and "lost are its keys" in said
    whole, saved = {i: text_of(i) for i in range(COUNT)}, exported(new)
    assert 0 < len(saved) < COUNT and saved.items() <= whole.items()


@pytest.mark.parametrize("damage", ["no marker", "no manifest", "header", "edit"])
def test_without_its_manifest_a_database_is_rebuilt_from_its_tables(data, damage):
    manifest, = data.glob("MANIFEST-*")
    marker, = data.glob("CURRENT-*")
    if damage == "no marker":
        marker.unlink()
    elif damage == "no manifest":
        manifest.unlink()
    else:
        flip(manifest, 10 if damage == "header" else 90)
    assert nexadb("check", data, check=False).returncode == 1
    new, said = repair(data, 3)
    assert "newest sequence of a key wins" in said
    assert_all_there(new)


def test_a_missing_table_is_told(data):
    table = largest_table(data)
    table.unlink()
    found = nexadb("check", data, check=False)
    assert found.returncode == 1 and f"{table}' is missing" in found.stderr
    new, said = repair(data, 3)
    assert f"'{table}' is lost as a whole" in said
    assert exported(new).items() <= {i: text_of(i) for i in range(COUNT)}.items()


@pytest.mark.parametrize("part", ["footer", "index", "tail"])
def test_blocks_are_found_without_the_index(data, part):
    table = largest_table(data)
    size = table.stat().st_size
    if part == "footer":
        flip(table, size - 20)
    elif part == "tail":
        table.write_bytes(table.read_bytes()[:size - 90])
    else:
        index = re.search(r"index at (\d+)", nexadb("dump", table).stdout)
        flip(table, int(index[1]) + 3)
    assert nexadb("check", data, check=False).returncode == 1
    new, said = repair(data, 3)
    assert table.name in said
    assert_all_there(new)


@pytest.fixture
def logged(tmp_path, serve):
    """A database whose daemon was killed: 300 documents, each a frame of its own in the log."""
    daemon = serve()
    for i in range(300):
        daemon.ok("POST", "/collections/people", {"_id": i, "pad": "z" * 200})
    daemon.kill()
    return daemon.data_dir


def test_a_damaged_middle_of_the_log_is_skipped_and_its_sequences_told(logged):
    log = max(logged.glob("*.wal"), key=lambda file: file.stat().st_mtime)
    frames = [int(at) for at in re.findall(r"^frame at (\d+)", nexadb("dump", log).stdout, re.M)]
    assert len(frames) > 250
    middle = frames[len(frames) // 2]
    flip(log, middle + 60)
    dumped = nexadb("dump", log, check=False)
    assert dumped.returncode == 1 and f"offset {middle}:" in dumped.stdout
    assert dumped.stdout.count("\nframe at") == len(frames) - 1
    new, said = repair(logged, 3)
    assert f"{log.name}' at offset {middle}:" in said and "lost are changes from sequence" in said
    assert 290 <= len(exported(new)) < 300


def test_what_only_the_ring_held_when_the_daemon_was_killed_is_saved(tmp_path, serve):
    daemon = serve()
    for i in range(200):
        daemon.ok("POST", "/collections/people?durability=buffered", {"_id": i, "pad": "z" * 200})
    daemon.kill()
    assert (daemon.data_dir / "RING").exists()
    new, said = repair(daemon.data_dir, 0)
    assert len(exported(new)) == 200, said


def test_a_collection_whose_name_is_lost_is_saved_under_another(data, tmp_path):
    """The records of names sort before documents: losing the table's first blocks loses them and spares these."""
    nexadb("repair", data, tmp_path / "one")  # one run of sorted tables
    one = tmp_path / "one"
    for table in one.glob("*.table"):
        for offset in blocks_with(table, r"\\x(01|1[0-2])"):
            flip(table, offset + 20)
    new, said = repair(one, 3)
    assert re.search(r"the directory of number \d+ is lost: what it held is in 'lost-\d+'", said)
    names = re.findall(r"'(lost-\d+)'", said)
    saved = [exported(new, name) for name in dict.fromkeys(names)]
    assert max(len(documents) for documents in saved) > COUNT / 2


def test_each_kind_of_file_is_dumped(data):
    table = nexadb("dump", largest_table(data)).stdout
    for line in (r"^table \d+, \d+ bytes", r"^filter at", r"^index at", r"^properties at", r"^block 0 at 0", r" put \("):
        assert re.search(line, table, re.M), line
    manifest, = data.glob("MANIFEST-*")
    marker, = data.glob("CURRENT-*")
    assert re.search(r"add table \(level, number, bytes\) \d+ \d+ \d+", nexadb("dump", manifest).stdout)
    assert manifest.name in nexadb("dump", marker).stdout
    assert re.search(r"^log segment \d+", nexadb("dump", next(data.glob("*.wal"))).stdout)


def test_a_damaged_table_is_dumped_as_far_as_it_goes(data):
    table = largest_table(data)
    sound = nexadb("dump", table).stdout
    flip(table, 30)
    done = nexadb("dump", table, check=False)
    assert done.returncode == 1 and "the checksum does not match" in done.stdout
    assert done.stdout.count("\nblock ") == sound.count("\nblock ")


def test_repair_refuses_what_it_would_overwrite_and_a_database_in_use(data, serve, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("x")
    done = nexadb("repair", data, tmp_path / "full", check=False)
    assert done.returncode == 1 and "is not empty" in done.stderr
    daemon = serve(data_dir=data)
    done = nexadb("repair", data, tmp_path / "new", check=False)
    assert done.returncode == 1 and str(daemon.process.pid) in done.stderr
    assert nexadb("repair", tmp_path / "nothing", tmp_path / "new", check=False).returncode == 1
    assert not shutil.os.path.exists(tmp_path / "new")


def test_dump_of_something_else_is_refused(tmp_path):
    (tmp_path / "x.txt").write_text("hello")
    assert nexadb("dump", tmp_path / "x.txt", check=False).returncode == 1
    (tmp_path / "000001.table").write_bytes(b"no table")
    assert nexadb("dump", tmp_path / "000001.table", check=False).returncode == 1
