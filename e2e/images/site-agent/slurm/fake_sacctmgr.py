"""sacctmgr: accounts, users and their limits, as far as the site agent's slurm plugin asks for them."""

import re

from fake_cluster import CLUSTER, TRES, VERSION, print_rows, refuse

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
