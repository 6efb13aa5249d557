#!/usr/bin/env python3
"""man_page.py NEXADB > docs/man/nexadb.1 - the manual page, made from what the program says of itself.

The commands and options come from `nexadb --help` and `nexadb COMMAND --help`, which print the program's own tables,
so page and program cannot differ. A test makes the page again and compares.
"""
import re
import subprocess
import sys

HEAD = """.TH NEXADB 1 "" "NexaDB" "User Commands"
.SH NAME
nexadb \\- a document database that you can mount
.SH SYNOPSIS
.B nexadb
.I COMMAND
[\\fIOPTIONS\\fR] ...
.SH DESCRIPTION
A data directory holds collections of JSON documents.
.B nexadb mount
shows them as directories and files and serves REST beside;
.B nexadb serve
serves REST only. The other commands take a data directory or the URL of a daemon: a directory in use is reached through
its daemon, by the socket in it.
"""
TAIL = """.SH ENVIRONMENT
Every option is also a variable,
.B NEXADB_
and its name in capitals with '_' for '\\-':
.B NEXADB_CACHE_BYTES=1G\\fR.
A flag wins over the environment, which wins over the file that
.B \\-\\-config
names, one "name = value" a line.
.B \\-\\-print\\-config
prints the settings in force as such a file.
.SH FILES
.TP
.I DATADIR/api.key
the first API key (role admin), made at random on the first start
.TP
.I DATADIR/keys.json
the other keys, hashed
.TP
.I DATADIR/http.addr
where REST listens: ADDR:PORT
.TP
.I DATADIR/nexadb.log
the log of a mount in the background
.TP
.I DATADIR/nexadb.sock
the socket that other commands use
.TP
.I DATADIR/nexadb.pid
the daemon's process
.SH SIGNALS
SIGTERM, SIGINT and SIGHUP end a daemon cleanly: requests in flight are finished, everything is made durable. A second
signal ends it at once; what was acknowledged as durable stays.
.SH EXIT STATUS
0 done, 1 failed, 2 wrong usage. Messages are on stderr.
"""


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, check=True, env={}).stdout


def escape(text):
    text = text.replace("\\", "\\\\").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def options(text):
    """(flag, help) of each option line."""
    return re.findall(r"^  ((?:-\w, |    )--\S+(?: \S+)?) +(.+)$", text, re.M)


def command_section(nexadb, name):
    text = run(nexadb, name, "--help")
    usage, summary = re.match(r"usage: nexadb (.*)\n\n(.*)\n", text).groups()
    lines = [".SS " + escape("nexadb " + usage), escape(summary + ".")]
    lines += [".PP", escape(text.split("\n\n", 3)[3].strip())] if text.count("\n\n") >= 3 else []
    for flag, _ in options(text):
        if "--help" not in flag:
            lines += [".br", "\\fB" + escape(flag.strip()) + "\\fR"]
    return "\n".join(lines) + "\n"


def main():
    nexadb = sys.argv[1]
    names = re.findall(r"^  (\w+) ", run(nexadb, "--help"), re.M)
    page = HEAD + ".SH COMMANDS\n"
    known = {}
    for name in names:
        page += command_section(nexadb, name)
        known.update({flag.strip(): text for flag, text in options(run(nexadb, name, "--help"))})
    page += ".SH OPTIONS\n"
    for flag in sorted(known, key=lambda flag: flag.split("--")[1]):
        page += f".TP\n\\fB{escape(flag)}\\fR\n{escape(known[flag])}\n"
    sys.stdout.write(page + TAIL)


if __name__ == "__main__":
    main()
