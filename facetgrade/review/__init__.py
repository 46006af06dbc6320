"""Readers, adjudication and audit trail of a trial."""
