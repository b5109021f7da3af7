"""Chooses where the key-encryption key is."""

from secrets_manager.kek import FileKey, KeyEncryptionKey
from secrets_manager.kek_transit import TransitKey
from secrets_manager.settings import Settings


def key_encryption_key(settings: Settings, provider: str | None = None) -> KeyEncryptionKey:
    """Return this provider, or the one that the settings name."""
    if (provider or settings.kek_provider) == "openbao-transit":
        return TransitKey(
            settings.openbao_address,
            settings.openbao_key_name,
            settings.openbao_token_file,
            settings.openbao_ca_file,
        )
    return FileKey(settings.kek_file)
