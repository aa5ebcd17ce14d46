"""Cookie stores: where sessions are kept, and how far their lease reaches."""
