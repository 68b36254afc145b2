"""Which secrets are made."""

import runpy
from pathlib import Path

FILTER = Path(__file__).parents[3] / "ansible" / "plugins" / "filter" / "secrets.py"
vault_names = runpy.run_path(str(FILTER))["vault_names"]


def written(root: Path, **files: str) -> str:
    """Write defaults of roles, and return the repository's folder."""
    for role, text in files.items():
        path = root / "roles" / role / "defaults" / "main.yml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return str(root)


def test_a_secret_is_found_however_deep_it_is_read(tmp_path: Path) -> None:
    redis = """redis_password: "{{ vault_redis_password }}"\n"""
    registry = """registry_users:\n  - {name: app, password: "{{ vault_b | trim }}:{{ vault_a }}"}\n"""
    names = vault_names(written(tmp_path, redis=redis, registry=registry))
    assert names == ["vault_a", "vault_b", "vault_redis_password"]


def test_what_has_a_default_or_is_only_in_a_comment_is_not_made(tmp_path: Path) -> None:
    bot = (
        """# As {{ vault_proxy_key }}\nbot_token: "{{ vault_bot_token | default('') }}" # or vault_other\n"""
    )
    assert vault_names(written(tmp_path, bot=bot)) == []


def test_the_wirings_secrets_are_found_and_the_bots_token_is_asked_for(tmp_path: Path) -> None:
    names = vault_names(str(FILTER.parents[3]))
    assert {"vault_registry_app_password", "vault_bot_webhook_secret"} <= set(names)
    assert "vault_bot_token" not in names
