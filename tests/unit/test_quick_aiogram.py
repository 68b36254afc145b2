import subprocess
import sys

SCRIPT = """
from aisha.quick_aiogram import import_aiogram
import_aiogram()
from aiogram import methods, types
update = types.Update.model_validate(
    {"update_id": 1, "message": {"message_id": 2, "date": 0, "chat": {"id": 3, "type": "private"}, "text": "a"}}
)
assert update.message.chat.id == 3
assert methods.SendMessage(chat_id=3, text="a").text == "a"
models = [m for where in (types, methods) for m in map(vars(where).get, where.__all__) if hasattr(m, "model_rebuild")]
assert not types.Giveaway.__pydantic_complete__
for model in models:
    model.model_rebuild()
assert len(models) > 500
assert all(model.__pydantic_complete__ for model in models)
"""


def test_every_type_and_method_of_aiogram_can_still_be_built() -> None:
    """In a process of its own: aiogram may have been imported in this one."""
    assert subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True).stderr == ""
