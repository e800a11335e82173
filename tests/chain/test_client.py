"""The client on real chains: gas bounds, decoded refusals, chains that do not answer or are the wrong one."""

from __future__ import annotations

import http.server
import threading
import time

import pytest
from chain_world import free_port, rpc

from fedproof.chain.accounts import devnet_account
from fedproof.chain.client import ChainClient
from fedproof.chain.networks import network
from fedproof.chain.reverts import ContractRejected
from fedproof.chain.solidity import compile_sources
from fedproof.errors import CallerError, RetryableError, TerminalError

pytestmark = pytest.mark.evm

SOURCE = """
pragma solidity ^0.8.26;
contract Oddities {
    error TooOdd(uint256 number, string why);
    uint256 public sum;
    event Burned(uint256 rounds);
    function refuse(uint256 number) external pure { revert TooOdd(number, "it is odd"); }
    function burn(uint256 rounds) external {
        uint256 x = sum;
        for (uint256 i = 0; i < rounds; ++i) { x = mulmod(x, x, 1e18 + 9) ^ i; }
        sum = x;
        emit Burned(rounds);
    }
}
"""


@pytest.fixture(scope="module")
def client(empty_devnet) -> ChainClient:
    return empty_devnet.client("l1").with_account(devnet_account(5))


@pytest.fixture(scope="module")
def oddities(client):
    artefact = compile_sources({"tests/Oddities.sol": SOURCE})["Oddities"]
    address = client.deploy(artefact).contract
    return client.at(address, artefact.abi)


def _as_transaction(function):
    return {"to": function.address, "data": function._encode_transaction_data()}


def test_a_transaction_pays_eip_1559_fees(client, oddities):
    receipt = client.send(oddities.functions.burn(1))
    sent = client.w3.eth.get_transaction(receipt.raw["transactionHash"])
    assert sent["type"] == 2
    assert sent["maxFeePerGas"] > sent["maxPriorityFeePerGas"]
    assert receipt.gas == receipt.raw["gasUsed"]
    assert receipt.fee == receipt.gas * receipt.raw["effectiveGasPrice"]
    assert [event["args"]["rounds"] for event in client.events(oddities, "Burned", receipt)] == [1]


def test_the_gas_price_does_not_run_away(client, oddities):
    fees = [client.send(oddities.functions.burn(1)).raw["effectiveGasPrice"] for _ in range(12)]
    assert fees[-1] <= fees[0]


def test_more_gas_than_a_transaction_may_use_is_refused_before_sending(client, oddities):
    before = client.w3.eth.get_transaction_count(devnet_account(5).address)
    per_round = client.w3.eth.estimate_gas(_as_transaction(oddities.functions.burn(100_000))) / 100_000
    rounds = int(17_000_000 / per_round)
    with pytest.raises(TerminalError, match=r"burn needs 1[67]\d{6} gas; .* may use 16777216"):
        client.send(oddities.functions.burn(rounds))
    with pytest.raises(TerminalError, match=r"burn needs more than 16777216 gas; .* may use 16777216"):
        client.send(oddities.functions.burn(10 * rounds))
    with pytest.raises(CallerError, match=r"gas 16777217 is outside 1\.\.16777216"):
        client.send(oddities.functions.burn(1), gas=16_777_217)
    assert client.w3.eth.get_transaction_count(devnet_account(5).address) == before


def test_a_large_estimate_is_capped_not_exceeded(client, oddities):
    per_round = client.w3.eth.estimate_gas(_as_transaction(oddities.functions.burn(100_000))) / 100_000
    receipt = client.send(oddities.functions.burn(int(15_500_000 / per_round)))
    assert receipt.gas > 15_000_000
    assert client.w3.eth.get_transaction(receipt.raw["transactionHash"])["gas"] <= 16_777_216


@pytest.mark.parametrize("how", ["call", "send"])
def test_a_custom_error_has_its_name_and_arguments(client, oddities, how):
    with pytest.raises(ContractRejected) as refused:
        getattr(client, how)(oddities.functions.refuse(7))
    assert refused.value.name == "TooOdd"
    assert refused.value.args_ == {"number": 7, "why": "it is odd"}
    assert "refuse was rejected: TooOdd(number=7, why=it is odd)" in str(refused.value)


def test_a_revert_of_a_mined_transaction_is_decoded_too(client, oddities):
    with pytest.raises(ContractRejected) as refused:
        client.send(oddities.functions.refuse(9), gas=100_000)
    assert refused.value.args_["number"] == 9
    assert "0x" in str(refused.value)


def test_an_account_that_cannot_pay(client, oddities):
    from eth_account import Account

    poor = client.with_account(Account.create())
    with pytest.raises(TerminalError, match=r"cannot pay|insufficient|refused"):
        poor.send(oddities.functions.burn(1))


def test_without_an_account_there_is_only_reading(empty_devnet, oddities):
    reader = empty_devnet.client("l1")
    assert reader.call(reader.at(oddities.address, oddities.abi).functions.sum()) >= 0
    with pytest.raises(CallerError, match="no account to sign"):
        reader.send(oddities.functions.burn(1))


def test_an_address_without_such_a_contract(client, oddities):
    nowhere = client.at(devnet_account(9).address, oddities.abi)
    with pytest.raises(CallerError, match=r"does not answer sum.*check the address"):
        client.call(nowhere.functions.sum())
    with pytest.raises(CallerError, match="not an address: '0x12'"):
        client.at("0x12", oddities.abi)


def test_an_unknown_transaction(client):
    with pytest.raises(CallerError, match="does not know transaction"):
        client.receipt("0x" + "12" * 32)
    with pytest.raises(CallerError, match="not a transaction hash: 'abc'"):
        client.receipt("abc")


def test_another_chain_is_noticed(empty_devnet):
    wrong = ChainClient(network("devnet").l2, empty_devnet.url("l1"))
    with pytest.raises(CallerError, match=r"has id 1337; development L2 has id 412346"):
        wrong.connect()


def test_a_chain_that_does_not_answer_is_retried_then_told():
    port = free_port()
    silent = ChainClient(network("sepolia").l1, f"http://127.0.0.1:{port}/v2/token", attempts=3)
    begun = time.monotonic()
    with pytest.raises(RetryableError) as failed:
        silent.connect()
    assert time.monotonic() - begun > 0.3
    assert f"chain at http://127.0.0.1:{port} does not answer" in str(failed.value)
    assert "token" not in str(failed.value)
    assert failed.value.exit_code == 75


class _Server:
    """An HTTP server that answers each request with the next of the given statuses and bodies."""

    def __init__(self, answers: list[tuple[int, bytes]]) -> None:
        self.seen = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                status, body = answers[min(outer.seen, len(answers) - 1)]
                outer.seen += 1
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                """Say nothing."""

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


def test_a_busy_chain_is_asked_again():
    server = _Server([(429, b""), (503, b""), (200, b'{"jsonrpc":"2.0","id":0,"result":"0xaa36a7"}')])
    ChainClient(network("sepolia").l1, server.url).connect()
    assert server.seen == 3


def test_a_refused_token_is_not_retried():
    server = _Server([(401, b"")])
    with pytest.raises(TerminalError, match="HTTP 401"):
        ChainClient(network("sepolia").l1, server.url).connect()
    assert server.seen == 1


def test_something_that_is_not_a_chain():
    server = _Server([(200, b"<html>welcome</html>")])
    with pytest.raises(TerminalError, match="does not speak JSON-RPC"):
        ChainClient(network("sepolia").l1, server.url).connect()


def test_a_repeated_broadcast_is_no_error(client, oddities):
    params = {"to": oddities.address, "data": oddities.functions.burn(2)._encode_transaction_data()}
    signed = client.sign(params, devnet_account(5))
    client.broadcast(signed)
    client.broadcast(signed)
    assert client.await_receipt(signed.tx).raw["status"] == 1


def test_a_transaction_that_is_not_mined_in_time(client, oddities):
    impatient = ChainClient(client.chain, client.url, devnet_account(6), receipt_timeout_s=0.3)
    rpc(client, "evm_setAutomine", False)
    try:
        with pytest.raises(RetryableError, match=r"was not mined within 0\.3 s"):
            impatient.send(impatient.at(oddities.address, oddities.abi).functions.burn(1))
    finally:
        rpc(client, "evm_setAutomine", True)
        rpc(client, "anvil_mine", "0x1")
