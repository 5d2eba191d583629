"""Proxy settings of the environment, which gRPC would follow."""

import pytest

from daos_control.cli.server_parsing import scrub_proxies

PROXIES = {"http_proxy": "a", "HTTPS_PROXY": "b", "ftp_proxy": "c", "SOCKS_PROXY": "d", "no_proxy": "e"}


def test_proxies_are_taken_out_of_the_environment_in_both_cases() -> None:
    environment = {**PROXIES, "PATH": "/bin"}
    scrub_proxies(environment)
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("value", "kept"), [("1", True), ("true", True), ("0", False), ("", False), ("maybe", False)]
)
def test_proxies_are_kept_where_the_environment_asks_for_it(value: str, kept: bool) -> None:
    environment = {**PROXIES, "DAOS_DISABLE_PROXY_SCRUB": value}
    scrub_proxies(environment)
    assert ("http_proxy" in environment) is kept
