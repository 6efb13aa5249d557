"""libnexadb as a stranger uses it: installed, found by pkg-config, linked by a small program."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("NEXADB_BIN", str(ROOT / "build/daemon/nexadb"))).resolve().parents[1]


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, **options).stdout


def test_it_is_installed_where_pkg_config_and_the_loader_look():
    """Also without dpkg-dev, where meson's own guess is lib64."""
    options = json.loads(run("meson", "introspect", "--buildoptions", str(ROOT / "meson.build")))
    assert [option["value"] for option in options if option["name"] == "libdir"] == ["lib"]


def test_the_example_builds_against_the_installed_library_and_runs(tmp_path):
    target = tmp_path / "target"
    run("meson", "install", "-C", str(BUILD), "--no-rebuild", "--destdir", str(target))
    pkg_config = next(target.rglob("nexadb.pc")).parent
    library = next(target.rglob("libnexadb.so")).parent
    environment = dict(os.environ, PKG_CONFIG_PATH=str(pkg_config), PKG_CONFIG_SYSROOT_DIR=str(target),
                       LD_LIBRARY_PATH=str(library))
    flags = run("pkg-config", "--cflags", "--libs", "nexadb", env=environment).split()
    instrument = []
    for option in ("address", "undefined", "thread"):
        if b"__" + {"address": b"asan", "undefined": b"ubsan", "thread": b"tsan"}[option] + b"_" in \
                (library / "libnexadb.so").read_bytes():
            instrument.append(option)
    compiler = ["clang", "-fsanitize=" + ",".join(instrument)] if instrument else ["cc"]
    run(*compiler, "-Wall", "-Wextra", "-Werror", str(ROOT / "examples/embed.c"), *flags, "-o", str(tmp_path / "embed"))
    for _ in range(2):  # a new database, then one that exists
        answer = run(str(tmp_path / "embed"), str(tmp_path / "data"), env=environment)
        assert answer == '{"_id":"bob","age":35}\n'
