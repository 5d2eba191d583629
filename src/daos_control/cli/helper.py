"""`daos_server_helper`: what daos_server has done as root, one request for each process."""

import sys

from daos_control.storage.helper.app import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
