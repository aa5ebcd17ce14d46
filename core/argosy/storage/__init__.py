"""Storage of final files in a local folder (`local`), and the URLs of remote target directories (`location`)."""
