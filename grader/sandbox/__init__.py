"""How student code is isolated: builds, supervises, limits and ends boxes."""
