"""LayerZero's packets and options, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedproof.chain.digests import RelayMessage
from fedproof.errors import CallerError, InvalidProof
from fedproof.relay.layerzero.packet import Packet, address_word, receive_gas, receive_options, word_address

pytestmark = pytest.mark.reference

SENDER, RECEIVER = "0x" + "Aa" * 20, "0x" + "bB" * 20
SENDER, RECEIVER = word_address(address_word(SENDER)), word_address(address_word(RECEIVER))


def a_packet(message: bytes = b"message", nonce: int = 7) -> Packet:
    unsigned = Packet(nonce, 50231, SENDER, 50161, RECEIVER, bytes(32), message)
    return Packet(nonce, 50231, SENDER, 50161, RECEIVER, unsigned.path_guid(), message)


@given(st.binary(max_size=300), st.integers(0, 2**64 - 1))
def test_a_packet_survives_its_bytes(message, nonce):
    packet = a_packet(message, nonce)
    assert Packet.decode(packet.encode()) == packet
    assert len(packet.header) == 81


@given(st.integers(0, 112), st.integers(1, 255))
def test_any_changed_byte_of_path_or_guid_is_noticed(place, flip):
    encoded = bytearray(a_packet().encode())
    encoded[place] ^= flip
    with pytest.raises(CallerError):
        Packet.decode(bytes(encoded))


def test_what_is_no_packet():
    with pytest.raises(CallerError, match="at least 113 bytes, got 5"):
        Packet.decode(b"short")
    with pytest.raises(CallerError, match="version 9"):
        Packet.decode(b"\x09" + a_packet().encode()[1:])


@given(st.integers(1, 2**128 - 1))
def test_options_carry_the_gas(gas):
    assert receive_gas(receive_options(gas)) == gas


def test_options_are_the_documented_bytes():
    assert receive_options(200_000).hex() == "0003" + "01" + "0011" + "01" + f"{200_000:032x}"
    twice = receive_options(5) + receive_options(6)[2:]
    assert receive_gas(twice) == 11


@pytest.mark.parametrize("options", [b"", b"\0\1", b"\0\3\1\0\x11\1", b"\0\3\1\0\0"])
def test_malformed_options(options):
    with pytest.raises(CallerError):
        receive_gas(options)


@pytest.mark.parametrize("gas", [0, -1, 2**128])
def test_gas_out_of_range(gas):
    with pytest.raises(CallerError, match="positive and below"):
        receive_options(gas)


def test_the_relay_payload():
    message = RelayMessage(412346, SENDER, b"\1" * 32, 3, b"\2" * 32)
    assert len(message.encode()) == 192
    assert RelayMessage.decode(message.encode()) == message
    for bad in (
        b"",
        message.encode()[:-1],
        message.encode() + b"\0",
        bytes(31) + b"\2" + message.encode()[32:],
    ):
        with pytest.raises(InvalidProof):
            RelayMessage.decode(bad)
