"""The official SDK and CLI against a server: fails at the first thing that is not as documented."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fastvm
from fastvm import AsyncFastvmClient, FastvmClient

# Answers that are not of the SDK's own types are errors.
client = FastvmClient(_strict_response_validation=True)
assert client.health().status == "ok"
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


def refused(status, call):
    """The call fails with this status."""
    try:
        call()
    except fastvm.APIStatusError as error:
        assert error.status_code == status, error
    else:
        raise AssertionError(f"{call} was not refused")


# files, one step at a time
signed = client.vms.files.presign(id=vm.id, path="/tmp/staged")
assert signed.upload_url != signed.download_url and signed.max_upload_bytes > 0, signed
refused(400, lambda: client.vms.files.fetch(id=vm.id, path="/tmp/x", url="http://169.254.169.254/"))

# standard input, lists by status and by metadata
assert client.vms.run(vm.id, command=["cat"], stdin="aGVsbG8=").stdout == "hello"
assert [each.id for each in client.vms.list(status="paused")] == []
labelled = client.vms.list(extra_query={"metadata.env": "ci"})
assert {each.id for each in labelled} == {vm.id, restored.id}
assert client.vms.list(extra_query={"metadata.env": "other"}) == []

# renaming, labels, timers
assert client.vms.retrieve(vm.id).name == "sdk"
assert client.vms.update(vm.id, name="sdk-2", metadata={"a": "b"}).metadata == {"a": "b"}
timed = client.vms.update(vm.id, ttl={"seconds": 3600, "action": "pause"})
assert timed.ttl.seconds == 3600 and timed.ttl.action == "pause", timed
assert client.vms.refresh_ttl(vm.id).id == vm.id

# firewall and services
rule = {"protocol": "tcp", "portStart": 80, "portEnd": 80}
walled = client.vms.set_firewall(vm.id, mode="restricted", ingress=[rule])
assert walled.firewall.ingress[0].port_start == 80, walled
assert client.vms.patch_firewall(vm.id, mode="open").firewall.mode == "open"
service = client.vms.services.register(vm.id, name="web", port=8080)
assert client.vms.services.register(vm.id, name="web", port=8080) == service
refused(409, lambda: client.vms.services.register(vm.id, name="web", port=9090))
assert client.vms.services.update("web", id=vm.id, port=9090).port == 9090
assert [each.port for each in client.vms.services.list(vm.id)] == [9090]
client.vms.services.delete("web", id=vm.id)
assert client.vms.services.list(vm.id) == []

# pausing stops the guest's processes where they are
client.vms.run(vm.id, command="(while :; do echo >>/tmp/ticks; sleep 0.01; done) >/dev/null 2>&1 &")
assert client.vms.pause(vm.id).status in ("pausing", "paused")
while client.vms.retrieve(vm.id).status != "paused":
    time.sleep(0.05)
refused(409, lambda: client.vms.run(vm.id, command="true"))
of_paused = client.snapshots.create(vm_id=vm.id)
client.vms.resume(vm.id)
assert client.wait_for_vm_ready(vm.id, poll_interval=0.05).status == "running"
before = int(client.vms.run(vm.id, command="wc -l </tmp/ticks").stdout)
assert int(client.vms.run(vm.id, command="sleep 0.3; wc -l </tmp/ticks").stdout) > before

# a time that is over
brief = client.vms.launch(machine_type="c1m1", ttl={"seconds": 1, "action": "delete"}, env_vars={"A": "b c"})
assert client.vms.run(brief.id, command="printf %s \"$A\"").stdout == "b c"
for _ in range(200):
    if brief.id not in {each.id for each in client.vms.list()}:
        break
    time.sleep(0.05)
else:
    raise AssertionError("the VM outlived its time")

# snapshots
assert client.snapshots.retrieve(snapshot.id).vm_id == vm.id
assert client.snapshots.update(snapshot.id, name="kept").name == "kept"
assert {each.id for each in client.snapshots.list()} == {snapshot.id, of_paused.id}
assert client.snapshots.delete(of_paused.id).deleted

# what this machine cannot do is said, and a console's token is there for the asking
refused(422, lambda: client.builds.create(image_ref="debian:12", name="deb"))
refused(404, lambda: client.builds.retrieve("00000000-0000-4000-8000-000000000000"))
assert client.build_contexts.presign().upload_url
assert client.vms.console_token(vm.id).token
refused(404, lambda: client.vms.retrieve("00000000-0000-4000-8000-000000000000"))
refused(401, lambda: FastvmClient(api_key="wrong-key-0123456789").vms.list())


async def without_blocking():
    async with AsyncFastvmClient() as parallel:
        answers = [parallel.vms.run(vm.id, command=f"echo {n}") for n in range(8)]
        return [answer.stdout for answer in await asyncio.gather(*answers)]


assert asyncio.run(without_blocking()) == [f"{n}\n" for n in range(8)]

assert client.vms.delete(vm.id).deleted
assert client.vms.delete(restored.id).deleted
assert client.snapshots.delete(snapshot.id).deleted
assert client.vms.list() == []
