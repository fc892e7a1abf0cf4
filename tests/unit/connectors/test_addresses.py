import pytest

from hypothesis import given
from hypothesis import strategies as st

from connectors.addresses import PrivateHosts, is_public


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "2606:4700:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_the_public_internet_is_allowed(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),  # noqa: S104
        *("169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1"),
        *("239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *(
            "::",
            "::1",
            "fe80::1",
            "fe80::1%eth0",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
        ),
        *("2001:db8::1", "fec0::1", "100::1"),
        # IPv4 in IPv6: mapped, compatible, 6to4, Teredo, NAT64, local-use NAT64
        *("::ffff:127.0.0.1", "::ffff:a00:1", "::127.0.0.1", "2002:7f00:1::"),
        *("2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"),
        # no addresses, but what a resolver would make one of
        *("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", ""),
    ],
)
def test_everything_else_is_not(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4, network="10.0.0.0/8"))
def test_no_spelling_of_a_private_address_is_public(address: object) -> None:
    octets = bytes(map(int, str(address).split(".")))
    embedded = int.from_bytes(octets)
    assert not is_public(f"::ffff:{address}")
    assert not is_public(f"64:ff9b::{embedded >> 16:x}:{embedded & 0xFFFF:x}")
    assert not is_public(f"2002:{embedded >> 16:x}:{embedded & 0xFFFF:x}::1")


@pytest.mark.parametrize(
    ("pattern", "host", "port", "held"),
    [
        ("intranet.example", "intranet.example", 443, True),
        ("Intranet.Example", "INTRANET.example.", 80, True),
        ("intranet.example", "a.intranet.example", 80, False),
        ("*.intranet.example", "a.b.intranet.example", 80, True),
        ("*.intranet.example", "intranet.example", 80, False),
        ("*.example", "evil-example", 80, False),
        ("10.0.0.5:8080", "10.0.0.5", 8080, True),
        ("10.0.0.5:8080", "10.0.0.5", 80, False),
        ("10.0.0.5", "10.0.0.55", 80, False),
        ("*.0.0.5", "10.0.0.5", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]:8080", "::1", 80, False),
        ("", "", 80, False),
        ("*", "anything.example", 80, False),
    ],
)
def test_private_hosts_are_told_by_name_pattern_and_port(
    pattern: str, host: str, port: int, *, held: bool
) -> None:
    assert PrivateHosts([pattern]).holds(host, port) is held
    assert not PrivateHosts([]).holds(host, port)
