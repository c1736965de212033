#!/usr/bin/env python3
"""A SLURM accounting database of one file, spoken to through sacctmgr, sacct, sinfo and scancel.

Covers what the site agent's slurm plugin asks (waldur_site_agent_slurm/client.py, 1.0.7) and refuses the rest
as the real commands do. Called by the name of the command it stands for. State and a log of all calls are in
$REEVE_FAKE_SLURM_STATE (default /tmp/fake-slurm): state.json and calls.jsonl.
"""

import datetime
import fcntl
import json
import os
import pathlib
import sys

from fake_sacctmgr import sacctmgr
from fake_cluster import VERSION, Refused, print_rows, refuse

STATE = pathlib.Path(os.environ.get("REEVE_FAKE_SLURM_STATE", "/tmp/fake-slurm"))


def new_state():
    root = {"descr": "default root account", "org": "root", "parent": "", "limits": {}, "users": {}}
    return {"accounts": {"root": root}, "jobs": []}


def options(program, words, known, flags):
    """Options as --name=value or `-x value`, flags without one; anything else is refused."""
    found = {}
    words = list(words)
    while words:
        name, _, value = words.pop(0).partition("=")
        if name in flags:
            found[name] = True
        elif name in known:
            found[name] = value or (
                words.pop(0) if words else refuse(f"{program}: option requires an argument -- '{name}'")
            )
        else:
            refuse(f"{program}: unrecognized option '{name}'\nTry '{program} --help' for more information")
    return found


def sacct(state, words):
    asked = options(
        "sacct",
        words,
        ("--starttime", "--endtime", "--accounts", "--account", "--user", "--format", "--cluster"),
        (
            "-V",
            "--version",
            "--parsable2",
            "--noheader",
            "--noconvert",
            "--truncate",
            "--allocations",
            "--allusers",
            "-a",
        ),
    )
    if "-V" in asked or "--version" in asked:
        return print(VERSION)
    accounts = [name.lower() for name in (asked.get("--accounts") or asked.get("--account", "")).split(",") if name]
    user, start, end = asked.get("--user"), asked.get("--starttime", ""), asked.get("--endtime", "9999")
    wanted = [job for job in state["jobs"] if job["account"] in accounts and user in (None, job["user"])]
    columns = asked.get("--format", "JobID,JobName,Partition,Account").split(",")
    # Asked without a period, sacct tells of today's jobs; a finished job is of no interest there.
    period = "--starttime" in asked
    rows = [job for job in wanted if (start <= job["end"] <= end if period else job["state"] == "RUNNING")]
    return print_rows(rows, columns, "--parsable2" in asked)


def add_job(state, words):
    """Not a SLURM command: `fake-slurm-job ACCOUNT USER ELAPSED TRES`, a finished job of just now."""
    if len(words) != 4:
        refuse("usage: fake-slurm-job ACCOUNT USER HH:MM:SS cpu=4,mem=1024M")
    account, user, elapsed, tres = words
    if user not in state["accounts"].get(account.lower(), {"users": {}})["users"]:
        refuse(f"fake-slurm-job: {user} has no association with {account}")
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    state["jobs"].append(
        {
            "jobid": len(state["jobs"]) + 1,
            "jobname": "job",
            "partition": "main",
            "account": account.lower(),
            "user": user,
            "state": "COMPLETED",
            "elapsed": elapsed,
            "reqtres": tres,
            "end": now,
            "timelimit": "UNLIMITED",
            "nodelist": "node1",
        }
    )
    return None


def scancel(state, words):
    asked = options("scancel", words, ("-u", "-A", "--cluster"), ("-f", "-V", "--version"))
    if "-V" in asked or "--version" in asked:
        return print(VERSION)
    for job in state["jobs"]:
        if job["state"] == "RUNNING" and job["account"] == asked.get("-A") and asked.get("-u") in (None, job["user"]):
            job["state"] = "CANCELLED"
    return None


def sinfo(_state, words):
    options("sinfo", words, (), ("-V", "--version"))
    return print(
        VERSION
        if words
        else "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST\nmain*        up   infinite      1   idle node1"
    )


PROGRAMS = {"sacctmgr": sacctmgr, "sacct": sacct, "scancel": scancel, "sinfo": sinfo, "fake-slurm-job": add_job}


def main():
    program, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
    if program not in PROGRAMS:
        print(f"call me by one of these names: {', '.join(PROGRAMS)}", file=sys.stderr)
        return 2
    STATE.mkdir(parents=True, exist_ok=True)
    with open(STATE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        time = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
        with open(STATE / "calls.jsonl", "a", encoding="utf-8") as calls:
            calls.write(json.dumps({"time": time, "argv": [program, *words]}) + "\n")
        path = STATE / "state.json"
        state = json.loads(path.read_text("utf-8")) if path.exists() else new_state()
        try:
            PROGRAMS[program](state, list(words))
        except Refused as refusal:
            print(refusal, file=sys.stderr)
            return 1
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(state, indent=1), "utf-8")
        fresh.replace(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
