"""Local storage, the URLs of remote directories, and how a storage plugin is found. Read `open` first."""
