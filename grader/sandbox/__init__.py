"""How student code is isolated: boxes built, supervised, limited and ended."""
