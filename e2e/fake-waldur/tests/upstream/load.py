"""Loads configurations as the agent does: a JSON text a line in, what it became or why not a line out."""
import importlib.metadata
import json
import logging
import sys

import yaml
from waldur_site_agent.common.structures import RootConfiguration

logging.disable()  # warnings of every file would hide what a test says


def load(text):
    configuration = RootConfiguration(**yaml.safe_load(text)).to_agent_configuration()
    return configuration.model_dump(mode="json")


print(importlib.metadata.version("waldur-site-agent"), flush=True)
for line in sys.stdin:
    try:
        answer = {"Ok": load(json.loads(line))}
    except Exception as error:
        answer = {"Err": str(error)}
    print(json.dumps(answer), flush=True)
