"""The development network: two anvil chains on the loopback interface, an "L2" and an "L1".

Both are emulations: plain Ethereum nodes that mine a block per transaction. The L2 has Arbitrum's gas limits
and none of its precompiles. State lives in memory: ``down`` forgets it.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psutil
from filelock import FileLock, Timeout
from web3.types import RPCEndpoint

from fedproof.chain.accounts import DEVNET_ACCOUNTS, DEVNET_MNEMONIC
from fedproof.chain.client import ChainClient, checksum
from fedproof.chain.networks import Chain, Network, Side, network
from fedproof.chain.places import build_root, node_modules
from fedproof.errors import CallerError, FedproofError, RetryableError, TerminalError
from fedproof.files import write_whole

HARDFORK = "cancun"
"""The instruction set both chains run; the contracts are compiled for the same."""

DEFAULT_PORTS: Mapping[Side, int] = {"l2": 18545, "l1": 18546}
_BALANCE_ETHER = 1_000_000
_START_S = 20.0
_STOP_S = 5.0


@dataclass(frozen=True)
class ChainStatus:
    """One chain of the devnet. ``stopped``: not started or taken down; ``died``: it ended on its own."""

    side: Side
    state: Literal["running", "stopped", "died", "silent"]
    url: str
    chain_id: int
    pid: int | None
    block: int | None


@dataclass(frozen=True)
class _Process:
    pid: int
    started: float
    port: int
    hardfork: str

    def find(self) -> psutil.Process | None:
        """The running process, unless it ended or its number was given to another one."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - self.started) > 1:
                return None
            if not process.name().startswith("anvil"):
                return None
        except psutil.Error:
            return None
        return process


class Devnet:
    """Two anvil processes, their pid files and logs under ``folder`` (``build/devnet``).

    Ports: arguments, else FEDPROOF_DEVNET_L2_PORT and FEDPROOF_DEVNET_L1_PORT, else 18545 and 18546.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        l2_port: int | None = None,
        l1_port: int | None = None,
        hardfork: str = HARDFORK,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.folder = folder or build_root() / "devnet"
        self.network: Network = network("devnet")
        self.hardfork = hardfork
        self.ports: dict[Side, int] = {
            "l2": _port("l2", l2_port, environ),
            "l1": _port("l1", l1_port, environ),
        }
        if self.ports["l2"] == self.ports["l1"]:
            raise CallerError(f"both chains would listen on port {self.ports['l2']}", hint="choose two ports")

    def url(self, side: Side) -> str:
        """RPC URL of one chain."""
        return f"http://127.0.0.1:{self.ports[side]}"

    def up(self) -> list[ChainStatus]:
        """Start what does not run yet and wait until both chains answer. Idempotent.

        Raises RetryableError when a port is taken or a chain does not start, CallerError when anvil is
        not installed. What this call started is stopped again if the other chain fails.
        """
        with self._locked():
            begun: list[Side] = []
            try:
                for side in self.ports:
                    if self._alive(side):
                        continue
                    begun.append(side)
                    self._start(side)
                for side in self.ports:
                    self._await(side)
            except BaseException:
                for side in begun:
                    self._stop(side)
                raise
        return self.status()

    def down(self) -> list[ChainStatus]:
        """Stop the chains this folder's pid files name, and nothing else. Idempotent."""
        with self._locked():
            for side in self.ports:
                self._stop(side)
        return self.status()

    def status(self) -> list[ChainStatus]:
        """State of both chains."""
        return [self._status(side) for side in self.ports]

    def client(self, side: Side) -> ChainClient:
        """A client without an account. Raises RetryableError when the chain does not answer."""
        return ChainClient(self.network.chain(side), self.url(side)).connect()

    def fund(self, side: Side, address: str, wei: int = 10**21) -> None:
        """Set the balance of ``address``, for accounts beyond the funded ones. A devnet's privilege."""
        client = self.client(side)
        answer = client.w3.provider.make_request(
            RPCEndpoint("anvil_setBalance"), [checksum(address), hex(wei)]
        )
        if "error" in answer:
            raise TerminalError(f"the devnet's {side} does not set balances: {answer['error']}")

    def log(self, side: Side) -> Path:
        """Where the chain's output goes."""
        return self.folder / f"{side}.log"

    def _locked(self) -> AbstractContextManager[object]:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(self.folder / "lock", timeout=_START_S * 2).acquire()
        except Timeout:
            raise RetryableError("another command is starting or stopping the devnet") from None

    def _record(self, side: Side) -> Path:
        return self.folder / f"{side}.pid.json"

    def _recorded(self, side: Side) -> _Process | None:
        try:
            return _Process(**json.loads(self._record(side).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _alive(self, side: Side) -> bool:
        recorded = self._recorded(side)
        if recorded is None or recorded.find() is None:
            return False
        if recorded.port != self.ports[side] or recorded.hardfork != self.hardfork:
            raise CallerError(
                f"the devnet's {side} already runs on port {recorded.port} with {recorded.hardfork}",
                hint="run 'fedproof devnet down' first",
            )
        return True

    def _start(self, side: Side) -> None:
        port, chain = self.ports[side], self.network.chain(side)
        if _in_use(port):
            raise RetryableError(
                f"port {port} is in use by another program; the devnet's {side} needs it",
                hint=f"stop that program or set FEDPROOF_DEVNET_{side.upper()}_PORT to a free port",
            )
        command = [str(anvil_binary()), *_arguments(chain, port, self.hardfork)]
        with self.log(side).open("wb") as log:
            # a session of its own: it outlives this command and is not hit by the terminal's Ctrl-C
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            started = psutil.Process(process.pid).create_time()
        except psutil.Error:
            raise TerminalError(f"anvil ended at once; see {self.log(side)}") from None
        record = _Process(pid=process.pid, started=started, port=port, hardfork=self.hardfork)
        write_whole(self._record(side), json.dumps(asdict(record)))

    def _await(self, side: Side) -> None:
        deadline = time.monotonic() + _START_S
        chain = self.network.chain(side)
        while time.monotonic() < deadline:
            recorded = self._recorded(side)
            if recorded is None or recorded.find() is None:
                raise RetryableError(f"the devnet's {side} ended while starting: {self._last_words(side)}")
            if _in_use(self.ports[side]):
                ChainClient(chain, self.url(side), timeout_s=5).connect()
                return
            time.sleep(0.02)
        raise RetryableError(
            f"the devnet's {side} did not answer within {_START_S:g} s; see {self.log(side)}"
        )

    def _stop(self, side: Side) -> None:
        recorded = self._recorded(side)
        if recorded is not None and recorded.find() is not None:
            for stop in (psutil.Process.terminate, psutil.Process.kill):
                process = recorded.find()
                if process is None:
                    break
                with contextlib.suppress(psutil.NoSuchProcess):
                    stop(process)
                _wait_until(lambda: recorded.find() is None, _STOP_S)
            _wait_until(lambda: _is_reaped(recorded.pid), _STOP_S)
        self._record(side).unlink(missing_ok=True)

    def _status(self, side: Side) -> ChainStatus:
        recorded = self._recorded(side)
        chain = self.network.chain(side)
        port = recorded.port if recorded else self.ports[side]
        url = f"http://127.0.0.1:{port}"
        if recorded is None:
            return ChainStatus(side, "stopped", url, chain.chain_id, None, None)
        if recorded.find() is None:
            return ChainStatus(side, "died", url, chain.chain_id, None, None)
        try:
            client = ChainClient(chain, url, timeout_s=5, attempts=1).connect()
            return ChainStatus(side, "running", url, chain.chain_id, recorded.pid, client.w3.eth.block_number)
        except FedproofError:
            return ChainStatus(side, "silent", url, chain.chain_id, recorded.pid, None)

    def _last_words(self, side: Side) -> str:
        try:
            lines = self.log(side).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return "no log"
        return lines[-1] if lines else "it said nothing"


def anvil_binary() -> Path:
    """The native anvil of the npm packages. Raises CallerError when this platform's is not installed."""
    system = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}.get(platform.system(), "unknown")
    machine = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "amd64"
    suffix = ".exe" if system == "win32" else ""
    binary = node_modules() / "@foundry-rs" / f"anvil-{system}-{machine}" / "bin" / f"anvil{suffix}"
    if not binary.is_file():
        raise CallerError(f"anvil for {system}-{machine} is not installed", hint="run 'make setup'")
    return binary


def _arguments(chain: Chain, port: int, hardfork: str) -> list[str]:
    return [
        *("--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain.chain_id)),
        *("--hardfork", hardfork, "--gas-limit", str(chain.block_gas_limit)),
        *("--mnemonic", DEVNET_MNEMONIC, "--accounts", str(DEVNET_ACCOUNTS)),
        *("--balance", str(_BALANCE_ETHER), "--order", "fifo", "--quiet"),
    ]


def _port(side: Side, chosen: int | None, environ: Mapping[str, str]) -> int:
    variable = f"FEDPROOF_DEVNET_{side.upper()}_PORT"
    text = str(chosen) if chosen is not None else environ.get(variable) or str(DEFAULT_PORTS[side])
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise CallerError(f"{variable}: {text!r} is not a port from 1024 to 65535")
    return int(text)


def _wait_until(done: Callable[[], bool], seconds: float) -> None:
    # not psutil's wait: a process whose parent has gone may stay a zombie for long
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.02)


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except OSError:
        return True  # not our child: somebody else reaps it


def _in_use(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
