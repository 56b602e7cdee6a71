"""Who is who, and what they said: certificates, mTLS, signatures, hybrid encryption, key-encryption keys."""
