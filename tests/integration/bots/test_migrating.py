"""`aisha migrate` as a release uses it."""

from tests.integration.bots.harness import App

from aisha.database.migrate import steps


async def test_a_schema_goes_back_and_forth_and_says_where_it_is(app: App) -> None:
    assert (await app.aisha("migrate", "--to", "0001"))[0] == 0
    status, said = await app.aisha("migrate", "--check")
    assert (status, "0002 (expand)" in said) == (10, True)
    status, said = await app.aisha("bot")
    assert (status, "run `aisha migrate`" in said) == (1, True)
    assert (await app.aisha("migrate", "--expand-only"))[0] == 0
    status, said = await app.aisha("migrate", "--check")
    assert (status, said.startswith("nothing pending")) == (0, True)


async def test_a_release_leaves_the_schema_of_a_newer_one_alone(app: App) -> None:
    await app.query("UPDATE alembic_version SET version_num = '9999'")
    try:
        assert (await app.aisha("migrate"))[0] == 0
        assert (await app.aisha("migrate", "--check"))[0] == 0
        assert await app.query("SELECT version_num FROM alembic_version") == [{"version_num": "9999"}]
    finally:
        await app.query("UPDATE alembic_version SET version_num = %s", steps()[-1].revision)
