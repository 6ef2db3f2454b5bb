"""The official SDK and CLI against a server: fails at the first thing that is not as documented."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fastvm import FastvmClient

client = FastvmClient()
vm = client.vms.launch(machine_type="c1m2", name="sdk", metadata={"env": "ci"})
assert vm.status == "running" and vm.name == "sdk", vm

result = client.vms.run(vm.id, command="echo out; echo err >&2; exit 3")
assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n"), result
result = client.vms.run(vm.id, command=["sleep", "60"], timeout_sec=1)
assert result.timed_out, result

events = list(client.vms.stream(vm.id, command="printf 'a\\377'; exit 5"))
assert b"".join(event.data for event in events if event.type == "o") == b"a\xff", events
assert events[-1].type == "x" and events[-1].exit_code == 5, events

with tempfile.TemporaryDirectory() as folder:
    here = Path(folder)
    tree = here / "tree"
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "sub" / "data").write_bytes(os.urandom(3_000_000))
    (tree / "a.txt").write_text("hello")
    client.upload(vm.id, str(tree / "a.txt"), "/root/a.txt")
    client.upload(vm.id, str(tree), "/root/tree")
    client.download(vm.id, "/root/a.txt", str(here / "a.txt"))
    client.download(vm.id, "/root/tree", str(here / "back"))
    assert (here / "a.txt").read_text() == "hello"
    assert (here / "back" / "sub" / "data").read_bytes() == (tree / "sub" / "data").read_bytes()
    assert (here / "back" / "sub" / "empty").is_dir()

snapshot = client.snapshots.create(vm_id=vm.id, name="saved")
restored = client.vms.launch(snapshot_id=snapshot.id)
assert client.vms.run(restored.id, command="cat /root/a.txt").stdout == "hello"
assert restored.metadata == {"env": "ci"}, restored

assert {each.id for each in client.vms.list()} == {vm.id, restored.id}
assert client.quotas.retrieve().usage.snapshot_count == 1

cli = [sys.executable, "-c", "from fastvm.lib.cli import main; main()"]
listed = json.loads(subprocess.run(cli + ["--json", "vm", "ls"], check=True, capture_output=True).stdout)
assert {each["id"] for each in listed} == {vm.id, restored.id}, listed
ran = subprocess.run(cli + ["exec", vm.id, "echo", "hi"], capture_output=True)
assert (ran.returncode, ran.stdout) == (0, b"hi\n"), ran

assert client.vms.delete(vm.id).deleted
assert client.vms.delete(restored.id).deleted
assert client.snapshots.delete(snapshot.id).deleted
assert client.vms.list() == []
