"""The test hosts: leftovers of a killed engine do not affect the next one."""

import importlib.util
from pathlib import Path

FILE = Path(__file__).parents[3] / "molecule/shared/hosts.py"
SPEC = importlib.util.spec_from_file_location("hosts", FILE)
hosts = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hosts)


def test_rules_of_a_network_that_is_gone_are_dropped_and_all_others_kept() -> None:
    lost = "-A POSTROUTING -s 172.18.0.0/16 ! -o br-5b8b0257d739 -j MASQUERADE\n"
    masquerade = "-A POSTROUTING -s 172.19.0.0/16 ! -o br-e496810f206f -j MASQUERADE"
    kept = f"*nat\n{masquerade}\n-A DOCKER -i br-lan -j RETURN\nCOMMIT\n"
    assert hosts.without_lost_bridges(kept + lost, {"eth0", "br-e496810f206f"}) == kept
