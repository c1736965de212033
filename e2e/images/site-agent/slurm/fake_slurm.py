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
import re
import sys

STATE = pathlib.Path(os.environ.get("REEVE_FAKE_SLURM_STATE", "/tmp/fake-slurm"))
VERSION = "slurm 24.05.4"
CLUSTER = "demo"
TRES = ["cpu", "mem", "energy", "node", "billing", "fs/disk", "vmem", "pages", "gres/gpu"]
ASSOCIATION = (
    "Cluster Account User Partition Share Priority GrpJobs GrpTRES GrpSubmit GrpWall GrpTRESMins MaxJobs"
    " MaxTRES MaxTRESPerNode MaxSubmit MaxWall MaxTRESMins QOS DefQOS GrpTRESRunMins ParentName"
).split()
SHOWN = ASSOCIATION[:-1]  # ParentName is shown only when asked for
# Abbreviations and older spellings that sacctmgr takes.
SPELLINGS = {
    "accounts": "account",
    "names": "name",
    "users": "user",
    "description": "descr",
    "organization": "org",
    "qoslevel": "qos",
    "grpsubmitjobs": "grpsubmit",
    "share": "fairshare",
    "clusters": "cluster",
}


class Refused(Exception):
    """The command ends with status 1 and this message."""


def refuse(message):
    raise Refused(message)


def new_state():
    root = {"descr": "default root account", "org": "root", "parent": "", "limits": {}, "users": {}}
    return {"accounts": {"root": root}, "jobs": []}


class Words:
    """The words after a verb and an entity: names, then conditions, then (after `set`) changes."""

    def __init__(self, words, conditions, changes=()):
        self.names, self.where, self.set, self.format = [], {}, {}, None
        target = None
        for word in words:
            if word.lower() in ("where", "set"):
                target = self.where if word.lower() == "where" else self.set
            elif word.lower() == "and" or word in ("-n", "-P"):
                continue
            elif "=" not in word:
                self.names.append(word)
            else:
                self._option(word, conditions, changes, target)

    def _option(self, word, conditions, changes, target):
        key, value = re.match(r"([^=+-]+[+-]?)=(.*)", word, re.S).groups()
        key = SPELLINGS.get(key.lower(), key.lower())
        value = value.strip('"')
        if key == "format":
            self.format = value.split(",")
        elif key == "cluster":
            if value != CLUSTER:
                refuse(f" This cluster '{value}' doesn't exist.\n        Contact your admin to add it to accounting.")
        elif target is self.set and key in changes:
            self.set[key] = value
        elif target is not self.set and key in conditions:
            self.where[key] = value
        else:
            refuse(f" Unknown option: {word}\n Use keyword 'where' to modify condition")

    def accounts(self, state, key="account"):
        """The existing accounts that the conditions or names mean; names are lower-cased, as in SLURM."""
        asked = self.where.get(key, self.where.get("name", ""))
        wanted = [name.lower() for name in [*asked.split(","), *self.names] if name]
        return [name for name in state["accounts"] if name in wanted or not wanted]


def associations(state, accounts, user=None):
    """Rows of associations: one for the account itself, one for each of its users."""
    for name in accounts:
        account = state["accounts"][name]
        if user is None:
            yield association(name, "", account["limits"], account["parent"])
        for username, limits in account["users"].items():
            if user in (None, username):
                yield association(name, username, limits, "")


def association(account, user, limits, parent):
    row = dict.fromkeys((column.lower() for column in ASSOCIATION), "")
    row.update(limits)
    row.update(cluster=CLUSTER, account=account, user=user, parentname=parent)
    row["qos"] = limits.get("qos", "normal")
    row["share"] = limits.get("fairshare", "1")
    return row


def print_rows(rows, columns, parsable):
    for row in rows:
        values = []
        for column in columns:
            key = column.split("%")[0].lower()
            if key not in row:
                refuse(f" Unknown field '{column}'")
            values.append(str(row[key]))
        print("|".join(values) if parsable else " ".join(f"{value:>10}" for value in values))


def show(state, entity, words, parsable):
    if entity == "cluster":
        asked = Words(words, ())
        print_rows(
            [{"cluster": CLUSTER, "controlhost": "127.0.0.1"}], asked.format or ["Cluster", "ControlHost"], parsable
        )
    elif entity == "tres":
        rows = [
            dict(zip(("type", "name", "id"), (*(tres.split("/") + [""])[:2], number)))
            for number, tres in enumerate(TRES, 1)
        ]
        print_rows(rows, Words(words, ()).format or ["Type", "Name", "ID"], parsable)
    elif entity == "account":
        asked = Words(words, ("account", "name"))
        rows = [{"account": name, **state["accounts"][name]} for name in asked.accounts(state)]
        print_rows(rows, asked.format or ["Account", "Descr", "Org"], parsable)
    elif entity == "association":
        asked = Words(words, ("account", "user"))
        rows = associations(state, asked.accounts(state), asked.where.get("user"))
        print_rows(rows, asked.format or SHOWN, parsable)
    else:
        refuse(
            f'sacctmgr: error: No valid entity in list command\nInput line must include, "Account", "Association", ... not {entity!r}'
        )


def add(state, entity, words):
    if entity == "account":
        return add_accounts(state, Words(words, ("descr", "org", "parent", "fairshare")))
    if entity == "user":
        return add_users(
            state,
            Words(words, ("account", "defaultaccount", "partition", "partitions", "qos", "defaultqos", "fairshare")),
        )
    return refuse("sacctmgr: error: No valid entity in add command")


def add_accounts(state, asked):
    parent = asked.where.get("parent", "root").lower()
    if parent not in state["accounts"]:
        refuse(f" Parent account '{parent}' doesn't exist.")
    new = [name.lower() for name in asked.names if name.lower() not in state["accounts"]]
    if not new:
        refuse(" Nothing new added.")
    for name in new:
        descr, org = asked.where.get("descr", name).lower(), asked.where.get("org", parent).lower()
        state["accounts"][name] = {"descr": descr, "org": org, "parent": parent, "limits": {}, "users": {}}
        print(f" Adding Account(s)\n  {name}")


def add_users(state, asked):
    given = asked.where.get("account", "").lower()
    for name in filter(None, [given, asked.where.get("defaultaccount", "").lower()]):
        if name not in state["accounts"]:
            refuse(f" This account '{name}' doesn't exist.\n        Contact your admin to add this account.")
    if not given:
        refuse(" Need name of account to add user to.")
    users = state["accounts"][given]["users"]
    new = [name for name in asked.names if name not in users]
    if not new:
        refuse(" Nothing new added.")
    extra = {key: asked.where[key] for key in ("partition", "qos", "fairshare") if key in asked.where}
    for name in new:
        users[name] = dict(extra)
        print(f" Adding User(s)\n  {name}")


CHANGES = (
    "parent",
    "grptresmins",
    "grptres",
    "maxtresmins",
    "maxtres",
    "qos",
    "qos+",
    "defaultqos",
    "fairshare",
    "rawusage",
    "grpsubmit",
    "descr",
    "org",
)


def modify(state, entity, words):
    asked = Words(words, ("account", "name", "user"), CHANGES)
    if not asked.set:
        refuse(" You didn't give me anything to set")
    if entity == "account":
        targets = [state["accounts"][name] for name in asked.accounts(state)]
        limits = [account["limits"] for account in targets]
        reparent(state, targets, asked.set.pop("parent", None), others=bool(asked.set))
    elif entity == "user":
        names = asked.names or asked.where.get("user", "").split(",")
        asked.names = []
        users = [state["accounts"][name]["users"] for name in asked.accounts(state)]
        targets = limits = [account[name] for account in users for name in names if name in account]
    else:
        return refuse("sacctmgr: error: No valid entity in modify command")
    changed = [change(limit, key, value) for limit in limits for key, value in asked.set.items()]
    if not targets or (asked.set and not any(changed)):
        refuse("  Nothing modified")
    return print(" Modified account associations..." if entity == "account" else " Modified user associations...")


def reparent(state, accounts, parent, others):
    if parent is None:
        return
    if parent.lower() not in state["accounts"]:
        refuse(f" Parent account '{parent}' doesn't exist.")
    moved = [account for account in accounts if account["parent"] != parent.lower()]
    if not moved and not others:
        refuse("  Nothing modified")
    for account in moved:
        account["parent"] = parent.lower()


def change(limits, key, value):
    """Merges a change into an association; true if it made a difference. -1 clears a limit."""
    before = dict(limits)
    if key == "rawusage":
        return True
    if "tres" in key:
        merged = dict(pair.split("=", 1) for pair in limits.get(key, "").split(",") if pair)
        for pair in value.split(","):
            name, _, amount = pair.partition("=")
            if name not in TRES or not re.fullmatch(r"-?\d+[KMGTP]?", amount):
                refuse(f" Bad TRES specification: {pair}")
            merged.pop(name, None) if amount == "-1" else merged.update({name: amount})
        value = ",".join(f"{name}={amount}" for name, amount in merged.items())
    if key == "qos+":
        key, value = "qos", ",".join(filter(None, [limits.get("qos", ""), value]))
    if value in ("", "-1"):
        limits.pop(key, None)
    else:
        limits[key] = value
    return limits != before


def remove(state, entity, words):
    asked = Words(words, ("account", "name", "user"))
    if entity == "account":
        names = asked.accounts(state, "name") if asked.where or asked.names else []
        children = [
            name for name, account in state["accounts"].items() if account["parent"] in names and name not in names
        ]
        if children:
            refuse(
                f" Error with request: Job(s) active or child accounts exist, cancel or remove first: {','.join(children)}"
            )
        gone = [state["accounts"].pop(name) for name in names if name != "root"]
    elif entity == "user":
        wanted = asked.where.get("name", asked.where.get("user"))
        if wanted is None and "account" not in asked.where and not asked.names:
            refuse(" No conditions given to remove, not executing.")
        asked.names, named = [], asked.names
        asked.where.pop("name", None)
        wanted = set(named + (wanted.split(",") if wanted else []))
        gone = []
        for account in asked.accounts(state):
            users = state["accounts"][account]["users"]
            gone += [users.pop(name) for name in list(users) if not wanted or name in wanted]
    else:
        return refuse("sacctmgr: error: No valid entity in delete command")
    return print(" Deleting associations..." if gone else " Nothing deleted")


ENTITIES = {
    "accounts": "account",
    "acct": "account",
    "assoc": "association",
    "associations": "association",
    "users": "user",
    "clusters": "cluster",
}


def sacctmgr(state, words):
    parsable = False
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in ("-V", "--version"):
            return print(VERSION)
        if option not in ("-n", "--noheader", "-i", "--immediate", "-P", "--parsable2"):
            refuse(f"sacctmgr: unrecognized option '{option}'\nTry \"sacctmgr --help\" for more information")
        parsable |= option in ("-P", "--parsable2")
    if len(words) < 2:
        refuse("sacctmgr: error: this program needs a command and an entity")
    verb, entity, rest = words[0], ENTITIES.get(words[1].lower(), words[1].lower()), words[2:]
    if verb in ("list", "show"):
        return show(state, entity, rest, parsable or "-P" in rest)
    actions = {"add": add, "create": add, "modify": modify, "remove": remove, "delete": remove}
    if verb not in actions:
        refuse(f"invalid keyword: {verb}")
    return actions[verb](state, entity, rest)


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
