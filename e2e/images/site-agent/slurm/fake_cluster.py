"""The cluster that the stand-ins for Slurm's commands speak of, and how they refuse and print."""

VERSION = "slurm 24.05.4"
CLUSTER = "demo"
TRES = ["cpu", "mem", "energy", "node", "billing", "fs/disk", "vmem", "pages", "gres/gpu"]


class Refused(Exception):
    """The command ends with status 1 and this message."""


def refuse(message):
    raise Refused(message)


def print_rows(rows, columns, parsable):
    for row in rows:
        values = []
        for column in columns:
            key = column.split("%")[0].lower()
            if key not in row:
                refuse(f" Unknown field '{column}'")
            values.append(str(row[key]))
        print("|".join(values) if parsable else " ".join(f"{value:>10}" for value in values))
