"""Only settings that the kernel has, and that this host may set, are applied."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "ansible" / "plugins" / "modules" / "kernel_settings.py"
SPEC = importlib.util.spec_from_file_location("kernel_settings", FILE)
kernel_settings = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(kernel_settings)

WANTED = {"net.ipv4.tcp_syncookies": 1, "kernel.kptr_restrict": 2, "kernel.unknown": 1, "net.ipv4.left": None}


@pytest.fixture(autouse=True)
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("net.ipv4.tcp_syncookies", "net.ipv4.left", "net.ipv4.range", "kernel.kptr_restrict"):
        path = tmp_path / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0\n")
    monkeypatch.setattr(kernel_settings, "KERNEL", tmp_path)
    return tmp_path


def test_what_the_kernel_does_not_have_is_left_out() -> None:
    assert kernel_settings.ours(WANTED, in_container=False) == {
        "kernel.kptr_restrict": "2",
        "net.ipv4.tcp_syncookies": "1",
    }


def test_in_a_container_only_the_network_is_ours() -> None:
    assert kernel_settings.ours(WANTED, in_container=True) == {"net.ipv4.tcp_syncookies": "1"}


def test_spaces_between_values_do_not_matter(kernel: Path) -> None:
    (kernel / "net/ipv4/range").write_text("1024\t65535\n")
    assert kernel_settings.present("net.ipv4.range") == "1024 65535"


def test_a_refusal_is_told(kernel: Path) -> None:
    assert kernel_settings.apply("kernel.kptr_restrict", "2") is None
    assert (kernel / "kernel/kptr_restrict").read_text() == "2"
    assert kernel_settings.apply("net", "2") == "net stays None: Is a directory"
