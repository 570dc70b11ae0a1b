"""Runs the tests that faults.toml names, and prints row, test and result. Called by `tests/run --list-faults`."""

import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent


def rows(text):
    """The rows of faults.toml: number, title, names. The file is simple enough to need no TOML library."""
    for block in text.split("[[row]]")[1:]:
        number = int(re.search(r"^number = (\d+)", block, re.M).group(1))
        title = re.search(r'^title = "(.*)"', block, re.M).group(1)
        tests = re.search(r"^tests = \[(.*?)\]", block, re.M | re.S).group(1)
        yield number, title, re.findall(r'"([^"]+)"', tests)


catalogue = list(rows((root / "tests/faults.toml").read_text()))
names = sorted({name for _, _, tests in catalogue for name in tests})
if not names:
    sys.exit("faults.toml names no test")
run = subprocess.run(
    ["cargo", "test", "--release", "--no-fail-fast", "--test", "end_to_end", "--", "--exact", *names],
    cwd=root, stdout=subprocess.PIPE, text=True, check=False,
)
results = dict(re.findall(r"^test (\S+) \.\.\. (\w+)", run.stdout, re.M))
passed = failed = 0
for number, title, tests in catalogue:
    print(f"{number:3}  {title}")
    for name in tests:
        result = results.get(name, "did not run")
        passed += result == "ok"
        failed += result != "ok"
        print(f"       {result:12} {name}")
    if not tests:
        print("       no test")
        failed += 1
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or run.returncode else 0)
