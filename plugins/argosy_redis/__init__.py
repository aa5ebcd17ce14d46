"""The cookie store `redis`. Read `store` first; it needs the extra ``redis``."""
