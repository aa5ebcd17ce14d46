"""Storages: S3, SFTP, and other remote file systems that fsspec supports."""
