//! RSA keys: the server's own, and those of others.
