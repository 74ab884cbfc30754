"""Whether this machine can grade untrusted notebooks: attempts from inside real boxes to break out."""
