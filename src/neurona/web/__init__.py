"""The page: a server on this machine, and what it shows. `neurona serve` starts it."""

from neurona.web.desk import Desk, Settings
from neurona.web.server import create_app, serve

__all__ = ["Desk", "Settings", "create_app", "serve"]
