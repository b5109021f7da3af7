"""The secrets manager: secrets, identities, and the rotations that every holder confirms."""
