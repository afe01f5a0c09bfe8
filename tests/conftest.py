import pytest

from tests.hub import Hub, User


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub of our own; pauses between attempts take no time."""
    users = {"hf_test": "tester", "hf_read": User("tester", write=False)}
    with Hub(tmp_path / "hub", users=users) as hub:
        hub.client_settings(monkeypatch)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        yield hub
