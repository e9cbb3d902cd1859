"""Sample files: users, articles and comments of the usual sizes, a small part of them bad."""
