"""What the runbook says about what is lost, done as it says; and that it is lost, or is not."""

import shutil

import jwt
import pytest
from conftest import settings_in
from secrets_manager.kek import KeyRefusedError


def stop(running):
    running.client.__exit__(None, None, None)


def colour(running):
    return running.client.get("/secrets/shop", headers=running.as_("admin")).json().get("secrets")


def paint(running, value):
    """Store a value that a person chose."""
    admin = running.as_("admin")
    if running.client.get("/secrets/shop", headers=admin).status_code == 404:
        answer = running.client.post("/secrets/shop", json={"COLOUR": value}, headers=admin)
    else:
        answer = running.client.put("/secrets/shop", json={"COLOUR": value}, headers=admin)
    assert answer.is_success, answer.text


def key_id(key):
    return key.split("_")[1]


def test_the_admins_key_is_lost(running, command):
    """A new one is made beside everything that runs; the lost one is honoured until it is revoked."""
    paint(running, "blue")
    lost = running.key_of("admin")
    (running.settings.admin_dir / "api-key").unlink()
    assert command(running.settings, "recover-admin")[0] == 0
    assert running.key_of("admin") != lost
    assert colour(running)["COLOUR"] == "blue"
    assert running.ask_token(lost).status_code == 200
    revoked = running.client.delete(f"/identities/admin/keys/{key_id(lost)}", headers=running.as_("admin"))
    assert revoked.status_code == 204
    assert running.ask_token(lost).status_code == 401


def test_a_services_identity_volume_is_lost(start, settings):
    """The next start fills it; nothing but the old key is lost, which is honoured until it is revoked."""
    first = start(settings)
    before = first.client.get("/secrets/notification", headers=first.as_("admin")).json()["secrets"]
    lost = first.key_of("notification")
    assert first.ask_token(lost).status_code == 200
    stop(first)
    shutil.rmtree(settings.identities_dir / "notification")
    second = start(settings)
    assert second.key_of("notification") != lost
    assert "CERTIFICATE" in (settings.identities_dir / "notification" / "ca.pem").read_text()
    headers = {"Authorization": f"Bearer {second.token(second.key_of('notification'))}"}
    read = second.client.get("/secrets/notification", headers=headers).json()
    assert read["secrets"] == before
    assert second.ask_token(lost).status_code == 200
    path = f"/identities/notification/keys/{key_id(lost)}"
    assert second.client.delete(path, headers=second.as_("admin")).status_code == 204
    assert second.ask_token(lost).status_code == 401


def test_the_key_encryption_key_is_lost_for_good_and_there_is_a_backup(start, settings, command, tmp_path):
    """What was written after the backup is lost, and nothing else: the backup does not need the lost file."""
    first = start(settings)
    paint(first, "blue")
    backup = tmp_path / "platform.backup"
    assert command(settings, "backup", "--to", backup)[0] == 0
    paint(first, "green, after the backup")
    stop(first)
    settings.kek_file.unlink()
    with pytest.raises(KeyRefusedError, match=r"is missing.*restore a backup.*Nothing was written"):
        start(settings)
    code, said = command(settings, "restore", "--from", backup)
    assert (code, "Move it away" in said) == (1, True), "it goes onto an empty data volume alone"
    shutil.rmtree(settings.data_dir)
    code, said = command(settings, "restore", "--from", backup)
    assert code == 0, said
    second = start(settings)
    assert colour(second)["COLOUR"] == "blue"
    assert second.ask_token(second.key_of("notification")).status_code == 200
    assert second.client.get("/audit/verify", headers=second.as_("admin")).json()["intact"] is True


def test_the_key_encryption_key_is_lost_for_good_and_there_is_no_backup(start, settings):
    """One begins with an empty data volume: all of before is gone, and what services need is made anew."""
    first = start(settings)
    paint(first, "blue")
    person = first.person("ada", "operator")
    values = first.client.get("/secrets/notification", headers=first.as_("admin")).json()["secrets"]
    old = {name: first.key_of(name) for name in ("notification", "admin")}
    stop(first)
    settings.kek_file.unlink()
    shutil.rmtree(settings.data_dir)
    second = start(settings)
    assert second.client.get("/health").status_code == 200
    assert second.ask_token(person).status_code == 401
    for name, key in old.items():
        assert second.ask_token(key).status_code == 401
        claims = jwt.decode(second.token(second.key_of(name)), options={"verify_signature": False})
        assert claims["sub"] == name
    fresh = second.client.get("/secrets/notification", headers=second.as_("notification")).json()["secrets"]
    assert fresh.keys() == values.keys()
    assert not set(fresh.values()) & set(values.values())
    assert second.client.get("/secrets/shop", headers=second.as_("admin")).status_code == 404


def test_the_key_encryption_key_is_put_back(start, settings):
    """That is all."""
    first = start(settings)
    paint(first, "blue")
    stop(first)
    kept = settings.kek_file.rename(settings.kek_file.parent / "kept")
    with pytest.raises(KeyRefusedError):
        start(settings)
    kept.rename(settings.kek_file)
    assert colour(start(settings))["COLOUR"] == "blue"


def test_the_machine_is_lost_and_another_is_empty(start, settings, command, tmp_path):
    """Everything is as it was but for the keys: each is enabled again after a look at it."""
    first = start(settings)
    paint(first, "blue")
    person = first.person("ada", "operator")
    read = first.client.get("/secrets/shop", headers=first.as_("admin"))
    epoch, has_it = read.json()["epoch"], {"If-None-Match": read.headers["etag"]}
    backup = tmp_path / "platform.backup"
    assert command(settings, "backup", "--to", backup)[0] == 0
    old_token = first.as_("admin")
    assert first.client.get("/secrets/shop", headers={**old_token, **has_it}).status_code == 304
    stop(first)
    empty = settings_in(tmp_path / "another")
    assert command(empty, "restore", "--from", backup)[0] == 0
    second = start(empty)
    # In the same version and state, and all the same not what a reader from before may take for his own.
    read = second.client.get("/secrets/shop", headers={**second.as_("admin"), **has_it})
    assert read.status_code == 200
    assert read.json()["secrets"]["COLOUR"] == "blue"
    assert read.json()["epoch"] != epoch
    assert second.client.get("/secrets", headers=old_token).status_code == 401
    assert second.ask_token(person).status_code == 401
    path = f"/identities/ada/keys/{key_id(person)}"
    enabled = second.client.patch(path, json={"enabled": True}, headers=second.as_("admin"))
    assert enabled.status_code == 200
    assert second.ask_token(person).status_code == 200
    assert second.ask_token(second.key_of("notification")).status_code == 200
    verified = second.client.get("/audit/verify", headers=second.as_("admin")).json()
    assert (verified["intact"], verified["findings"]) == (True, [])
