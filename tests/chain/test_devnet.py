"""Starting, finding and stopping the two local chains."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from chain_world import free_port

from fedproof.chain.accounts import DEVNET_ACCOUNTS, devnet_account
from fedproof.chain.devnet import Devnet
from fedproof.errors import CallerError, RetryableError

pytestmark = pytest.mark.evm


@pytest.fixture
def devnet(tmp_path):
    net = Devnet(tmp_path / "devnet", l2_port=free_port(), l1_port=free_port())
    yield net
    net.down()


def states(devnet: Devnet) -> list[str]:
    return [chain.state for chain in devnet.status()]


def test_up_status_down(devnet):
    assert states(devnet) == ["stopped", "stopped"]
    first = devnet.up()
    assert [(chain.side, chain.state, chain.chain_id, chain.block) for chain in first] == [
        ("l2", "running", 412346, 0),
        ("l1", "running", 1337, 0),
    ]
    assert devnet.client("l2").w3.eth.get_block("latest")["gasLimit"] == 32_000_000
    assert [chain.pid for chain in devnet.up()] == [chain.pid for chain in first]
    assert [chain.state for chain in devnet.down()] == ["stopped", "stopped"]
    assert states(devnet) == ["stopped", "stopped"]
    assert not any(psutil.pid_exists(chain.pid) for chain in first if chain.pid)


def test_accounts_are_funded_and_more_can_be(devnet):
    devnet.up()
    client = devnet.client("l1")
    assert client.balance(devnet_account(DEVNET_ACCOUNTS - 1).address) == 10**24
    further = devnet_account(DEVNET_ACCOUNTS + 5).address
    assert client.balance(further) == 0
    devnet.fund("l1", further, 10**18)
    assert client.balance(further) == 10**18


def test_it_listens_on_loopback_only(devnet):
    for chain in devnet.up():
        listening = [item for item in psutil.Process(chain.pid).net_connections() if item.status == "LISTEN"]
        assert {item.laddr.ip for item in listening} == {"127.0.0.1"}


def test_a_port_in_use_is_told_and_nothing_is_left_running(tmp_path):
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        devnet = Devnet(tmp_path, l2_port=free_port(), l1_port=port)
        with pytest.raises(RetryableError, match=f"port {port} is in use.*FEDPROOF_DEVNET_L1_PORT") as failed:
            devnet.up()
    assert failed.value.exit_code == 75
    assert states(devnet) == ["stopped", "stopped"]
    devnet.up()
    devnet.down()


def test_down_leaves_other_processes_alone(devnet):
    devnet.up()
    record = devnet.folder / "l1.pid.json"
    mine = record.read_text()
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        # the record now names a number that meanwhile belongs to somebody else
        record.write_text(mine.replace(f'"pid": {devnet.status()[1].pid}', f'"pid": {bystander.pid}'))
        assert devnet.status()[1].state == "died"
        devnet.down()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        record.write_text(mine)
        devnet.down()


def test_a_chain_that_died_is_told_and_started_again(devnet):
    pid = devnet.up()[0].pid
    os.kill(pid, signal.SIGKILL)
    for _ in range(100):
        if states(devnet) == ["died", "running"]:
            break
        time.sleep(0.02)
    assert states(devnet) == ["died", "running"]
    assert [chain.state for chain in devnet.up()] == ["running", "running"]
    assert devnet.status()[0].pid != pid


def test_it_outlives_the_process_that_started_it(devnet):
    ports = f"l2_port={devnet.ports['l2']}, l1_port={devnet.ports['l1']}"
    script = f"""
from pathlib import Path
from fedproof.chain.accounts import DEVNET_ACCOUNTS, devnet_account
from fedproof.chain.devnet import Devnet
Devnet(Path({str(devnet.folder)!r}), {ports}).up()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert states(devnet) == ["running", "running"]


def test_ports_come_from_the_environment(tmp_path):
    environ = {"FEDPROOF_DEVNET_L2_PORT": "20001", "FEDPROOF_DEVNET_L1_PORT": "20002"}
    assert Devnet(tmp_path, environ=environ).ports == {"l2": 20001, "l1": 20002}
    assert Devnet(tmp_path, environ={}).ports == {"l2": 18545, "l1": 18546}
    for bad in ("abc", "80", "70000"):
        with pytest.raises(CallerError, match="is not a port"):
            Devnet(tmp_path, environ={"FEDPROOF_DEVNET_L2_PORT": bad})
    with pytest.raises(CallerError, match="both chains"):
        Devnet(tmp_path, l2_port=20001, l1_port=20001)


def test_other_settings_need_a_restart(devnet):
    devnet.up()
    other = Devnet(devnet.folder, l2_port=free_port(), l1_port=devnet.ports["l1"])
    with pytest.raises(CallerError, match=r"already runs on port .*devnet down"):
        other.up()
    assert states(devnet) == ["running", "running"]
