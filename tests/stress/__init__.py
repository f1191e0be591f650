"""Proofs of reliability that take longer than a test may: ``python -m tests.stress``."""
