"""The program at a shell: help, exit statuses, import and export, keys, and who may open what."""
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from conftest import NEXADB, ROOT, nexadb

COMMANDS = re.findall(r"^  (\w+) ", nexadb("--help").stdout, re.M)


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def test_help_lists_the_commands_and_each_explains_itself():
    assert {"serve", "import", "export", "query", "count", "stats", "key", "check", "version"} <= set(COMMANDS)
    for command in COMMANDS:
        text = nexadb(command, "--help").stdout
        assert text.startswith(f"usage: nexadb {command}") and "--help" in text


@pytest.mark.parametrize("args", [[], ["nonsense"], ["serve"], ["query", "x"], ["serve", "--nope", "x"],
                                  ["serve", "--workers=0", "x"], ["key", "burn", "x"], ["import", "x", "c", "--format=xml"]])
def test_wrong_usage_is_2_and_says_why(args):
    done = nexadb(*args, check=False)
    assert done.returncode == 2 and done.stderr.strip() and not done.stdout


def test_version():
    assert re.match(r"nexadb \d+\.\d+\.\d+\n", nexadb("version").stdout)


def test_print_config_shows_flag_over_environment_over_file(tmp_path):
    config = tmp_path / "nexadb.conf"
    config.write_text("workers = 3\ncache-bytes = 1M\nhttp = off\n")
    done = nexadb("serve", "--config", config, "--http", ":1", "--print-config",
                  env={"NEXADB_CACHE_BYTES": "2M"})
    assert "workers = 3\n" in done.stdout and "cache-bytes = 2097152\n" in done.stdout and 'http = ":1"' in done.stdout
    config.write_text("colour = red\n")
    done = nexadb("serve", "--config", config, "x", check=False)
    assert done.returncode == 2 and f"{config}:1: unknown setting 'colour'" in done.stderr


def test_import_query_count_and_export_without_a_daemon(data, tmp_path):
    source = tmp_path / "people.ndjson"
    source.write_text("".join(f'{{"_id":{i},"age":{i % 7}}}\n' for i in range(1000)))
    assert nexadb("import", data, "people", source).stdout == "1000 inserted, 0 replaced, 0 rejected\n"
    assert nexadb("count", data, "people", '{"age":3}').stdout == "143\n"
    assert nexadb("query", data, "people", '{"_id":{"$lt":2}}', "--sort", '{"_id":-1}').stdout == \
        '{"_id":1,"age":1}\n{"_id":0,"age":0}\n'
    assert nexadb("query", data, "people", "--limit=1", "--projection", '{"age":1,"_id":0}').stdout == '{"age":0}\n'
    assert nexadb("export", data, "people").stdout == source.read_text()
    assert json.loads(nexadb("stats", data).stdout)["documents"] == 1000
    assert "no fault found" in nexadb("check", data).stdout


def test_import_tells_csv_and_json_apart(data, tmp_path):
    (tmp_path / "a.csv").write_text("_id,n\n1,x\n2,5\n")
    (tmp_path / "b.json").write_text('[\n {"_id": 3},\n {"_id": 4}\n]\n')
    assert nexadb("import", data, "c", tmp_path / "a.csv", tmp_path / "b.json").stdout.startswith("4 inserted")
    assert nexadb("query", data, "c", '{"_id":2}').stdout == '{"_id":2,"n":5}\n'


def test_import_names_bad_lines_and_fails(data, tmp_path):
    source = tmp_path / "x.ndjson"
    source.write_text('{"_id":1}\n{bad}\n{"_id":2}\n')
    done = nexadb("import", data, "c", source, check=False)
    assert done.returncode == 1 and done.stdout == "2 inserted, 0 replaced, 1 rejected\n"
    assert f"{source}:2: " in done.stderr


def test_import_reads_stdin(data):
    assert nexadb("import", data, "c", input='{"_id":1}\n').stdout.startswith("1 inserted")


def test_commands_do_not_make_a_database(tmp_path):
    for args in (["stats", tmp_path / "none"], ["query", tmp_path / "none", "c"], ["check", tmp_path / "none"]):
        done = nexadb(*args, check=False)
        assert done.returncode == 1 and "none" in done.stderr
    (tmp_path / "empty").mkdir()
    assert nexadb("stats", tmp_path / "empty", check=False).returncode == 1
    assert not list((tmp_path / "empty").iterdir()) or not (tmp_path / "empty/CURRENT").exists()


def test_commands_go_through_the_daemon_that_holds_the_directory(daemon):
    daemon.ok("POST", "/collections/c", {"_id": 1})
    assert nexadb("count", daemon.data_dir, "c").stdout == "1\n"
    assert nexadb("import", daemon.data_dir, "c", input='{"_id":2}\n').stdout.startswith("1 inserted")
    assert daemon.ok("POST", "/collections/c/count", {})["count"] == 2
    assert nexadb("count", daemon.url, "c", "--api-key", daemon.key).stdout == "2\n"
    done = nexadb("count", daemon.url, "c", check=False)
    assert done.returncode == 1 and "API key" in done.stderr


def test_a_second_daemon_is_refused_naming_the_first(daemon):
    done = nexadb("serve", "--http", "127.0.0.1:0", daemon.data_dir, check=False)
    assert done.returncode == 1 and str(daemon.process.pid) in done.stderr


def test_a_port_in_use_is_said_and_nothing_is_left(daemon, tmp_path):
    done = nexadb("serve", "--http", daemon.address, tmp_path / "other", check=False)
    assert done.returncode == 1 and daemon.address in done.stderr and "--http" in done.stderr
    assert not (tmp_path / "other/nexadb.sock").exists()


def test_a_folder_of_somebody_else_is_no_data_directory(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"meow")
    for command in (["serve", "--http", "127.0.0.1:0"], ["key", "list"], ["check"], ["query"]):
        arguments = [*command, folder] + (["c"] if command == ["query"] else [])
        done = nexadb(*arguments, check=False)
        assert done.returncode == 1 and "database" in done.stderr and str(folder) in done.stderr, done.stderr
    assert "cat.jpg" in nexadb("serve", folder, check=False).stderr
    assert os.listdir(folder) == ["cat.jpg"]


def test_a_file_is_no_data_directory(tmp_path):
    (tmp_path / "file").touch()
    for arguments in (["serve", tmp_path / "file"], ["check", tmp_path / "file"], ["stats", tmp_path / "file"]):
        done = nexadb(*arguments, check=False)
        assert done.returncode == 1 and "is a file" in done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:65536", "127.0.0.1:x", "6969", "127.0.0.1:"])
def test_an_address_that_cannot_be_is_said(tmp_path, address):
    done = nexadb("serve", "--http", address, tmp_path / "data", check=False)
    assert done.returncode == 1 and "ADDR:PORT" in done.stderr


def test_keys_at_the_shell(daemon):
    key = nexadb("key", "create", daemon.data_dir, "app", "--role", "read", "--prefix", "a", "--expires", "1d").stdout.strip()
    assert daemon.call("GET", "/collections/a", key=key).status == 200
    listed = nexadb("key", "list", daemon.data_dir).stdout
    assert re.search(r"^app +read +a +\d{4}-", listed, re.M) and key not in listed
    nexadb("key", "revoke", daemon.data_dir, "app")
    assert daemon.call("GET", "/collections/a", key=key).status == 401
    assert nexadb("key", "revoke", daemon.data_dir, "app", check=False).returncode == 1


def test_a_key_made_without_a_daemon_works_with_one(serve, tmp_path):
    nexadb("import", tmp_path / "d", "c", input='{"_id":1}')
    key = nexadb("key", "create", tmp_path / "d", "k", "--value", "a-key-of-my-own-0").stdout.strip()
    assert key == "a-key-of-my-own-0"
    assert serve(data_dir=tmp_path / "d").call("GET", "/collections", key=key).status == 200


def test_a_clean_stop_keeps_everything_and_leaves_no_socket(serve):
    daemon = serve()
    daemon.ok("POST", "/collections/c?durability=buffered", {"_id": 1})
    daemon.stop()
    assert not (daemon.data_dir / "nexadb.sock").exists() and not (daemon.data_dir / "http.addr").exists()
    daemon.start()
    assert daemon.ok("GET", "/collections/c/1")["document"] == {"_id": 1}


def test_acknowledged_writes_survive_kill_9(serve):
    daemon = serve()
    connection = daemon.connect()
    for i in range(200):
        assert daemon.call("POST", "/collections/c", {"_id": i}, connection=connection).status == 201
    daemon.kill()
    daemon.start()
    assert daemon.ok("POST", "/collections/c/count", {})["count"] == 200


def test_sigint_ends_it_as_sigterm_does(serve):
    daemon = serve()
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(timeout=30) == 0
    daemon.process = None


def test_serving_on_a_unix_socket(tmp_path):
    path = tmp_path / "rest.sock"
    process = subprocess.Popen([NEXADB, "serve", "--http", f"unix:{path}", tmp_path / "d"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    try:
        assert f"unix:{path}" in process.stdout.readline()
        key = (tmp_path / "d/api.key").read_text().strip()
        assert nexadb("count", f"unix:{path}", "c", "--api-key", key).stdout == "0\n"
        assert nexadb("count", f"unix:{path}", "c", check=False).returncode == 1
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
        process.stdout.close()


def test_the_manual_page_is_what_the_program_says():
    made = subprocess.run([sys.executable, ROOT / "tools/man_page.py", NEXADB], capture_output=True, text=True, check=True)
    assert made.stdout == (ROOT / "docs/man/nexadb.1").read_text(), "make it again with tools/man_page.py"


def test_the_reference_names_every_route(daemon):
    reference = (ROOT / "docs/rest.md").read_text()
    for path in daemon.call("GET", "/openapi.json").json["paths"]:
        assert f"`{path}`" in reference, path
