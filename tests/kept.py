"""What a campaign keeps in its folder, as tests look at it."""

import json
import sqlite3
from contextlib import closing


def result_of(folder):
    """`result.json` without the times, which differ from run to run."""
    tree = json.loads((folder / "result.json").read_text())
    del tree["timings_s"]
    return tree


def rows(folder, query):
    """What a query finds in `campaign.db`, which is only read."""
    with closing(sqlite3.connect(f"file:{folder / 'campaign.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()
