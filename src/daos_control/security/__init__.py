"""Certificates, components and what they may call, and the credentials of users."""
