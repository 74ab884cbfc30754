"""Says whether this machine can grade untrusted notebooks, by trying it from inside real boxes."""
