"""Counts the answers by operation: `schema_count.py DOCUMENT CALLS`. Fails unless each operation of the document was reached with a 2xx."""

import collections
import json
import sys

document, calls = json.load(open(sys.argv[1])), open(sys.argv[2])
methods = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
operations = [f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item if method in methods]
counts = collections.defaultdict(collections.Counter)
for line in calls:
    operation, _phase, status = line.rstrip("\n").split("\t")
    counts[operation][f"{status[0]}xx"] += 1
classes = ["2xx", "3xx", "4xx", "5xx"]
width = max(map(len, operations))
print(f"{'operation':{width}}", *(f"{name:>6}" for name in classes))
for operation in sorted(operations):
    print(f"{operation:{width}}", *(f"{counts[operation][name]:6}" for name in classes))
missed = [operation for operation in operations if not counts[operation]["2xx"]]
if missed:
    sys.exit(f"never reached with a 2xx: {', '.join(sorted(missed))}")
